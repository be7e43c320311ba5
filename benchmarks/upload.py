"""A large file comes in while people work: `python benchmarks/upload.py` uploads 100,000 tasks beside raters at work.

One server on SQLite. Scripted raters take and submit tasks, as in crowd.py but with good habits, while an admin
uploads the file on the page of tasks. The longest that a rater waited for an answer is to stay below two seconds. With
the figures stands the load of the machine, for on a busy one everything takes longer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import httpx2
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from crowd import QUEUE, Plan, prepare
from crowd_raters import Habits, ScriptedRater, Tally, client, csrf_in
from crowd_servers import Servers

from assent.feedback.store import Store

GOOD = dict.fromkeys(
    ("never", "late", "skip", "forge", "twice", "hang_up", "renew", "correct", "withdraw", "stale"), 0.0
)
HABITS = Habits(think=0.1, lease=900.0, **GOOD)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--raters", type=int, default=2)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="upload-") as name:
        folder = Path(name)
        url = f"sqlite:///{folder}/feedback.db"
        with Servers.running(url, folder, number=1) as servers:
            plan = Plan(raters=given.raters, tasks=3000, habits=HABITS)
            invitation, _ = prepare(url, plan)
            tally = Tally()
            before = os.getloadavg()[0]
            file = b"".join(line(n) for n in range(given.tasks))
            people = [f"rater-{n}" for n in range(given.raters)]
            work = beside(f"http://127.0.0.1:{servers.ports[0]}", url, people, invitation, tally, file)
            seconds = asyncio.run(work)
    print(f"{given.tasks} tasks ({len(file) / 1e6:.0f} MB) in {seconds:.1f} s")
    print(f"load of the machine before {before:.1f}, after {os.getloadavg()[0]:.1f}")
    print("| | requests | p50, ms | p95, ms | longest, ms |\n|---|---|---|---|---|")
    for kind, taken in tally.seconds.items():
        p50, p95, longest = np.percentile(taken, [50, 95, 100]) * 1000
        print(f"| {kind} | {len(taken)} | {p50:.0f} | {p95:.0f} | {longest:.0f} |")
    wrong = [*tally.problems, *(name for name in tally.counts if not name.endswith("200") and name != "retries")]
    if wrong or tally.counts["retries"]:
        raise SystemExit(f"refused or lost: {wrong}, {tally.counts['retries']} retries")


async def beside(address: str, url: str, names: list[str], invitation: str, tally: Tally, file: bytes) -> float:
    """Let raters work from a few seconds before the upload of a file to its end; the seconds it took."""
    is_over = False
    people = [
        ScriptedRater(name, invitation, QUEUE.project, where=lambda: address, tally=tally, habits=HABITS)
        for name in names
    ]
    async with asyncio.TaskGroup() as together:
        for one in people:
            together.create_task(one.work(lambda: is_over))
        async with client(timeout=600) as admin:
            kinds = {"Content-Type": "application/octet-stream", "Accept": "application/json"}
            headers = {**kinds, "X-CSRF-Token": await signed_in(admin, address, url)}
            await asyncio.sleep(5)
            began = time.monotonic()
            path = f"{address}/admin/projects/{QUEUE.project}/tasks?file=tasks.jsonl"
            answer = await admin.post(path, content=file, headers=headers)
            seconds = time.monotonic() - began
            answer.raise_for_status()
            if answer.json()["added"] != file.count(b"\n"):
                raise SystemExit(f"not all tasks came in: {answer.json()}")
        is_over = True
    return seconds


async def signed_in(admin: httpx2.AsyncClient, address: str, url: str) -> str:
    """Sign a new admin in by a one-time link; the value that scripts send along."""
    with Store.open(url) as store:
        account = store.accounts.create("uploader", "admin", now=time.time())
        link = f"{address}/enter/{store.accounts.new_link(account.rater_id, now=time.time())}"
    form = {"csrf": csrf_in((await admin.get(link)).text)}
    await admin.post(link, data=form)
    page = await admin.get(f"{address}/admin/projects/{QUEUE.project}/tasks")
    page.raise_for_status()
    return csrf_in(page.text)


def line(number: int) -> bytes:
    """A task as a line of JSON, of about 900 bytes."""
    answers = [f"Answer {k}: " + "text " * 60 for k in "ab"]
    row = {"prompt": f"Question {number}: " + "some words " * 20, "answers": answers}
    return json.dumps(row).encode() + b"\n"


if __name__ == "__main__":
    main()
