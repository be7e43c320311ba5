"""Long lists of the store: every page goes on where the last one ended, whatever is added meanwhile."""

from __future__ import annotations

import pytest
from store_samples import judgment, people, task

from assent.core.types import Judgment, Ranking, Rater
from assent.data.aside import without
from assent.data.losses import SINGLES, SKIPS, Losses
from assent.feedback.exporting import gather
from assent.feedback.queue.listing import Activity
from assent.feedback.records.queue import Queue
from assent.feedback.store import Store


def test_tasks_come_in_pages_by_id(store: Store) -> None:
    store.add_tasks([task(f"t{n}") for n in (3, 1, 2, 0)], now=0)
    store.add_tasks([task("other", project="q"), task("rated", purpose="evaluation")], now=0)
    first = store.listing.tasks(Queue(), limit=3)
    assert [one.id for one in first] == ["t0", "t1", "t2"] and first[0] == task("t0")
    store.add_tasks([task("t1b"), task("t9")], now=1)
    assert [one.id for one in store.listing.tasks(Queue(), after="t2", limit=3)] == ["t3", "t9"]


def test_a_page_of_ids_comes_with_the_number_of_all(store: Store) -> None:
    store.add_tasks([task(f"t{n}") for n in range(5)] + [task("q", project="q")], now=0)
    assert store.listing.page_of_ids(Queue(), page=2, size=2) == (["t2", "t3"], 5)
    assert store.listing.page_of_ids(Queue(), page=4, size=2) == ([], 5)


def test_judgments_come_in_the_order_they_were_kept_whatever_the_clock_says(store: Store) -> None:
    tasks = [task(f"t{n}") for n in range(4)]
    store.add_tasks(tasks, now=0)
    store.register_rater(people("anna")[0], now=0)
    for one, at in zip(tasks, (2.0, 1.0, 1.0, 3.0), strict=True):
        store.submit(judgment(one, "anna", f"j-{one.id}"), now=at)
    seen, after = [], None
    while page := store.listing.judgments(Queue(), after=after, limit=1):
        seen.append(page[0].judgment.id)
        after = (page[0].number, page[0].judgment.id)
    assert seen == ["j-t0", "j-t1", "j-t2", "j-t3"]


def test_superseded_and_erased_judgments(store: Store) -> None:
    store.add_tasks([task("t")], slots=2, now=0)
    for rater in people("anna", "ben"):
        store.register_rater(rater, now=0)
    store.submit(judgment(task("t"), "anna", "a1"), now=1)
    store.submit(judgment(task("t"), "anna", "a2", supersedes="a1"), now=2)
    store.submit(judgment(task("t"), "ben", "b1"), now=3)
    assert [one.judgment.id for one in store.listing.judgments(Queue(), limit=9)] == ["a2", "b1"]
    every = store.listing.judgments(Queue(), limit=9, with_superseded=True)
    assert {one.judgment.id: one.superseded_by for one in every} == {"a1": "a2", "a2": None, "b1": None}
    assert store.listing.queues_of("ben") == [Queue()] and store.listing.erased(Queue()) == []
    store.erase_rater("ben", now=4)
    assert [one.judgment.id for one in store.listing.judgments(Queue(), limit=9)] == ["a2"]
    assert store.listing.erased(Queue()) == ["b1"] and store.listing.queues_of("ben") == []


def test_whether_more_is_judged_than_so_many_is_told_as_counts_tell_it(store: Store) -> None:
    store.add_tasks([task(f"t{n}") for n in range(3)], slots=2, now=0)
    for rater in people("anna", "ben"):
        store.register_rater(rater, now=0)
    for n in range(3):
        store.submit(judgment(task(f"t{n}"), "anna", f"a{n}"), now=n)
    store.submit(Judgment(task_id="t0", rater_id="ben", id="skip"), now=9)
    have = store.counts(Queue()).have
    assert have == 3 and [store.listing.has_judged_more(Queue(), than=n) for n in (2, 3)] == [True, False]


def test_what_each_rater_did_is_counted_without_skips_and_once(store: Store) -> None:
    assert store.listing.activity() == {}
    store.add_tasks([task("t"), task("u"), task("e", project="other", purpose="evaluation")], slots=3, now=0)
    for rater in people("anna", "ben", "cleo"):
        store.register_rater(rater, now=0)
    store.submit(judgment(task("t"), "anna", "a1"), now=1)
    store.submit(judgment(task("t"), "anna", "a2", supersedes="a1"), now=2)
    store.submit(judgment(task("e"), "anna", "a3"), now=5)
    store.submit(Judgment(task_id="u", rater_id="anna", id="skip"), now=9)
    store.submit(judgment(task("t"), "ben", "b1"), now=3)
    store.submit(judgment(task("u"), "cleo", "c1"), now=4)
    store.erase_rater("cleo", now=6)
    assert store.listing.activity() == {"anna": Activity(2, 5.0), "ben": Activity(1, 3.0)}


def test_raters_with_what_they_said_and_without_the_erased(store: Store) -> None:
    for name in ("c", "a", "b"):
        rater = Rater(id=name, kind="person", attributes={"region": name, "age": "old"})
        store.register_rater(rater, consent="v1", now=0)
    store.erase_rater("b", now=1)
    assert [rater.id for rater in store.listing.raters(limit=1)] == ["a"]
    (last,) = store.listing.raters(after="a", limit=5)
    assert last == store.listing.rater("c") and last.attributes == {"age": "old", "region": "c"}
    assert store.listing.rater("b") is None and store.listing.rater("nobody") is None


def test_snapshots_say_how_much_they_hold_and_whether_they_can_be_read(store: Store) -> None:
    store.add_tasks([task("t")], slots=2, now=0)
    for rater in people("anna", "ben"):
        store.register_rater(rater, now=0)
        store.submit(judgment(task("t"), rater.id, rater.id), now=1)
    taken = store.snapshot("monday", Queue(), now=2)
    store.erase_rater("ben", now=3)
    store.snapshot("monday", Queue(), now=4)
    first, second = store.listing.snapshots("default")
    assert (first.hash, first.judgments, first.created_at, first.touched_at) == (taken.hash, 2, 2, 3)
    assert (second.name, second.judgments, second.touched_at) == ("monday", 1, None)


def test_an_export_holds_rankings_and_marks_and_counts_the_rest(store: Store) -> None:
    store.add_tasks([task("t", answers=3), task("u"), task("one", answers=1, kind="rate")], slots=3, now=0)
    for rater in people("anna", "ben"):
        store.register_rater(rater, now=0)
    ranking = Ranking(tiers=(("t/0",), ("t/1", "t/2")))
    store.submit(Judgment(id="a", task_id="t", rater_id="anna", ranking=ranking), now=1)
    store.submit(Judgment(id="b", task_id="t", rater_id="ben", flags={"t/0": ("unsafe",)}), now=1)
    store.submit(Judgment(id="c", task_id="u", rater_id="ben", critique="neither"), now=1)
    store.submit(Judgment(id="d", task_id="u", rater_id="anna", skip_reason="unclear"), now=1)
    store.submit(Judgment(id="e", task_id="one", rater_id="anna", scores={"one/0": {"kind": 2}}), now=1)
    losses = Losses()
    comparisons = without(gather(store, Queue()), losses)
    counts = {loss: losses.counts[loss] for loss in (SINGLES, SKIPS)}
    assert counts == {SINGLES: 1, SKIPS: 1}
    assert [[j.id for j in c.judgments] for c in comparisons] == [["a", "b"], ["c"]]
    snapshot = store.snapshot("s", Queue(), now=2)
    store.submit(Judgment(id="f", task_id="one", rater_id="ben", scores={"one/0": {"kind": 1}}), now=3)
    held = gather(store, Queue(), snapshot=snapshot.hash)
    assert [[j.id for j in one.judgments] for one in held] == [["e"], ["a", "b"], ["c"]], "no skip, nothing later"


@pytest.mark.parametrize("name", ["a'b", 'a"b', "a/b", "ü", "a%b"])
def test_odd_ids_are_only_ids(store: Store, name: str) -> None:
    store.register_rater(Rater(id=name, kind="autorater"), now=0)
    found = store.listing.rater(name)
    assert found is not None and found.id == name
