"""Claiming and submitting: who gets which task, and what becomes of what they say."""

from __future__ import annotations

import pytest
from store_samples import judgment, people, task

from assent.core.errors import StoreError
from assent.core.types import Completion, Judgment, Prompt, Ranking, Rater, Task
from assent.feedback.records.queue import Counts, Queue
from assent.feedback.store import Store

QUEUE = Queue()


@pytest.fixture
def two(store: Store) -> Store:
    """A store with raters anna and ben."""
    for rater in people("anna", "ben"):
        store.register_rater(rater, now=0)
    return store


def test_a_claimed_task_is_the_task_that_was_added(two: Store) -> None:
    prompt = Prompt(messages=Prompt.of("hi\u2028“ü”").messages, id="given", meta={"a": [1, None, {"b": 0.1}]})
    answers = tuple(
        Completion(
            prompt_id="given", text=text, source="s", finished=False, meta={"seed": 2**62, "sampler": {"t": 0.7}}
        )
        for text in ("b", "a", "\\u0000 is written out")
    )
    added = Task(id="t", prompt=prompt, completions=answers)
    two.add_tasks([added], now=0)
    assert [c.task for c in two.claim("anna", QUEUE, now=0)] == [added]


def test_adding_again_changes_nothing_and_other_content_is_refused(two: Store) -> None:
    first = task("t", answers=3)
    other_order = first.model_copy(update={"completions": first.completions[::-1]})
    assert two.add_tasks([first], now=0) == 1
    assert two.add_tasks([first], now=1) == 0
    assert two.add_tasks([other_order], now=1) == 0
    assert two.counts(QUEUE) == Counts(0, 1)
    with pytest.raises(StoreError, match="'t' is in the store with other content"):
        two.add_tasks([task("new"), task("t", answers=2)], now=1)
    assert two.counts(QUEUE) == Counts(0, 1), "nothing of a refused call stays"


def test_more_slots_can_be_asked_for_later(two: Store) -> None:
    two.add_tasks([task("t"), task("u")], now=0)
    two.add_tasks([task("t"), task("u")], slots={"t": 3}, now=0)
    assert two.counts(QUEUE) == Counts(0, 4)


def test_high_priority_first_then_first_judgments_then_arrival(two: Store) -> None:
    two.add_tasks([task("b"), task("a")], slots=2, now=0)
    two.add_tasks([task("urgent")], priority=1, now=1)
    assert [c.task.id for c in two.claim("anna", QUEUE, limit=2, now=2)] == ["urgent", "b"]
    assert [c.task.id for c in two.claim("ben", QUEUE, limit=9, now=2)] == ["a", "b"]


def test_a_rater_never_gets_a_task_twice(two: Store) -> None:
    two.add_tasks([task("t")], slots=3, now=0)
    claimed = two.claim("anna", QUEUE, limit=5, now=0)
    assert len(claimed) == 1
    assert two.claim("anna", QUEUE, now=1) == []
    assert len(two.claim("ben", QUEUE, limit=5, now=1)) == 1, "the other slots are for others"
    two.submit(judgment(claimed[0].task, "anna", "j"), token=claimed[0].token, now=2)
    assert two.claim("anna", QUEUE, now=10**9) == []


def test_queues_are_apart(two: Store) -> None:
    two.add_tasks([task("e", purpose="evaluation"), task("p", project="other")], now=0)
    assert two.claim("anna", QUEUE, now=0) == []
    assert two.claim("anna", Queue("default", "evaluation"), now=0)[0].task.id == "e"
    assert two.claim("anna", Queue("other"), now=0)[0].task.id == "p"


def test_a_lease_holds_until_it_expires(two: Store) -> None:
    two.add_tasks([task("t")], now=0)
    assert two.claim("anna", QUEUE, now=100, lease_seconds=50)
    assert two.claim("ben", QUEUE, now=149) == []
    assert two.claim("ben", QUEUE, now=150)[0].task.id == "t"


def test_released_tasks_go_to_others_at_once(two: Store) -> None:
    two.add_tasks([task("t"), task("u")], now=0)
    (first, _) = two.claim("anna", QUEUE, limit=2, now=0)
    two.submit(judgment(first.task, "anna", "j"), token=first.token, now=1)
    assert two.release("anna") == 1
    assert [c.task.id for c in two.claim("ben", QUEUE, limit=2, now=1)] == ["u"]


def test_submitting_twice_is_once(two: Store) -> None:
    two.add_tasks([task("t")], slots=2, now=0)
    claim = two.claim("anna", QUEUE, now=0)[0]
    said = judgment(claim.task, "anna", "j", seconds=3.5, flags={"t/0": ("unsafe",)}, scores={"t/1": {"honest": 0.1}})
    assert two.submit(said, token=claim.token, now=1).status == "stored"
    assert two.submit(said, token=claim.token, now=2).status == "known"
    assert two.judgments(QUEUE) == [said]
    assert two.counts(QUEUE) == Counts(1, 2)
    with pytest.raises(StoreError, match="'j' is in the store with other content"):
        two.submit(said.model_copy(update={"seconds": 4.0}), token=claim.token, now=3)


def test_a_late_answer_fills_its_slot_while_nobody_else_took_it(two: Store) -> None:
    two.add_tasks([task("t")], now=0)
    claim = two.claim("anna", QUEUE, now=0, lease_seconds=10)[0]
    assert two.submit(judgment(claim.task, "anna", "j"), token=claim.token, now=1000).status == "stored"
    assert two.counts(QUEUE) == Counts(1, 1)


def test_a_late_answer_is_surplus_where_the_slot_went_to_another(two: Store) -> None:
    two.add_tasks([task("t")], now=0)
    late = two.claim("anna", QUEUE, now=0, lease_seconds=10)[0]
    prompt = two.claim("ben", QUEUE, now=20, lease_seconds=10)[0]
    assert two.submit(judgment(late.task, "anna", "ja"), token=late.token, now=25).status == "surplus"
    assert two.submit(judgment(prompt.task, "ben", "jb"), token=prompt.token, now=26).status == "stored"
    assert two.counts(QUEUE) == Counts(1, 1)
    assert [j.rater_id for j in two.comparisons(QUEUE)[0].judgments] == ["anna", "ben"], (
        "surplus is read like any other"
    )


def test_a_late_answer_moves_to_another_free_slot(two: Store) -> None:
    two.add_tasks([task("t")], slots=2, now=0)
    late = two.claim("anna", QUEUE, now=0, lease_seconds=10)[0]
    assert two.claim("ben", QUEUE, now=20, lease_seconds=10)
    assert two.submit(judgment(late.task, "anna", "j"), token=late.token, now=25).status == "stored"
    assert two.counts(QUEUE) == Counts(1, 2)


def test_another_raters_lease_cannot_be_used(two: Store) -> None:
    two.add_tasks([task("t")], now=0)
    claim = two.claim("anna", QUEUE, now=0)[0]
    with pytest.raises(StoreError, match="lease of another rater"):
        two.submit(judgment(claim.task, "ben", "j"), token=claim.token, now=1)
    assert two.submit(judgment(claim.task, "ben", "j"), now=1).status == "surplus", "the slot is anna's"


def test_a_correction_takes_the_place_of_what_it_corrects(two: Store) -> None:
    two.add_tasks([task("t")], slots=2, now=0)
    claim = two.claim("anna", QUEUE, now=0)[0]
    first = judgment(claim.task, "anna", "j1")
    turned = Ranking(tiers=tuple(reversed(first.ranking.tiers)))  # type: ignore[union-attr]
    two.submit(first, token=claim.token, now=1)
    with pytest.raises(StoreError, match="current judgment of rater 'anna' on task 't' is 'j1'"):
        two.submit(judgment(claim.task, "anna", "j2", ranking=turned), now=2)
    second = judgment(claim.task, "anna", "j2", ranking=turned, supersedes="j1")
    assert two.submit(second, now=2).status == "stored"
    assert two.submit(first, token=claim.token, now=3).status == "known", "a retry of the first brings nothing back"
    assert two.judgments(QUEUE) == [second]
    assert two.judgments(QUEUE, with_superseded=True) == [first, second]
    assert two.counts(QUEUE) == Counts(1, 2)


def test_a_skip_is_kept_and_frees_the_slot_for_others(two: Store) -> None:
    two.add_tasks([task("t")], now=0)
    claim = two.claim("anna", QUEUE, now=0)[0]
    skip = Judgment(task_id="t", rater_id="anna", id="j")
    assert two.submit(skip, token=claim.token, now=1).status == "skipped"
    assert two.counts(QUEUE) == Counts(0, 1)
    assert two.claim("anna", QUEUE, now=2) == [], "who skipped is not asked again"
    assert two.claim("ben", QUEUE, now=2)[0].task.id == "t"
    assert two.judgments(QUEUE) == [skip]
    assert two.comparisons(QUEUE) == []


def test_a_judgment_taken_back_as_a_skip_frees_its_slot(two: Store) -> None:
    two.add_tasks([task("t")], now=0)
    claim = two.claim("anna", QUEUE, now=0)[0]
    two.submit(judgment(claim.task, "anna", "j1"), token=claim.token, now=1)
    two.submit(Judgment(task_id="t", rater_id="anna", id="j2", supersedes="j1"), now=2)
    assert two.counts(QUEUE) == Counts(0, 1)
    assert two.claim("ben", QUEUE, now=2)[0].task.id == "t"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"ranking": Ranking(tiers=(("t/0",), ("t/1",), ("x",)))}, r"unknown answers \['x'\]"),
        ({"ranking": Ranking(tiers=(("t/0",),))}, r"leaves out answers \['t/1', 't/2'\]"),
        ({"flags": {"x": ("unsafe",)}}, r"unknown answers \['x'\]"),
        ({"edits": {"x": "better"}}, r"unknown answers \['x'\]"),
        ({"scores": {"t/0": {"honest": float("nan")}}}, "not JSON"),
        ({"order_shown": ("t/0", "t/1")}, "order_shown must show each answer once"),
        ({"critique": "a\x00b"}, "NUL"),
        ({"task_id": "nowhere"}, "task 'nowhere' is not in the store"),
        ({"rater_id": "nobody"}, "rater 'nobody' is not known"),
        ({"id": ""}, "has no id"),
        ({"supersedes": "older"}, "is nothing"),
    ],
)
def test_a_judgment_that_does_not_fit_is_refused(two: Store, fields: dict[str, object], message: str) -> None:
    base = task("t", answers=3)
    two.add_tasks([base], now=0)
    with pytest.raises(StoreError, match=message):
        two.submit(judgment(base, "anna", "j").model_copy(update=fields), now=1)
    assert two.judgments(QUEUE) == []
    assert two.counts(QUEUE) == Counts(0, 1)


def test_an_answer_flagged_unusable_need_not_be_ranked(two: Store) -> None:
    base = task("t", answers=3)
    two.add_tasks([base], now=0)
    ranking = Ranking(tiers=(("t/0",), ("t/2",)))
    said = judgment(base, "anna", "j", ranking=ranking, flags={"t/1": ("unusable",)})
    assert two.submit(said, now=1).status == "stored"


def test_of_several_judgments_all_or_none_are_kept(two: Store) -> None:
    good, bad = task("a"), task("b")
    two.add_tasks([good, bad], now=0)
    wrong = judgment(bad, "anna", "j2", ranking=Ranking(tiers=(("a/0",), ("a/1",))))
    with pytest.raises(StoreError):
        two.submit_all([(judgment(good, "anna", "j1"), None), (wrong, None)], now=1)
    assert two.judgments(QUEUE) == []


def test_attributes_of_a_person_need_consent(store: Store) -> None:
    with pytest.raises(StoreError, match="consent"):
        store.register_rater(Rater(id="anna", kind="person", attributes={"region": "north"}), now=0)
    store.register_rater(Rater(id="anna", kind="person", attributes={"region": "north"}), consent="v1", now=0)
    store.register_rater(Rater(id="sim", kind="simulated", attributes={"group": "warm"}), now=0)
    assert store.raters() == [
        Rater(id="anna", kind="person", attributes={"region": "north"}),
        Rater(id="sim", kind="simulated", attributes={"group": "warm"}),
    ]
    with pytest.raises(StoreError, match="already known as person"):
        store.register_rater(Rater(id="anna", kind="simulated"), now=0)


def test_an_answer_to_another_prompt_is_refused(two: Store) -> None:
    stray = Task(id="t", prompt=Prompt.of("one"), completions=(Completion(prompt_id="other", text="x", id="c"),))
    with pytest.raises(StoreError, match="'c' belongs to another prompt"):
        two.add_tasks([stray], now=0)
