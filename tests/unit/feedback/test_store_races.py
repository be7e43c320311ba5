"""Things that several servers do at the same moment: nobody gets an error for it, and each happens once."""

from __future__ import annotations

import itertools
import time
from typing import Any

import pytest
from sqlalchemy import Connection, insert
from store_samples import at_once, people, task

from assent.core.errors import StoreError
from assent.core.types import Judgment, Ranking
from assent.feedback.people import accounts
from assent.feedback.queue.candidates import Candidates
from assent.feedback.queue.tasks import slot_row
from assent.feedback.records.people import Participant
from assent.feedback.records.queue import Queue
from assent.feedback.records.settings import ProjectSettings
from assent.feedback.store import Store
from assent.feedback.tables.queue import Slot

QUEUE = Queue()


def test_servers_that_start_together_make_one_admin(store: Store) -> None:
    tokens = at_once(8, lambda _: store.accounts.first_admin(now=1.0))
    assert sorted(type(token).__name__ for token in tokens) == ["NoneType"] * 7 + ["str"]


def test_a_server_that_is_slow_to_name_its_admin_makes_no_second_one(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick, waits = accounts._admin_login, itertools.count()

    def slow(connection: Connection) -> str:
        time.sleep(0.1 * next(waits))  # whoever comes later finds the name taken, and would take the next
        return quick(connection)

    monkeypatch.setattr(accounts, "_admin_login", slow)
    at_once(4, lambda _: store.accounts.first_admin(now=1.0))
    assert [one.login for one in store.accounts.all()] == ["admin"]


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


def test_a_slot_added_amid_a_draw_gives_nobody_a_task_they_have_judged(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On PostgreSQL a slot that another rater's request adds is seen at once; here it is added by the same hand."""
    known, new = task("t0"), task("t1")
    store.projects.save("default", ProjectSettings(newcomer_tasks=0, gold_share=0, random_share=1), now=0.0)
    store.register_rater(people("r0")[0], now=0)
    store.add_tasks([known], now=0)
    (first,) = store.serve("r0", QUEUE, limit=1, now=1)
    store.submit(_judgment("t0", Ranking(tiers=tuple((c.id,) for c in known.completions))), token=first.token, now=1)
    store.add_tasks([new], now=0)
    draw, added = Candidates.draw, []

    def draw_amid(self: Candidates, *args: Any, **named: Any) -> Any:
        if not added:
            added.append(self._connection.execute(insert(Slot), [slot_row(known, 1, place=-9.0)]))
        return draw(self, *args, **named)

    monkeypatch.setattr(Candidates, "draw", draw_amid)
    assert [one.task.id for one in store.serve("r0", QUEUE, limit=1, now=2)] == ["t1"]
    assert added


def _judgment(task_id: str, ranking: Ranking) -> Judgment:
    return Judgment(id=f"j-{task_id}", task_id=task_id, rater_id="r0", ranking=ranking)


def test_one_participant_who_comes_in_many_times_at_once_gets_one_account(store: Store) -> None:
    token = store.accounts.invitations.add("rater", project="default", max_uses=9, now=0).token
    who = Participant("PROLIFIC_PID", "5f1a")
    came = at_once(8, lambda _: store.accounts.participants.enter(token, who, now=1))
    assert len({account.rater_id for account in came}) == 1
    assert len(store.accounts.all()) == 1
    assert store.accounts.invitations.all()[0].uses == 1
