"""Running a study: tasks set aside and back, a stated number of judgments, tasks for named people, how tasks stand."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from store_samples import at_once, judgment, people, task

from assent.core.errors import StoreError
from assent.core.types import Judgment, Ranking
from assent.feedback.records.queue import Assignment, Counts, OpenTask, Queue, State
from assent.feedback.records.settings import ProjectSettings
from assent.feedback.records.webhooks import Hook
from assent.feedback.store import Store

QUEUE = Queue()
PLAIN = ProjectSettings(
    overlap_share=0, newcomer_tasks=0, newcomer_overlap=1, gold_share=0, repeat_share=0, random_share=1
)
NAMES = ("anna", "ben", "cleo", "dan", "eve", "finn")


def begin(store: Store, *names: str, slots: int = 1, is_cap: bool = False, settings: ProjectSettings = PLAIN) -> None:
    for rater in people(*NAMES):
        store.register_rater(rater, now=0)
    store.projects.save("default", settings, now=0)
    store.add_tasks([task(name) for name in names], slots=slots, now=0, is_cap=is_cap)


def given(store: Store, rater: str, *, limit: int = 9, now: float = 1) -> list[str]:
    """The tasks a rater is given, sorted, handed back at once."""
    found = sorted(one.task.id for one in store.serve(rater, QUEUE, limit=limit, now=now))
    store.release(rater)
    return found


def skip(store: Store, rater: str, name: str, reason: str = "broken", *, now: float = 2) -> None:
    store.submit(Judgment(task_id=name, rater_id=rater, id=f"skip {name} {rater} {now}", skip_reason=reason), now=now)


def in_state(store: Store, state: State, disputed: Sequence[str] = ()) -> list[str]:
    return [one.id for one, _ in store.studies.page(QUEUE, state=state, disputed=disputed, limit=50)]


def test_a_task_set_aside_is_given_to_nobody_and_not_waited_for_until_it_is_brought_back(store: Store) -> None:
    begin(store, "bad", "good", slots=2)
    store.submit(judgment(task("bad"), "anna", "a1"), now=1)
    assert store.studies.set_aside(["bad"], now=2) == 1
    assert store.studies.set_aside(["bad"], now=3) == 0
    assert given(store, "ben") == ["good"]
    assert store.claim("ben", QUEUE, limit=9, now=4)[0].task.id == "good"
    store.release("ben")
    assert store.counts(QUEUE) == Counts(1, 3)
    assert store.open_tasks(QUEUE) == [OpenTask("good", 2, 2)]
    assert store.studies.bring_back(["bad"], now=5) == 1
    assert given(store, "ben") == ["bad", "good"]
    assert store.counts(QUEUE) == Counts(1, 4)


def test_what_somebody_holds_of_a_task_set_aside_may_still_be_handed_in_and_fills_nothing(store: Store) -> None:
    begin(store, "bad")
    (held,) = store.serve("anna", QUEUE, now=1)
    store.studies.set_aside(["bad"], now=2)
    assert store.submit(judgment(task("bad"), "anna", "a1"), token=held.token, now=3).status == "surplus"
    assert store.counts(QUEUE) == Counts(0, 0)
    assert [one.id for one in store.judgments(QUEUE)] == ["a1"]


def test_a_judgment_taken_back_or_erased_does_not_reopen_a_task_set_aside(store: Store) -> None:
    begin(store, "bad", slots=2)
    store.submit(judgment(task("bad"), "anna", "a1"), now=1)
    store.submit(judgment(task("bad"), "ben", "b1"), now=1)
    store.studies.set_aside(["bad"], now=2)
    store.submit(Judgment(task_id="bad", rater_id="anna", id="a2", supersedes="a1"), now=3)
    store.erase_rater("ben", now=4)
    assert given(store, "cleo") == []
    assert store.counts(QUEUE) == Counts(0, 0)
    store.studies.bring_back(["bad"], now=5)
    assert store.counts(QUEUE) == Counts(0, 2)


def test_so_many_skips_as_shown_wrongly_set_a_task_aside_and_others_do_not(store: Store) -> None:
    begin(store, "bad", "hard", slots=9, settings=PLAIN.model_copy(update={"set_aside_after": 2}))
    for rater in ("anna", "ben", "cleo"):
        skip(store, rater, "hard", "cannot_judge")
    skip(store, "anna", "bad")
    assert in_state(store, "aside") == []
    skip(store, "ben", "bad")
    assert in_state(store, "aside") == ["bad"]
    state = store.studies.states(["bad"])["bad"]
    assert (state.skips, state.aside, state.unjudged) == ({"broken": 2}, "skips", 0)
    assert given(store, "dan") == ["hard"]
    store.studies.bring_back(["bad"], now=5)
    skip(store, "cleo", "bad", now=6)
    assert in_state(store, "aside") == []  # skips from before it was brought back do not count again
    skip(store, "dan", "bad", now=7)
    assert in_state(store, "aside") == ["bad"]


def test_skips_at_the_same_moment_are_all_counted(store: Store) -> None:
    begin(store, "bad", slots=9, settings=PLAIN.model_copy(update={"set_aside_after": 6}))
    at_once(6, lambda i: skip(store, NAMES[i], "bad"))
    assert in_state(store, "aside") == ["bad"]


def test_no_number_of_skips_sets_a_task_aside_where_that_is_switched_off(store: Store) -> None:
    begin(store, "bad", slots=9, settings=PLAIN.model_copy(update={"set_aside_after": 0}))
    for rater in NAMES:
        skip(store, rater, "bad")
    assert in_state(store, "aside") == []


def test_a_decision_that_there_is_no_answer_ends_the_waiting_and_a_later_one_resumes_it(store: Store) -> None:
    begin(store, "bad")
    store.projects.adjudicate("bad", "anna", None, "the picture is missing", now=1)
    assert (given(store, "ben"), store.counts(QUEUE)) == ([], Counts(0, 0))
    store.projects.adjudicate("bad", "anna", Ranking(tiers=(("bad/0",), ("bad/1",))), "it is there now", now=2)
    assert given(store, "ben") == ["bad"]
    store.studies.set_aside(["bad"], now=3)
    store.projects.adjudicate("bad", "anna", Ranking(tiers=(("bad/0",), ("bad/1",))), "still", now=4)
    assert given(store, "ben") == []  # what an admin set aside by hand stays so


@pytest.mark.parametrize("judged", [["good"], []])
def test_a_project_is_finished_when_what_is_not_judged_is_set_aside(store: Store, judged: list[str]) -> None:
    begin(store, "bad", *judged)
    store.webhooks.add(Hook("https://example.org", "finished", project="default"), now=0)
    for name in judged:
        store.submit(judgment(task(name), "anna", f"a {name}"), now=1)
    assert store.webhooks.notice(now=100) == 0
    store.studies.set_aside(["bad"], now=101)
    assert store.webhooks.notice(now=200) == 1


def test_known_answers_and_repeats_that_were_set_aside_are_not_given(store: Store) -> None:
    settings = PLAIN.model_copy(update={"gold_share": 0.4, "repeat_share": 0.4, "repeat_after": 1})
    begin(store, "bad", *(f"t{i}" for i in range(30)), settings=settings)
    store.projects.set_gold("bad", Ranking(tiers=(("bad/0",), ("bad/1",))), now=0)
    store.submit(judgment(task("t0"), "anna", "a0"), now=1)
    store.submit(judgment(task("t1"), "anna", "a1"), now=2)
    store.studies.set_aside(["bad", "t0"], now=3)
    for i in range(40):
        served = store.serve("anna", QUEUE, now=4 + i)
        assert [one.service for one in served] == ["normal"]
        assert served[0].task.id not in ("bad", "t0")
        store.release("anna")


def test_a_stated_number_is_not_exceeded_for_newcomers(store: Store) -> None:
    settings = PLAIN.model_copy(update={"newcomer_tasks": 9, "newcomer_overlap": 3})
    begin(store, "a", "b", is_cap=True, settings=settings)
    for i, rater in enumerate(NAMES):
        for one in store.serve(rater, QUEUE, limit=9, now=i):
            store.submit(judgment(one.task, rater, f"{rater} {one.task.id}"), token=one.token, now=i)
    assert store.counts(QUEUE) == Counts(2, 2)
    assert len(store.judgments(QUEUE)) == 2


def test_a_stated_number_goes_up_and_down_with_counts_claims_and_the_webhook(store: Store) -> None:
    begin(store, "a", slots=2)
    store.webhooks.add(Hook("https://example.org", "finished", project="default"), now=0)
    store.submit(judgment(task("a"), "anna", "a1"), now=1)
    assert store.studies.want({"a": 1}) == 1
    assert (store.counts(QUEUE), given(store, "ben")) == (Counts(1, 1), [])
    assert store.webhooks.notice(now=100) == 1
    store.studies.want({"a": 4})
    assert (store.counts(QUEUE), given(store, "ben")) == (Counts(1, 4), ["a"])
    assert store.webhooks.notice(now=200) == 0
    store.add_tasks([task("a")], slots=6, now=0)  # a run that asks again does not lift what was stated
    assert store.counts(QUEUE) == Counts(1, 4)
    store.add_tasks([task("a")], slots=6, now=0, is_cap=True)
    assert store.counts(QUEUE) == Counts(1, 6)
    store.studies.want({"a": 0})
    assert store.counts(QUEUE) == Counts(1, 1)  # what was said stays
    assert store.studies.want({"unknown": 2}) == 0
    with pytest.raises(StoreError, match=r"wants -1 judgments; give 0 to 1000"):
        store.studies.want({"a": -1})


def test_who_is_at_work_keeps_the_slot_when_fewer_judgments_are_wanted(store: Store) -> None:
    begin(store, "a", slots=3)
    (held,) = store.serve("anna", QUEUE, now=1)
    store.studies.want({"a": 1})
    assert given(store, "ben") == []
    assert store.submit(judgment(task("a"), "anna", "a1"), token=held.token, now=2).status == "stored"
    assert store.counts(QUEUE) == Counts(1, 1)


def test_a_task_for_named_people_and_groups_is_given_to_them_first_and_to_nobody_else(store: Store) -> None:
    begin(store, "a", "b", "c")
    store.studies.set_group("nurses", ["ben", "cleo"])
    store.studies.assign(["c"], Assignment(raters=("anna",), groups=("nurses",)))
    assert given(store, "dan") == ["a", "b"]
    assert [one.task.id for one in store.serve("cleo", QUEUE, limit=1, now=1)] == ["c"]
    assert given(store, "anna") == ["a", "b"]  # cleo holds it
    store.release("cleo")
    assert given(store, "anna") == ["a", "b", "c"]
    assert store.rater_progress("anna", QUEUE, now=2).waiting == 3
    assert store.rater_progress("dan", QUEUE, now=2).waiting == 2
    assert store.counts(QUEUE) == Counts(0, 3)
    store.submit(judgment(task("c"), "ben", "b1"), now=3)
    assert store.counts(QUEUE) == Counts(1, 3)
    assert given(store, "anna") == ["a", "b"]
    store.studies.assign(["a"], Assignment(raters=("anna",)))
    store.studies.assign(["a"], Assignment())
    assert given(store, "dan") == ["a", "b"]


def test_a_run_waits_for_those_to_whom_a_task_is_assigned_though_they_have_not_begun(store: Store) -> None:
    begin(store, "a", "b")
    store.studies.assign(["b"], Assignment(raters=("anna",)))
    store.submit(judgment(task("a"), "ben", "b1"), now=1)
    skip(store, "anna", "a", "language", now=1)
    assert store.within_reach(QUEUE, now=2) == Counts(1, 2)
    skip(store, "anna", "b", "language", now=3)
    assert store.within_reach(QUEUE, now=4) == Counts(1, 1)


def test_assignments_to_strangers_are_refused(store: Store) -> None:
    begin(store, "a")
    with pytest.raises(StoreError, match="rater 'zoe' is not known"):
        store.studies.assign(["a"], Assignment(raters=("zoe",)))
    with pytest.raises(StoreError, match="there is no group 'nurses'"):
        store.studies.assign(["a"], Assignment(groups=("nurses",)))
    with pytest.raises(StoreError, match="task 'x' is not in the store"):
        store.studies.set_aside(["a", "x"], now=1)
    assert in_state(store, "aside") == []


def test_tasks_are_listed_by_state_and_found_by_text_and_id(store: Store) -> None:
    begin(store, "aside", "done", "open", "skipped")
    store.submit(judgment(task("done"), "anna", "a1"), now=1)
    skip(store, "anna", "skipped", "language")
    skip(store, "ben", "skipped", "only sauces, no noodles")
    store.studies.set_aside(["aside"], now=3)
    assert in_state(store, "open") == ["open", "skipped"]
    assert in_state(store, "done") == ["done"]
    assert in_state(store, "skipped") == ["skipped"]
    assert in_state(store, "aside") == ["aside"]
    assert in_state(store, "disputed", disputed=["done"]) == ["done"]
    skips = store.studies.states(["skipped"])["skipped"].skips
    assert skips == {"language": 1, "only sauces, no noodles": 1}

    def found(text: str) -> list[str]:
        return [one.id for one, _ in store.studies.page(QUEUE, find=text, limit=50)]

    assert found("QUESTION do") == ["done"]
    assert found("answer 1 to op") == ["open"]
    assert found("open") == ["open"]
    assert found("role") == []  # not how a conversation is kept
    assert found("100%") == []
    pages = [one.id for one, _ in store.studies.page(QUEUE, after="done", limit=1)]
    assert pages == ["open"]


def test_texts_in_any_script_are_found_whatever_their_case(store: Store) -> None:
    begin(store)
    store.add_tasks([task("Straße ÄRGER"), task('say "no"')], now=0)
    assert [one.id for one, _ in store.studies.page(QUEUE, find="ärger", limit=5)] == ["Straße ÄRGER"]
    assert [one.id for one, _ in store.studies.page(QUEUE, find='"NO"', limit=5)] == ['say "no"']
