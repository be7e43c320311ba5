"""Many raters at once, and writers that die: no slot judged twice, no acknowledged judgment lost."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

from store_samples import judgment, people, task

from assent.core.types import Ranking, Rater
from assent.feedback.records.queue import Counts, Queue
from assent.feedback.records.settings import ProjectSettings
from assent.feedback.store import Store

QUEUE = Queue()
THREADS = 8
PROCESSES = 2


def _rate(store: Store, rater: str, done: list[str]) -> None:
    """Claim and submit until the queue is empty; another's open transaction may hide its last tasks for a moment."""
    while store.open_tasks(QUEUE):
        claims = store.claim(rater, QUEUE, limit=2, now=1)
        for claim in claims:
            receipt = store.submit(judgment(claim.task, rater, f"{rater}-{claim.task.id}"), token=claim.token, now=1)
            assert receipt.status == "stored"
            done.append(claim.task.id)
        if not claims and not _may_still_help(store, rater):
            return


def _may_still_help(store: Store, rater: str) -> bool:
    judged = {j.task_id for j in store.judgments(QUEUE) if j.rater_id == rater}
    return any(open_task.task_id not in judged for open_task in store.open_tasks(QUEUE))


def _process(url: str, name: str) -> None:
    """Eight raters on eight threads that share one store."""
    failed: list[BaseException] = []

    def run(rater: str) -> None:
        try:
            _rate(store, rater, [])
        except BaseException as error:
            failed.append(error)

    with Store.open(url) as store:
        threads = [threading.Thread(target=run, args=(f"{name}-{i}",)) for i in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if failed:
        raise failed[0]


def test_no_slot_is_judged_twice_by_many_threads_and_processes(url: str) -> None:
    tasks = [task(f"t{i:02}") for i in range(15)]
    with Store.open(url) as store:
        store.add_tasks(tasks, slots=3, now=0)
        for process in range(PROCESSES):
            for rater in people(*(f"p{process}-{i}" for i in range(THREADS))):
                store.register_rater(rater, now=0)
        context = multiprocessing.get_context("spawn")
        processes = [context.Process(target=_process, args=(url, f"p{i}")) for i in range(PROCESSES)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(timeout=120)
        assert [process.exitcode for process in processes] == [0] * PROCESSES
        said = store.judgments(QUEUE)
        assert store.counts(QUEUE) == Counts(45, 45)
        assert Counter(j.task_id for j in said) == Counter({t.id: 3 for t in tasks}), "each slot once, no surplus"
        assert len({(j.task_id, j.rater_id) for j in said}) == 45, "nobody judged a task twice"


def test_one_rater_with_two_tabs_does_not_get_a_task_twice(url: str) -> None:
    with Store.open(url) as store:
        store.add_tasks([task(f"t{i}") for i in range(10)], slots=2, now=0)
        store.register_rater(people("anna")[0], now=0)
        got: list[str] = []

        def tab() -> None:
            for _ in range(5):
                got.extend(claim.task.id for claim in store.claim("anna", QUEUE, limit=1, now=1))

        tabs = [threading.Thread(target=tab) for _ in range(4)]
        for thread in tabs:
            thread.start()
        for thread in tabs:
            thread.join()
        assert sorted(got) == [f"t{i}" for i in range(10)]


_WRITER = """
import sys
sys.path.insert(0, sys.argv[2])
from assent.feedback.records.queue import Queue
from assent.feedback.store import Store
from store_samples import judgment

with Store.open(sys.argv[1]) as store:
    while True:
        for claim in store.claim("anna", Queue(), limit=3, now=1):
            receipt = store.submit(judgment(claim.task, "anna", f"j-{claim.task.id}"), token=claim.token, now=1)
            print(receipt.judgment_id, flush=True)
"""


def test_every_acknowledged_judgment_survives_a_killed_writer(url: str) -> None:
    with Store.open(url) as store:
        store.add_tasks([task(f"t{i:04}") for i in range(2000)], now=0)
        store.register_rater(Rater(id="anna", kind="person"), now=0)
        acknowledged: list[str] = []
        for lines, delay in ((1, 0.02), (4, 0.13)):
            command = [sys.executable, "-c", _WRITER, url, str(Path(__file__).parent)]
            writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            assert writer.stdout is not None
            acknowledged += [writer.stdout.readline().strip() for _ in range(lines)]  # it is amid its loop now
            time.sleep(delay)
            os.kill(writer.pid, signal.SIGKILL)
            acknowledged += [
                line.strip() for line in writer.stdout.read().splitlines(keepends=True) if line.endswith("\n")
            ]
            writer.wait()
            store.release("anna")
    with Store.open(url) as store:
        said = {j.id for j in store.judgments(QUEUE)}
        assert len(acknowledged) > 3
        assert set(acknowledged) <= said
        assert len(said - set(acknowledged)) <= 2, "at most the one each writer had not yet reported"
        assert store.counts(QUEUE) == Counts(len(said), 2000)


def _is_done(store: Store) -> bool:
    """Nothing waits but the gold item, which those who were asked it as gold may not judge once more."""
    return {task.task_id for task in store.open_tasks(QUEUE)} <= {"t03"}


def _people_process(url: str, name: str) -> None:
    """Four people on four threads: served by settings, some skipping, until nothing is left for them."""
    failed: list[BaseException] = []

    def run(rater: str) -> None:
        try:
            idle = 0
            while idle < 3 or (idle < 50 and not _is_done(store)):  # somebody's last task may need others yet
                served = store.serve(rater, QUEUE, limit=2, now=1)
                idle = 0 if served else idle + 1
                time.sleep(0 if served else 0.2)
                for one in served:
                    said = judgment(one.task, rater, f"{rater}-{one.task.id}")
                    if one.task.id.endswith("7") and rater.endswith(("-0", "-1")):  # enough are left for it
                        said = said.model_copy(update={"ranking": None, "skip_reason": "tired"})
                    receipt = store.submit(said, token=one.token, now=1)
                    assert receipt.status == ("skipped" if said.skip_reason else "stored")
        except BaseException as error:
            failed.append(error)

    with Store.open(url) as store:
        threads = [threading.Thread(target=run, args=(f"{name}-{i}",)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if failed:
        raise failed[0]


def test_people_served_by_many_processes_fill_every_slot_once(url: str) -> None:
    tasks = [task(f"t{i:02}") for i in range(24)]
    with Store.open(url) as store:
        often = ProjectSettings(gold_share=0.2, repeat_share=0.2, repeat_after=2, newcomer_tasks=4, goal="near_ties")
        store.projects.save("default", often, now=0)
        store.add_tasks(tasks, slots={t.id: 3 for t in tasks[::4]}, now=0)
        store.set_priorities({t.id: i % 3 for i, t in enumerate(tasks)}, now=0)
        store.projects.set_gold("t03", Ranking(tiers=(("t03/0",), ("t03/1",))), now=0)
        for rater in people(*(f"p{process}-{i}" for process in range(PROCESSES) for i in range(4))):
            store.register_rater(rater, now=0)
        context = multiprocessing.get_context("spawn")
        processes = [context.Process(target=_people_process, args=(url, f"p{i}")) for i in range(PROCESSES)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(timeout=200)
        assert [process.exitcode for process in processes] == [0] * PROCESSES
        assert _is_done(store), store.open_tasks(QUEUE)
        rows = store.said("default")
        if store.open_tasks(QUEUE):
            assert len({row.rater_id for row in rows if row.task_id == "t03"}) == 4 * PROCESSES, "nobody is left for it"
        assert not any(row.is_surplus for row in rows)
        assert len({(row.task_id, row.rater_id) for row in rows}) == len(rows), "nobody judged a task twice"
        served = Counter(row.task_id for row in rows if row.outcome == "ranked" and row.repeat_of is None)
        assert all(served[t.id] >= (3 if i % 4 == 0 else 1) for i, t in enumerate(tasks))
