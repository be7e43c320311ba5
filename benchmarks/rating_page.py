"""How quick the rating page is: `python benchmarks/rating_page.py` with 10,000 tasks in a real store.

A server process, a browser, a rater who orders four answers with five keys and submits, again and again:

    key to paint    from the press of a key until the frame that shows its effect is drawn
    submit to next  from Enter until the next task is drawn

Both from the hardware time of the event (`event.timeStamp`) to the first task after the frame. Targets: 50 and 150 ms
at the 95th percentile. Exit code 1 where one is missed; `--report` only prints.
"""

from __future__ import annotations

import argparse
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from assent.core.types import Completion, Prompt, Task
from assent.feedback.records.settings import ProjectSettings
from assent.feedback.store import Store

KEY_MS, NEXT_MS = 50.0, 150.0
SESSION = "assent_session"
TEXT = """the bread dough did not rise because yeast is slow in a cold kitchen so give it more time or a warm place
and try a little of it in water with sugar first if it foams it lives salt makes it slow and bran cuts gluten"""

PROBE = """
() => {
  const seen = { key: [], next: [] };
  const drawn = (from, into) => requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => into.push(performance.now() - from);
    channel.port2.postMessage(null);
  });
  let submitted = null;
  addEventListener("keydown", (event) => {
    if (event.key === "Enter") submitted = event.timeStamp;
    else drawn(event.timeStamp, seen.key);
  }, true);
  new MutationObserver(() => {
    if (submitted === null || !document.querySelector(".answer")) return;
    drawn(submitted, seen.next);
    submitted = null;
  }).observe(document.getElementById("answers"), { childList: true });
  window.seen = seen;
}
"""


def main() -> None:
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=10_000, help="tasks in the store")
    parser.add_argument("--rankings", type=int, default=60, help="rankings to submit")
    parser.add_argument("--pause", type=float, default=0.3, help="seconds between a ranking and the next")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--report", action="store_true", help="exit with 0 whatever was measured")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        url = f"sqlite:///{scratch}/feedback.db"
        cookie = fill(url, tasks=arguments.tasks)
        with serve(url) as address, sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=arguments.chromium, args=["--no-sandbox", "--disable-gpu"])
            seen = rank(browser, address, cookie, rankings=arguments.rankings, pause=arguments.pause)
            browser.close()
    print(f"{arguments.tasks:,} tasks in the store, {arguments.rankings} rankings of four answers")
    print(f"load of this machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    is_met = report("key to paint", seen["key"], KEY_MS)
    is_met &= report("submit to next", seen["next"], NEXT_MS)
    sys.exit(0 if is_met or arguments.report else 1)


def fill(url: str, *, tasks: int) -> str:
    """A project with many tasks and a rater in it; the cookie of the rater's session."""
    draw = random.Random(0)
    now = time.time()
    with Store.open(url) as store:
        store.projects.save("speed", ProjectSettings(title="Speed"), now=now)
        made = [task(f"t{n}", draw) for n in range(tasks)]
        for start in range(0, tasks, 1000):
            store.add_tasks(made[start : start + 1000], now=now)
        account = store.accounts.create("rater", "rater", now=now)
        return store.accounts.start_session(account.rater_id, now=now)


def task(name: str, draw: random.Random) -> Task:
    """A question with four answers of about 180 words, formatted as models do."""
    prompt = Prompt.of(f"Question {name}: why did my bread not rise, and can I still save it?")
    answers = tuple(Completion(prompt_id=prompt.id, text=_text(draw), id=f"{name}/{i}") for i in range(4))
    return Task(id=name, prompt=prompt, completions=answers, project="speed")


def _text(draw: random.Random) -> str:
    def words(n: int) -> str:
        return " ".join(draw.choices(TEXT.split(), k=n)).capitalize() + "."

    listed = "\n".join(f"{i}. **{words(2)}** {words(20)}" for i in range(1, 4))
    return f"{words(40)}\n\n{listed}\n\n{words(45)}\n\n```python\nprint({draw.random()})\n```\n\n{words(25)}"


@contextmanager
def serve(store_url: str) -> Iterator[str]:
    """The service in a process of its own; its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "--factory", "assent.web.app:from_environment"]
    command += ["--port", str(port), "--log-level", "warning"]
    server = subprocess.Popen(command, env=os.environ | {"ASSENT_STORE": store_url})
    try:
        _wait_for(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(20)


def _wait_for(port: int, seconds: float = 120.0) -> None:
    until = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def rank(browser: Any, address: str, cookie: str, *, rankings: int, pause: float) -> dict[str, list[float]]:
    """Order and submit; milliseconds of every key and every change of tasks."""
    draw = random.Random(1)
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.add_cookies([{"name": SESSION, "value": cookie, "url": address}])
    page = context.new_page()
    page.goto(f"{address}/rate/speed")
    page.wait_for_selector(".answer")
    page.evaluate(PROBE)
    for _ in range(rankings):
        _one(page, draw)
        page.wait_for_timeout(pause * 1000)
        page.wait_for_selector(".answer")
    seen: dict[str, list[float]] = page.evaluate("() => window.seen")
    context.close()
    return seen


def _one(page: Any, draw: random.Random) -> None:
    """Four answers in a random order, two of them tied."""
    digits = draw.sample("1234", k=4)
    for key in (digits[0], digits[1], "=", digits[2], digits[3], "Enter"):
        page.keyboard.press(key)
        page.wait_for_timeout(40)


def report(name: str, seen: list[float], target: float) -> bool:
    """Print the distribution; whether its 95th percentile is below the target."""
    ordered = sorted(seen)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
    median = statistics.median(ordered)
    print(f"{name:<15} median {median:5.1f} ms   p95 {p95:5.1f} ms   worst {ordered[-1]:5.1f} ms   n = {len(ordered)}")
    print(f"{'':<15} target p95 < {target:.0f} ms: {'met' if p95 < target else 'MISSED'}")
    return p95 < target


if __name__ == "__main__":
    main()
