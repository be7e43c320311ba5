"""Pairs, battles and single answers on the same page: other keys, the same care."""

from __future__ import annotations

import pytest
from chromium_rater import CRITERIA, PLAIN, Desk, task

pytestmark = pytest.mark.browser


def pair(name: str = "one", **named: object):  # type: ignore[no-untyped-def]
    return task(name, ["left or right", "right or left"], kind="pair", **named)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("keys", "sentence", "strength"),
    [
        (["1"], "A > B", None),
        (["2"], "B > A", None),
        (["="], "A = B", None),
        (["ArrowLeft"], "A > B", 1),
        (["ArrowRight", "ArrowRight", "ArrowRight"], "B > A", 3),
        (["ArrowLeft", "ArrowRight"], "A = B", None),
        (["1", ">", ">"], "A > B", 2),
        (["2", "ArrowRight", "1"], "A > B", None),
        (["ArrowLeft"] * 7, "A > B", 4),
    ],
)
def test_a_pair_is_judged_with_a_few_keys(desk: Desk, keys: list[str], sentence: str, strength: int | None) -> None:
    desk.ask(pair())
    desk.open()
    shown = desk.shown()
    desk.press(*keys)
    assert desk.sentence == sentence
    desk.submit()
    said = desk.said()
    assert said.ranking is not None
    letters = {i: "AB"[n] for n, i in enumerate(shown)}
    assert said.ranking.sentence(letters) in (sentence, "B = A")
    assert said.ranking.strengths == (None if strength is None else (strength,))


def test_a_pair_begins_with_nothing_chosen(desk: Desk) -> None:
    desk.ask(pair())
    desk.open()
    assert desk.page.locator("#scale [aria-pressed=true]").count() == 0
    desk.press("Control+Enter", "Enter")
    desk.page.wait_for_timeout(200)
    assert desk.judgments() == []
    desk.page.get_by_role("button", name="B: much better").click()
    assert desk.sentence == "B > A"
    desk.press("z")
    assert desk.page.locator("#scale [aria-pressed=true]").count() == 0


def test_flags_of_a_pair_need_an_answer_at_hand(desk: Desk) -> None:
    desk.ask(pair())
    desk.open()
    shown = desk.shown()
    desk.press("j", "j", "x", "1")
    assert desk.sentence == "A"  # B is out
    desk.submit()
    said = desk.said()
    assert said.ranking is not None
    assert said.ranking.tiers == ((shown[0],),)
    assert said.flags == {shown[1]: ("unusable",)}


def test_both_answers_unusable_is_an_answer_too(desk: Desk) -> None:
    desk.ask(pair())
    desk.open()
    desk.press("j", "x", "j", "x")
    desk.submit()
    said = desk.said()
    assert said.ranking is None
    assert len(said.flags) == 2


def test_battles_are_pairs_of_the_evaluation_queue(desk: Desk) -> None:
    battle = task("fight", ["old says", "new says"], kind="battle", purpose="evaluation")
    desk.ask(task("other"), battle)
    desk.open(purpose="evaluation")
    desk.press("2")
    desk.submit()
    assert desk.judgments("reward") == []
    assert desk.said("evaluation").task_id == desk.named("fight")


def test_one_answer_is_scored_by_digits_and_needs_no_order(desk: Desk) -> None:
    settings = PLAIN.model_copy(update={"criteria": CRITERIA})
    desk.ask(task("one", ["only answer"], kind="rate"), settings=settings)
    desk.open()
    (only,) = desk.shown()
    desk.press("Enter", "Control+Enter")
    desk.page.wait_for_timeout(200)
    assert desk.judgments() == []
    desk.press("4", "9", "2")  # Helpful 4; there is no 9th anchor of Honest
    desk.press("k", "3", "j", "3", "Backspace", "1")
    desk.submit()
    said = desk.said()
    assert said.ranking is None
    assert said.scores == {only: {"Helpful": 3, "Honest": 1}}


def test_a_score_left_open_stays_open(desk: Desk) -> None:
    settings = PLAIN.model_copy(update={"criteria": CRITERIA})
    desk.ask(task("one", ["only answer"], kind="rate"), settings=settings)
    desk.open()
    (only,) = desk.shown()
    desk.press("j", "2", "Enter")  # Enter alone waits for every criterion
    desk.page.wait_for_timeout(200)
    assert desk.judgments() == []
    desk.submit()
    assert desk.said().scores == {only: {"Honest": 2}}
