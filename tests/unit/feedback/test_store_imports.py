"""Importing what a team already has: all or nothing, and the same file twice is once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from store_samples import comparison, judgment, people, task

from assent.core.errors import DataError, StoreError
from assent.core.types import Comparison, Judgment, Ranking, Rater
from assent.feedback.exporting import gather
from assent.feedback.records.queue import Counts, ImportCounts, Queue
from assent.feedback.store import Store

QUEUE = Queue("team")


def _turned(base: Comparison, **fields: object) -> Comparison:
    """The same comparison, ranked the other way round."""
    turned = tuple(
        j.model_copy(update={"ranking": Ranking(tiers=tuple(reversed(j.ranking.tiers))), **fields})  # type: ignore[union-attr]
        for j in base.judgments
    )
    return base.model_copy(update={"judgments": turned})


def test_what_comes_out_is_what_went_in(store: Store) -> None:
    given = [comparison("a", meta={"lang": "de"}), comparison("b", raters=("anna",))]
    assert store.import_comparisons(given, QUEUE, now=5) == ImportCounts(comparisons=2, added=3, known=0, new_raters=2)
    found = {c.prompt.text: c for c in store.comparisons(QUEUE)}
    for base in given:
        read = found[base.prompt.text]
        assert (read.prompt, read.completions, read.meta) == (base.prompt, base.completions, base.meta)
        assert [(j.rater_id, j.ranking) for j in read.judgments] == [(j.rater_id, j.ranking) for j in base.judgments]
    assert [r.id for r in store.raters()] == ["anna", "ben"]
    assert {r.kind for r in store.raters()} == {"person"}


def test_imported_tasks_do_not_wait_for_raters(store: Store) -> None:
    store.import_comparisons([comparison("a")], QUEUE, now=0)
    store.register_rater(people("carl")[0], now=0)
    assert store.counts(QUEUE) == Counts(2, 2)
    assert store.claim("carl", QUEUE, now=10**9) == []


def test_importing_again_changes_nothing(store: Store) -> None:
    given = [comparison(f"c{i}") for i in range(3)]
    store.import_comparisons(given, QUEUE, now=0)
    before = store.comparisons(QUEUE)
    again = store.import_comparisons([*given, comparison("new")], QUEUE, now=9)
    assert again == ImportCounts(comparisons=4, added=2, known=6, new_raters=0)
    assert [c for c in store.comparisons(QUEUE) if c.prompt.text != "question new"] == before


def test_a_row_that_stands_twice_in_a_file_counts_once(store: Store) -> None:
    counts = store.import_comparisons([comparison("a"), comparison("a")], QUEUE, now=0)
    assert (counts.added, counts.known) == (2, 2)


def test_a_rater_who_says_two_things_is_kept_twice(store: Store) -> None:
    base = comparison("a", raters=("anna",))
    for _ in range(2):
        store.import_comparisons([base, _turned(base)], QUEUE, now=0)
    rankings = {c.judgments[0].ranking.sentence() for c in store.comparisons(QUEUE)}  # type: ignore[union-attr]
    assert rankings == {"a/0 > a/1", "a/1 > a/0"}
    assert store.counts(QUEUE) == Counts(2, 2)


def test_a_correction_in_the_file_supersedes(store: Store) -> None:
    first = comparison("a", raters=("anna",))
    first = first.model_copy(update={"judgments": (first.judgments[0].model_copy(update={"id": "j1"}),)})
    second = _turned(first, id="j2", supersedes="j1")
    store.import_comparisons([first, second], QUEUE, now=0)
    (read,) = store.comparisons(QUEUE)
    assert [j.id for j in read.judgments] == ["j2"]
    assert store.import_comparisons([first, second], QUEUE, now=0).added == 0


def test_a_correction_of_something_that_is_not_in_the_file_stands_alone(store: Store) -> None:
    base = comparison("a", raters=("anna",))
    store.import_comparisons([_turned(base, id="j2", supersedes="lost")], QUEUE, now=0)
    assert [j.id for j in store.judgments(QUEUE)] == ["j2"]


def test_one_id_for_two_judgments_is_refused(store: Store) -> None:
    base = comparison("a", raters=("anna",))
    one = base.model_copy(update={"judgments": (base.judgments[0].model_copy(update={"id": "1"}),)})
    other = _turned(one)
    with pytest.raises(StoreError, match="judgment id '1'"):
        store.import_comparisons([one, other], QUEUE, now=0)
    assert store.judgments(QUEUE) == []


def test_a_file_that_breaks_half_way_imports_nothing(store: Store) -> None:
    def lines() -> Iterator[Comparison]:
        for i in range(700):  # more than one block
            yield comparison(f"c{i}", raters=("anna",))
        raise DataError("not JSON", path="ratings.jsonl", line=701)

    with pytest.raises(DataError, match=r"ratings\.jsonl:701"):
        store.import_comparisons(lines(), QUEUE, now=0)
    assert store.counts(QUEUE) == Counts(0, 0)
    assert store.raters() == []


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"ranking": Ranking(tiers=(("a/0",),))}, r"comparison of prompt .* leaves out answers \['a/1'\]"),
        ({"rater_id": ""}, "names no rater"),
        ({"edits": {"b/7": "x"}}, r"unknown answers \['b/7'\]"),
        ({"rater_id": "a\x00"}, "NUL"),
    ],
)
def test_a_judgment_that_does_not_fit_refuses_the_import(store: Store, fields: dict[str, object], message: str) -> None:
    base = comparison("a", raters=("anna",))
    wrong = base.model_copy(update={"judgments": (base.judgments[0].model_copy(update=fields),)})
    with pytest.raises(StoreError, match=message):
        store.import_comparisons([comparison("good"), wrong], QUEUE, now=0)
    assert store.counts(QUEUE) == Counts(0, 0)


def test_repeats_of_many_raters_keep_their_own_tasks(store: Store) -> None:
    """Two raters who each contradict themselves give two judgments of the task and two of its repeat."""
    base = comparison("a")
    store.import_comparisons([base, _turned(base)], QUEUE, now=0)
    sizes = sorted(len(c.judgments) for c in store.comparisons(QUEUE))
    assert sizes == [2, 2]
    by_rater: dict[str, list[Judgment]] = {}
    for one in store.judgments(QUEUE):
        by_rater.setdefault(one.rater_id, []).append(one)
    assert {rater: len({j.task_id for j in said}) for rater, said in by_rater.items()} == {"anna": 2, "ben": 2}


def test_an_export_of_this_very_store_adds_nothing_when_it_comes_back(store: Store) -> None:
    store.register_rater(Rater(id="anna", kind="person"), now=0)
    store.add_tasks([task("q-1", answers=3), task("q-2", answers=3)], now=0)
    for one in store.serve("anna", Queue(), limit=2, now=1):
        store.submit(judgment(one.task, "anna", f"j-{one.task.id}", critique="so"), token=one.token, now=2)
    exported = gather(store, Queue())
    again = store.import_comparisons(exported, Queue(), now=3)
    assert (again.added, again.known) == (0, 2)
    with pytest.raises(StoreError, match=r"is in project 'default' of this store already"):
        store.import_comparisons(exported, Queue("elsewhere"), now=3)
    changed = exported[0].judgments[0].model_copy(update={"critique": "otherwise"})
    with pytest.raises(StoreError, match="says something else"):
        store.import_comparisons([exported[0].model_copy(update={"judgments": (changed,)})], Queue(), now=3)
    assert store.task_ids(Queue("elsewhere")) == [] and len(store.judgments(Queue())) == 2
