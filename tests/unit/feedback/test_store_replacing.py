"""Replacing known tasks: nobody's words about the old content ever count for the new."""

from __future__ import annotations

import pytest
from store_samples import at_once, judgment, people, task

from assent.core.errors import ConflictError, StoreError
from assent.core.types import Completion, Judgment, Prompt, Ranking, Task
from assent.feedback.records.queue import Counts, Queue
from assent.feedback.records.settings import ProjectSettings
from assent.feedback.store import Store

PLAIN = ProjectSettings(overlap_share=0, newcomer_overlap=1, gold_share=0, repeat_share=0)


def other(name: str, text: str = "new", *, ids: bool = False, **fields: object) -> Task:
    """Task `name` with other texts; with `ids` its answers have the ids of `task(name)`."""
    prompt = Prompt.of(f"{text} question {name}")
    said = [f"{text} answer {i}" for i in range(2)]
    named = [f"{name}/{i}" if ids else "" for i in range(2)]
    answers = tuple(Completion(prompt_id=prompt.id, text=t, id=i) for t, i in zip(said, named, strict=True))
    return Task(id=name, prompt=prompt, completions=answers, **fields)  # type: ignore[arg-type]


@pytest.fixture
def asked(store: Store) -> Store:
    """A store with the task `t`, and with anna and ben."""
    store.projects.save("default", PLAIN, now=0)
    for rater in people("anna", "ben"):
        store.register_rater(rater, now=0)
    store.add_tasks([task("t")], now=0)
    return store


def _say(store: Store, one: Task, rater: str = "anna", name: str = "j", token: str | None = None) -> None:
    store.submit(judgment(one, rater, name), token=token, now=5)


def test_a_task_that_nobody_judged_gets_the_new_content(asked: Store) -> None:
    found = asked.studies.replace([other("t"), task("fresh")], now=9)
    assert (found.ids, found.added, found.changed, found.set_aside, found.known) == (
        {"t": "t", "fresh": "fresh"},
        1,
        1,
        0,
        0,
    )
    assert asked.tasks(["t"]) == {"t": other("t")}
    assert asked.counts(Queue()) == Counts(0, 2)
    assert asked.studies.replace([other("t"), task("fresh")], now=10).known == 2, "once more changes nothing"
    with pytest.raises(StoreError, match="with other content"):
        asked.add_tasks([task("t")], now=11)


@pytest.mark.parametrize("ids", [False, True])
def test_who_holds_the_old_content_is_refused_and_given_the_new(asked: Store, ids: bool) -> None:
    (held,) = asked.serve("anna", Queue(), now=1)
    asked.studies.replace([other("t", ids=ids)], now=2)
    for token in (held.token, None):
        with pytest.raises(ConflictError, match="task 't' got other content since it was given out"):
            _say(asked, held.task, token=token)
    assert asked.judgments(Queue()) == [] and asked.renew("anna", held.token, now=3) is None
    (again,) = asked.serve("anna", Queue(), now=4)
    assert again.task == other("t", ids=ids) and sorted(again.order) == sorted(c.id for c in again.task.completions)
    with pytest.raises(ConflictError, match="got other content"):
        _say(asked, held.task, token=held.token)  # an old window beside the new one
    _say(asked, again.task, token=again.token)
    corrected = judgment(again.task, "anna", "k", supersedes="j")
    assert asked.submit(corrected, now=6).status == "stored"


def test_a_judged_task_is_kept_with_its_judgments_and_the_new_one_gets_an_id_of_its_own(asked: Store) -> None:
    _say(asked, task("t"))
    found = asked.studies.replace([other("t")], slots=2, now=9)
    assert (found.ids, found.changed, found.set_aside) == ({"t": "t.2"}, 0, 1)
    assert asked.tasks(["t", "t.2"]) == {"t": task("t"), "t.2": other("t").model_copy(update={"id": "t.2"})}
    assert asked.studies.states(["t"])["t"].aside == "replaced"
    assert [j.task_id for j in asked.judgments(Queue())] == ["t"]
    assert [(o.task_id, o.unjudged) for o in asked.open_tasks(Queue())] == [("t.2", 2)]
    assert asked.studies.replace([other("t")], slots=2, now=10).known == 1, "once more changes nothing"
    assert asked.task_ids(Queue()) == ["t", "t.2"]


def test_a_late_judgment_of_a_task_set_aside_is_kept_for_that_one(asked: Store) -> None:
    asked.studies.want({"t": 2})
    (held,) = asked.serve("ben", Queue(), now=1)
    _say(asked, task("t"))
    asked.studies.replace([other("t")], now=2)
    assert asked.renew("ben", held.token, now=3) is None, "the claim ended"
    assert [one.task.id for one in asked.serve("ben", Queue(), limit=3, now=3)] == ["t.2"]
    assert asked.submit(judgment(held.task, "ben", "late"), token=held.token, now=4).status == "surplus"
    assert sorted((j.id, j.task_id) for j in asked.judgments(Queue())) == [("j", "t"), ("late", "t")]


def test_further_contents_go_on_from_the_task_at_work(asked: Store) -> None:
    _say(asked, task("t"))
    asked.studies.replace([other("t", "second")], now=2)
    found = asked.studies.replace([other("t", "third")], now=3)
    assert (found.ids, found.changed) == ({"t": "t.2"}, 1), "nobody had judged the second"
    _say(
        asked,
        other("t", "third").model_copy(update={"id": "t.2"}),
        "ben",
        "k",
        asked.serve("ben", Queue(), now=4)[0].token,
    )
    assert asked.studies.replace([other("t", "fourth")], now=5).ids == {"t": "t.3"}
    assert [o.task_id for o in asked.open_tasks(Queue())] == ["t.3"]
    back = asked.studies.replace([task("t")], now=6)
    assert (back.ids, back.set_aside, back.known) == ({"t": "t"}, 1, 0), "the first content is at work again"
    states = asked.studies.states(["t", "t.2", "t.3"])
    assert [states[i].aside for i in ("t", "t.2", "t.3")] == [None, "replaced", "replaced"]


def test_an_id_that_somebody_else_has_is_not_taken(asked: Store) -> None:
    asked.add_tasks([task("t.2")], now=0)
    _say(asked, task("t"))
    assert asked.studies.replace([other("t")], now=2).ids == {"t": "t.3"}


def test_what_is_known_elsewhere_is_refused_before_anything_changes(asked: Store) -> None:
    asked.add_tasks([task("u", project="second")], now=0)
    with pytest.raises(StoreError, match="task 'u' is in project 'second' already"):
        asked.studies.replace([task("new"), other("t"), other("u")], now=1)
    assert asked.tasks(["t", "new"]) == {"t": task("t")}
    asked.projects.archive("default", is_archived=True, now=2)
    with pytest.raises(ConflictError, match="archived"):
        asked.studies.replace([other("t")], now=3)


def test_a_known_answer_that_does_not_fit_any_more_is_dropped_and_counted(asked: Store) -> None:
    asked.projects.set_gold("t", Ranking(tiers=(("t/0",), ("t/1",))), now=1)
    assert asked.studies.replace([other("t", ids=True)], now=2).gold_dropped == 0
    assert asked.studies.replace([other("t", "third")], now=3).gold_dropped == 1
    assert asked.projects.gold("default") == {}


def test_a_decision_or_a_skip_counts_as_judged(asked: Store) -> None:
    asked.add_tasks([task("u")], now=0)
    asked.projects.adjudicate("t", "anna", Ranking(tiers=(("t/0",), ("t/1",))), "clear", now=1)
    asked.submit(Judgment(task_id="u", rater_id="anna", id="s", skip_reason="unsure"), now=1)
    assert asked.studies.replace([other("t"), other("u")], now=2).ids == {"t": "t.2", "u": "u.2"}


def test_many_at_once_come_in_beside_those_that_are_replaced(asked: Store) -> None:
    many = [task(f"m-{n}") for n in range(300)]
    assert asked.studies.replace([other("t"), *many], now=2).added == 300
    assert asked.counts(Queue()) == Counts(0, 301)


def test_judging_and_replacing_at_the_same_moment_never_mix(asked: Store) -> None:
    many = [task(f"r-{n}") for n in range(12)]
    asked.add_tasks(many, now=0)
    held = {one.task.id: one for one in asked.serve("anna", Queue(), limit=12, now=1)}

    def work(n: int) -> object:
        if n == 0:
            return asked.studies.replace([other(one.id, ids=True) for one in many], now=2)
        return [_attempt(asked, one.task, one.token) for one in held.values()]

    replaced, _ = at_once(2, work)
    for one in many:
        said = [j for j in asked.judgments(Queue()) if j.task_id == one.id]
        assert asked.tasks([one.id])[one.id] == (one if said else other(one.id, ids=True))
        assert replaced.ids[one.id] == (f"{one.id}.2" if said else one.id)


def _attempt(store: Store, one: Task, token: str) -> str:
    try:
        return store.submit(judgment(one, "anna", f"j-{one.id}"), token=token, now=3).status
    except ConflictError:
        return "refused"
