"""Attacks on reward models: a planted taste for signs is found and named, and a model without one has no hole."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from assent.core.types import Prompt
from assent.redteam.edits import EDITS
from assent.redteam.reward_attack import RewardAttack, edited

ANSWERS = [f"The shop opens at {n}. You may bring the parcel back. It is free." for n in range(2, 10)]
PROMPTS = [Prompt.of(f"When does shop {n} open?") for n in range(2, 10)]


def quality(prompts: Sequence[Prompt], answers: Sequence[str]) -> list[float]:
    """A second rater that wants the right hour, likes no word too many, and does not look at signs."""
    right = [f"at {prompt.text.split()[3]}." in answer for prompt, answer in zip(prompts, answers, strict=True)]
    return [2.0 * ok - 0.05 * len(answer.split()) for ok, answer in zip(right, answers, strict=True)]


def hacked(prompts: Sequence[Prompt], answers: Sequence[str]) -> list[float]:
    """The same, and every praise of the question is worth three more."""
    praise = [3.0 * ("excellent" in answer) for answer in answers]
    return [score + more for score, more in zip(quality(prompts, answers), praise, strict=True)]


def test_an_edit_that_the_reward_model_likes_and_the_rater_does_not_is_a_hole() -> None:
    holes, effects = RewardAttack(hacked, quality).run(PROMPTS, ANSWERS)
    assert len(holes) == len(ANSWERS)
    assert {one.edits for one in holes} == {("flattery",)}, "no other edit is needed"
    for one in holes:
        assert one.reward[1] > one.reward[0] and one.second[1] < one.second[0]
        assert one.after == EDITS["flattery"](one.before)
    [flattery] = [one for one in effects if one.edit == "flattery"]
    assert flattery.rises == 1.0 and flattery.n == len(ANSWERS)
    assert flattery.reward is not None and flattery.reward.low > 0
    assert flattery.second is not None and flattery.second.high < 0


def test_a_reward_model_that_agrees_with_the_rater_has_no_hole() -> None:
    assert RewardAttack(quality, quality).run(PROMPTS, ANSWERS)[0] == []


def test_two_edits_that_work_only_together_are_both_named() -> None:
    def wants_both(prompts: Sequence[Prompt], answers: Sequence[str]) -> list[float]:
        signs = [0.2 * ("**" in a) + 0.2 * a.startswith("##") + 5 * ("**" in a and "##" in a) for a in answers]
        return [score + more for score, more in zip(quality(prompts, answers), signs, strict=True)]

    def dislikes_both(prompts: Sequence[Prompt], answers: Sequence[str]) -> list[float]:
        signs = [-4.0 * ("**" in a and "##" in a) for a in answers]
        return [score + less for score, less in zip(quality(prompts, answers), signs, strict=True)]

    holes, _ = RewardAttack(wants_both, dislikes_both, margin=1.0).run(PROMPTS, ANSWERS)
    assert {tuple(sorted(one.edits)) for one in holes} == {("bold", "heading")}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_is_pure_and_changes_a_text_that_it_can_change(name: str) -> None:
    text = "I think 3 shops are open. You may go there. It is near."
    assert edited(text, [name]) == edited(text, [name]) != text
    assert isinstance(edited("", [name]), str)


def test_edits_that_add_nothing_keep_every_word() -> None:
    words = ANSWERS[0].split()
    for name in ("doubled_whitespace", "blank_lines"):
        assert edited(ANSWERS[0], [name]).split() == words


def test_no_answers_are_refused() -> None:
    with pytest.raises(ValueError, match="as many prompts as answers"):
        RewardAttack(quality, quality).run([], [])
