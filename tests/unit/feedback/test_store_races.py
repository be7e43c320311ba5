"""Things that several servers do at the same moment: nobody gets an error for it, and each happens once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from store_samples import people, task

from assent.core.errors import StoreError
from assent.core.types import Judgment, Ranking
from assent.feedback.records import Queue
from assent.feedback.settings import ProjectSettings
from assent.feedback.store import Store

QUEUE = Queue()


def at_once(number: int, work: Callable[[int], Any]) -> list[Any]:
    """What `work(0)` … `work(number - 1)` return when all start together; an error counts as what is returned."""
    together = threading.Barrier(number)
    results: list[Any] = [None] * number

    def run(i: int) -> None:
        together.wait()
        try:
            results[i] = work(i)
        except Exception as error:
            results[i] = error

    threads = [threading.Thread(target=run, args=(i,)) for i in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_servers_that_start_together_make_one_admin(store: Store) -> None:
    tokens = at_once(8, lambda _: store.accounts.first_admin(now=1.0))
    assert sorted(type(token).__name__ for token in tokens) == ["NoneType"] * 7 + ["str"]


def test_of_people_who_take_one_name_together_one_gets_it(store: Store) -> None:
    made = at_once(8, lambda _: store.accounts.create("Anna", "rater", now=1.0))
    refused = [error for error in made if isinstance(error, StoreError)]
    assert len(refused) == 7 and all("'anna' is taken" in str(error) for error in refused)


def test_raters_who_are_given_the_same_known_answer_together_each_get_a_slot_of_it(store: Store) -> None:
    gold = task("gold")
    store.projects.save("default", ProjectSettings(gold_share=0.5, newcomer_tasks=0), now=0.0)
    store.add_tasks([gold, *(task(f"t{i}") for i in range(40))], now=0)
    store.projects.set_gold("gold", Ranking(tiers=tuple((c.id,) for c in gold.completions)), now=0.0)
    raters = people(*(f"r{i}" for i in range(8)))
    for rater in raters:
        store.register_rater(rater, now=0)
    served = at_once(8, lambda i: store.serve(raters[i].id, QUEUE, limit=5, now=1))
    assert [len(tasks) for tasks in served] == [5] * 8, served
    tokens = [one.token for tasks in served for one in tasks]
    assert len(set(tokens)) == 40, "nobody holds a lease of somebody else"


def test_newcomers_who_reach_for_the_same_tasks_together_are_all_served(store: Store) -> None:
    store.projects.save("default", ProjectSettings(newcomer_tasks=30, newcomer_overlap=3), now=0.0)
    store.add_tasks([task(f"t{i}") for i in range(12)], now=0)
    raters = people(*(f"r{i}" for i in range(9)))
    for rater in raters:
        store.register_rater(rater, now=0)
    first = store.serve("r0", QUEUE, limit=3, now=1)
    for one in first:
        ranking = Ranking(tiers=tuple((c.id,) for c in one.task.completions))
        store.submit(_judgment(one.task.id, ranking), token=one.token, now=1)
    served = at_once(8, lambda i: store.serve(raters[i + 1].id, QUEUE, limit=2, now=2))
    assert [type(tasks).__name__ for tasks in served] == ["list"] * 8, served
    leases = [one.token for tasks in served for one in tasks]
    assert len(set(leases)) == len(leases)


def _judgment(task_id: str, ranking: Ranking) -> Judgment:
    return Judgment(id=f"j-{task_id}", task_id=task_id, rater_id="r0", ranking=ranking)
