"""Pictures of the rating page for the docs: `python docs/build_screenshots.py` serves examples and looks at them."""

from __future__ import annotations

import argparse
import contextlib
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import uvicorn
import yaml

from assent.core.types import Completion, Prompt, Task
from assent.feedback.records.settings import ProjectSettings
from assent.feedback.store import Store
from assent.web.app import create_app

HERE = Path(__file__).parent
IMAGES = HERE / "images"
EXAMPLES = HERE / "screenshots.yaml"
SIZES = {"wide": (1440, 900), "phone": (390, 844)}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="*", help="names of pictures; all without")
    parser.add_argument("--into", type=Path, default=IMAGES)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    arguments = parser.parse_args()
    arguments.into.mkdir(parents=True, exist_ok=True)
    examples = yaml.safe_load(EXAMPLES.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as scratch, serve(f"sqlite:///{scratch}/feedback.db") as (address, store):
        photograph(address, store, examples, only=set(arguments.only), path=arguments.chromium, into=arguments.into)


@contextlib.contextmanager
def serve(store_url: str) -> Iterator[tuple[str, Store]]:
    """The service in a thread of this process."""
    app = create_app(store_url)
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", app.state.context.store
    finally:
        server.should_exit = True
        thread.join(10)


def photograph(address: str, store: Store, examples: dict[str, Any], *, only: set[str], path: str, into: Path) -> None:
    """Make every picture, each in a project of its own."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        for name, picture in examples["pictures"].items():
            if only and name not in only:
                continue
            cookie = prepare(store, name, examples["tasks"][picture["task"]], examples, picture)
            page = open_page(browser, address, cookie, picture)
            page.goto(f"{address}/rate/{name}")
            page.wait_for_selector(".answer")
            page.wait_for_timeout(400)
            take(page, picture)
            page.screenshot(path=into / f"rating-{name}.png")
            page.context.close()
            print(into / f"rating-{name}.png")
        browser.close()


def prepare(
    store: Store, project: str, example: dict[str, Any], examples: dict[str, Any], picture: dict[str, Any]
) -> str:
    """A project with one task and a rater in it; the cookie of the rater's session."""
    now = time.time()
    settings = {"title": example.get("title", examples["title"]), "gold_share": 0, "repeat_share": 0}
    if picture.get("criteria"):
        settings["criteria"] = examples["criteria"]
    store.projects.save(project, ProjectSettings.model_validate(settings), now=now)
    store.projects.publish_guideline(project, examples["guideline"], now=now)
    prompt = Prompt.model_validate({"messages": example["messages"], "id": project})
    answers = tuple(
        Completion(prompt_id=project, text=text, id=f"{project}/{n}") for n, text in enumerate(example["answers"])
    )
    task = Task(id=project, prompt=prompt, completions=answers, kind=example.get("kind", "rank"), project=project)
    store.add_tasks([task], now=now)
    account = store.accounts.create(f"{example.get('rater', 'anna')}.{project}", "rater", now=now)
    return store.accounts.start_session(account.rater_id, now=now)


def open_page(browser: Any, address: str, cookie: str, picture: dict[str, Any]) -> Any:
    """A signed-in page of the right size, colours and language."""
    width, height = SIZES[picture.get("size", "wide")]
    touch = {"has_touch": True, "is_mobile": True, "device_scale_factor": 2} if width < 600 else {}
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=picture.get("colours", "light"),
        locale=picture.get("language", "en"),
        **touch,
    )
    context.add_cookies([{"name": "assent_session", "value": cookie, "url": address}])
    return context.new_page()


def take(page: Any, picture: dict[str, Any]) -> None:
    """Do what the picture is to show. Steps are keys, "type …" and "answer N" (its digit, wherever it is shown)."""
    if page.locator("#guidelines").is_visible() and not picture.get("guidelines"):
        page.keyboard.press("Shift+G")
    doing: dict[str, Callable[[str], Any]] = {
        "type": page.keyboard.type,
        "answer": lambda number: page.keyboard.press(_digit(page, number)),
        "score": lambda said: _score(page, *said.split()),
        "select": lambda words: page.evaluate(SELECT, words),
        "tap": lambda number: page.locator("#tray .letter").nth(int(_digit(page, number)) - 1).tap(),
    }
    for step in picture.get("steps", []):
        verb, _, rest = str(step).partition(" ")
        if rest and verb in doing:
            doing[verb](rest)
        else:
            page.keyboard.press(verb)
    page.mouse.move(700, 5)
    page.wait_for_timeout(500)


SELECT = """words => {
  const walker = document.createTreeWalker(document.getElementById("answers"), NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const at = node.data.indexOf(words);
    if (at >= 0) return getSelection().setBaseAndExtent(node, at, node, at + words.length);
  }
}"""


def _digit(page: Any, number: str) -> str:
    """Where an answer of the file (counted from 1) is shown."""
    shown = page.eval_on_selector_all(".answer", "cards => cards.map(card => card.dataset.id)")
    return str(next(place for place, i in enumerate(shown, 1) if i.endswith(f"/{int(number) - 1}")))


def _score(page: Any, number: str, criterion: str, value: str) -> None:
    card = page.locator(".answer").nth(int(_digit(page, number)) - 1)
    card.locator(".score").nth(int(criterion) - 1).locator(".option").nth(int(value) - 1).click()


if __name__ == "__main__":
    main()
