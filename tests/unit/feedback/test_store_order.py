"""Following judgments by the last one seen: each comes once, whatever is written, imported or erased meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from sqlalchemy import delete, select, update
from store_samples import comparison, judgment, people, task

from assent.core.errors import ConflictError
from assent.feedback.queue import submissions
from assent.feedback.queue.listing import Listed
from assent.feedback.queue.order import number
from assent.feedback.records.queue import Queue
from assent.feedback.store import Store
from assent.feedback.tables.arrivals import LastNumber
from assent.feedback.tables.connection import read_transaction, write_transaction
from assent.feedback.tables.queue import JudgmentEvent, JudgmentRow


class _Follower:
    """Keeps the last judgment seen, as a program does that asks every minute for what is new."""

    def __init__(self, store: Store, queue: Queue = Queue(), **wanted: bool) -> None:
        self._store, self._queue, self._wanted = store, queue, wanted
        self._after: tuple[int, str] | None = None
        self.seen: list[str] = []

    def poll(self) -> list[Listed]:
        """What is new."""
        new: list[Listed] = []
        while page := self._store.listing.judgments(self._queue, after=self._after, limit=2, **self._wanted):
            new += page
            self._after = (page[-1].number, page[-1].judgment.id)
        self.seen += [one.judgment.id for one in new]
        return new

    def ids(self) -> list[str]:
        """Ids of what is new."""
        return [one.judgment.id for one in self.poll()]


@pytest.fixture
def asked(store: Store) -> Iterator[Store]:
    """A store with twelve tasks for three raters."""
    store.add_tasks([task(f"t{n}") for n in range(12)], slots=3, now=0)
    for rater in people("anna", "ben", "cleo"):
        store.register_rater(rater, now=0)
    yield store


def test_a_clock_that_goes_back_hides_nothing(asked: Store) -> None:
    follower = _Follower(asked)
    for n, now in enumerate((50.0, 10.0, 10.0, -3.0, 60.0)):
        asked.submit(judgment(task(f"t{n}"), "anna", f"j{n}"), now=now)
        assert follower.ids() == [f"j{n}"]
    assert follower.ids() == []


def test_an_import_with_an_older_time_comes_to_those_who_follow(asked: Store) -> None:
    follower = _Follower(asked)
    asked.submit(judgment(task("t0"), "anna", "a"), now=100)
    assert follower.ids() == ["a"]
    asked.import_comparisons([comparison(f"i{n}") for n in range(3)], Queue(), now=5)
    assert len(follower.ids()) == 6 and follower.ids() == []
    asked.import_comparisons([comparison(f"i{n}") for n in range(3)], Queue(), now=200)
    assert follower.ids() == [], "what is known already is not new"


def test_a_correction_is_new_and_what_it_corrects_is_not_told_again(asked: Store) -> None:
    current, every = _Follower(asked), _Follower(asked, with_superseded=True)
    asked.submit(judgment(task("t0"), "anna", "a1"), now=1)
    assert current.ids() == every.ids() == ["a1"]
    asked.submit(judgment(task("t0"), "anna", "a2", supersedes="a1"), now=1)
    asked.submit(judgment(task("t0"), "anna", "a3", supersedes="a2"), now=1)
    assert current.ids() == ["a3"]
    assert every.ids() == ["a2", "a3"]


def test_each_queue_is_followed_for_itself(asked: Store) -> None:
    asked.add_tasks([task("e", purpose="evaluation"), task("q", project="q")], now=0)
    followers = [_Follower(asked, queue) for queue in (Queue(), Queue(purpose="evaluation"), Queue("q"))]
    for n, name in enumerate(("t0", "e", "q", "t1")):
        known = {"e": task("e", purpose="evaluation"), "q": task("q", project="q")}
        asked.submit(judgment(known.get(name, task(name)), "anna", f"{n}-{name}"), now=0)
    assert [follower.ids() for follower in followers] == [["0-t0", "3-t1"], ["1-e"], ["2-q"]]


def test_an_erased_judgment_comes_again_emptied_to_those_who_ask_for_it(asked: Store) -> None:
    plain, careful = _Follower(asked), _Follower(asked, with_erased=True)
    for name in ("anna", "ben"):
        asked.submit(judgment(task("t0"), name, name, critique="words"), now=1)
    assert plain.ids() == careful.ids() == ["anna", "ben"]
    tombstone = asked.erase_rater("anna", now=2).tombstone
    (gone,) = careful.poll()
    assert (gone.judgment.id, gone.outcome, gone.judgment.rater_id) == ("anna", "erased", tombstone)
    assert gone.judgment.critique is None and gone.judgment.ranking is None
    asked.submit(judgment(task("t1"), "ben", "b2"), now=3)
    assert plain.ids() == careful.ids() == ["b2"]


def test_what_began_first_and_is_committed_last_comes_last(asked: Store) -> None:
    """Where several write at once (PostgreSQL), a judgment may be committed after a later one was read."""
    if asked._engine.dialect.name == "sqlite":
        pytest.skip("one writer at a time")
    follower = _Follower(asked)
    with write_transaction(asked._engine) as slow:
        submissions.submit(slow, judgment(task("t0"), "anna", "slow"), token=None, now=1)
        asked.submit(judgment(task("t1"), "ben", "quick"), now=2)
        assert follower.ids() == ["quick"]
        number(slow, ["slow"])
        waiting = threading.Thread(
            target=asked.submit, args=(judgment(task("t2"), "cleo", "next"),), kwargs={"now": 0.0}
        )
        waiting.start()
        time.sleep(0.3)
        assert waiting.is_alive() and follower.ids() == [], "its number would be read before the one that is not there"
    waiting.join(timeout=30)
    assert follower.ids() == ["slow", "next"]


def test_followers_of_writers_and_imports_at_once_get_every_judgment_once(asked: Store) -> None:
    followers = [_Follower(asked) for _ in range(2)]
    is_over = threading.Event()

    def follow(follower: _Follower) -> None:
        while not is_over.is_set():
            follower.poll()

    def rate(rater: str) -> None:
        for n in range(12):
            asked.submit(judgment(task(f"t{n}"), rater, f"{rater}-{n}"), now=-n)

    def bring(first: int) -> None:
        for n in range(first, first + 4):
            asked.import_comparisons([comparison(f"i{n}-{k}") for k in range(20)], Queue(), now=0)

    reading = [threading.Thread(target=follow, args=(one,)) for one in followers]
    writing = [threading.Thread(target=rate, args=(rater,)) for rater in ("anna", "ben", "cleo")]
    writing += [threading.Thread(target=bring, args=(first,)) for first in (0, 4)]
    for thread in (*reading, *writing):
        thread.start()
    for thread in writing:
        thread.join()
    is_over.set()
    for thread in reading:
        thread.join()
    stored = sorted(one.id for one in asked.judgments(Queue()))
    assert len(stored) == 3 * 12 + 8 * 20 * 2
    for follower in followers:
        follower.poll()
        assert sorted(follower.seen) == stored


def test_a_store_put_back_to_an_older_copy_refuses_the_cursors_of_later(asked: Store) -> None:
    for n in range(3):
        asked.submit(judgment(task(f"t{n}"), "anna", f"j{n}"), now=n)
    with write_transaction(asked._engine) as connection:  # as in a copy made before the last one
        connection.execute(delete(JudgmentEvent).where(JudgmentEvent.judgment_id == "j2"))
        connection.execute(delete(JudgmentRow).where(JudgmentRow.id == "j2"))
        connection.execute(update(LastNumber).values(number=2))
    with pytest.raises(ConflictError, match="older copy"):
        asked.listing.judgments(Queue(), after=(3, "j2"), limit=9)
    asked.submit(judgment(task("t5"), "anna", "other"), now=9)
    with pytest.raises(ConflictError, match="begin again without a cursor"):
        asked.listing.judgments(Queue(), after=(3, "j2"), limit=9)
    assert [one.judgment.id for one in asked.listing.judgments(Queue(), after=(2, "j1"), limit=9)] == ["other"]


def test_numbers_are_never_given_again(asked: Store) -> None:
    """Where the last judgments are taken out of the store, with their project say, the next one is still new."""
    for n in range(2):
        asked.submit(judgment(task(f"t{n}"), "anna", f"j{n}"), now=n)
    with write_transaction(asked._engine) as connection:
        connection.execute(delete(JudgmentEvent).where(JudgmentEvent.judgment_id == "j1"))
        connection.execute(delete(JudgmentRow).where(JudgmentRow.id == "j1"))
    asked.submit(judgment(task("t5"), "anna", "next"), now=9)
    assert [one.judgment.id for one in asked.listing.judgments(Queue(), after=(2, "j1"), limit=9)] == ["next"]


def test_no_judgment_is_left_without_a_number(asked: Store) -> None:
    asked.submit(judgment(task("t0"), "anna", "a"), now=0)
    asked.submit_all([(judgment(task(f"t{n}"), "ben", f"b{n}"), None) for n in range(3)], now=0)
    asked.import_comparisons([comparison("i")], Queue(), now=0)
    asked.erase_rater("ben", now=0)
    with read_transaction(asked._engine) as connection:
        numbers = connection.execute(select(JudgmentRow.number)).scalars().all()
        last = connection.execute(select(LastNumber.number)).scalar_one()
    assert None not in numbers and len(set(numbers)) == len(numbers) and max(n or 0 for n in numbers) == last
