"""What the people at work can still give: overlap is no reason to wait for raters whom there are not."""

from __future__ import annotations

from store_samples import comparison, judgment, people, task

from assent.core.types import Judgment
from assent.feedback.queue.reach import AT_WORK_SECONDS
from assent.feedback.records.queue import Awaited, Counts, Queue, Quorum
from assent.feedback.store import Store

QUEUE = Queue()


def _judge(store: Store, rater: str, *names: str, now: float = 1.0) -> None:
    for name in names:
        store.submit(judgment(task(name), rater, f"{rater}-{name}"), now=now)


def _crew(store: Store, *names: str) -> None:
    for rater in people(*names):
        store.register_rater(rater, now=0)
    # t0 is wanted from three people, the others from one.
    store.add_tasks([task(f"t{n}") for n in range(3)], slots={"t0": 3}, now=0)


def test_before_anybody_has_judged_everything_is_wanted(store: Store) -> None:
    _crew(store, "anna", "ben")
    assert store.within_reach(QUEUE, now=1) == store.counts(QUEUE) == Counts(0, 5)


def test_one_person_alone_has_done_all_when_every_task_is_judged_once(store: Store) -> None:
    _crew(store, "anna", "ben")
    _judge(store, "anna", "t0")
    assert store.within_reach(QUEUE, now=2) == Counts(1, 3), "registered is not yet at work"
    _judge(store, "anna", "t1", "t2")
    assert store.within_reach(QUEUE, now=2) == Counts(3, 3)
    assert store.counts(QUEUE) == Counts(3, 5), "the other two places stay free for whoever comes"


def test_whoever_else_is_at_work_is_waited_for(store: Store) -> None:
    _crew(store, "anna", "ben", "cleo", "dan")
    _judge(store, "anna", "t0", "t1")
    _judge(store, "ben", "t2")
    assert store.within_reach(QUEUE, now=2) == Counts(3, 4), "ben has not seen the task of three"
    _judge(store, "ben", "t0")
    assert store.within_reach(QUEUE, now=2) == Counts(4, 4)
    store.add_tasks([task("t3")], now=2)
    _judge(store, "cleo", "t3", now=2)
    assert store.within_reach(QUEUE, now=3) == Counts(5, 6), "a third one may take the third place"


def test_who_skipped_a_task_is_not_waited_for_again(store: Store) -> None:
    _crew(store, "anna")
    _judge(store, "anna", "t0", "t1")
    store.submit(Judgment(task_id="t2", rater_id="anna", id="s", skip_reason="language"), now=1)
    assert store.within_reach(QUEUE, now=2) == Counts(2, 2)


def test_who_has_been_away_for_a_week_is_not_waited_for_but_untouched_tasks_are(store: Store) -> None:
    _crew(store, "anna", "ben")
    _judge(store, "ben", "t2", now=1)
    _judge(store, "anna", "t0", now=AT_WORK_SECONDS)
    later = AT_WORK_SECONDS + 2
    assert store.within_reach(QUEUE, now=later) == Counts(2, 3), "anna has t1 left, ben is gone"
    assert store.within_reach(QUEUE, now=2 * later) == Counts(2, 3), "somebody has to judge t1"
    _judge(store, "anna", "t1", now=later)
    assert store.within_reach(QUEUE, now=9 * later) == Counts(3, 3)


def test_the_disabled_the_erased_and_the_imported_are_not_at_work(store: Store) -> None:
    _crew(store, "anna", "cleo")
    ben = store.accounts.create("ben", "rater", now=0)
    _judge(store, "anna", "t0", "t1")
    _judge(store, ben.rater_id, "t2")
    _judge(store, "cleo", "t2")  # surplus, and at work all the same
    assert store.within_reach(QUEUE, now=2) == Counts(3, 5)
    store.accounts.change(ben.rater_id, is_disabled=True, now=2)
    assert store.within_reach(QUEUE, now=2) == Counts(3, 4)
    store.erase_rater("cleo", now=3)
    assert store.within_reach(QUEUE, now=3) == Counts(3, 3)
    store.import_comparisons([comparison("elsewhere", ("dora", "emil"))], QUEUE, now=3)
    assert store.within_reach(QUEUE, now=4) == Counts(5, 5)


def test_places_kept_for_one_rater_are_never_waited_for(store: Store) -> None:
    _crew(store, "anna")
    _judge(store, "anna", "t0", "t1", "t2")
    store.add_task_for("anna", task("own", kind="chat"), now=2)
    assert store.within_reach(QUEUE, now=3) == Counts(3, 3)


def test_who_is_named_is_waited_for_without_having_begun_and_without_an_account(store: Store) -> None:
    _crew(store, "anna")
    ben = store.accounts.create("ben", "rater", now=0)
    quorum = Quorum(logins=("ben", "cleo"))
    _judge(store, "anna", "t0", "t1", "t2")
    assert store.within_reach(QUEUE, now=2) == Counts(3, 3), "one alone is enough where nobody is named"
    assert store.within_reach(QUEUE, now=2, quorum=quorum) == Counts(3, 5), "t0 is wanted from three"
    assert store.listing.awaited(QUEUE, now=2, quorum=quorum) == [
        Awaited("ben", 1),
        Awaited("cleo", 1, has_account=False),
    ]
    _judge(store, ben.rater_id, "t0", now=2)
    assert store.within_reach(QUEUE, now=3, quorum=quorum) == Counts(4, 5), "cleo may still come"
    assert store.within_reach(QUEUE, now=3, quorum=Quorum(logins=("ben",))) == Counts(4, 4)


def test_named_people_are_waited_for_without_end_others_for_a_week(store: Store) -> None:
    _crew(store, "anna")
    ben = store.accounts.create("ben", "rater", now=0)
    _judge(store, ben.rater_id, "t1", now=1)
    _judge(store, "anna", "t2", now=1)
    quorum, later = Quorum(logins=("ben",)), 3 * AT_WORK_SECONDS
    assert store.listing.awaited(QUEUE, now=2, quorum=quorum) == [
        Awaited("anna", 1, last=1, until=1 + AT_WORK_SECONDS),
        Awaited("ben", 1, last=1),
    ]
    assert store.listing.awaited(QUEUE, now=later, quorum=quorum) == [Awaited("ben", 1, last=1)]
    store.accounts.change(ben.rater_id, is_disabled=True, now=later)
    assert store.listing.awaited(QUEUE, now=later, quorum=quorum) == [Awaited("", 1)], "who may not sign in is gone"


def test_a_number_of_people_is_waited_for_whoever_they_are(store: Store) -> None:
    _crew(store, "anna", "ben", "cleo")
    three = Quorum(number=3)
    assert store.listing.awaited(QUEUE, now=1, quorum=Quorum()) == []
    assert store.listing.awaited(QUEUE, now=1, quorum=three) == [Awaited("", 3, people=3)]
    _judge(store, "anna", "t0", "t1", "t2")
    assert store.within_reach(QUEUE, now=2, quorum=three) == Counts(3, 5)
    assert store.listing.awaited(QUEUE, now=2, quorum=three) == [Awaited("", 1, people=2)]
    _judge(store, "ben", "t0")
    assert store.within_reach(QUEUE, now=2, quorum=three) == Counts(4, 5)
    _judge(store, "cleo", "t0")
    assert store.within_reach(QUEUE, now=2, quorum=three) == Counts(5, 5)
