"""The sum of terms: scaling, what is logged, ensembles, and a judge that is asked about each answer once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from assent.algorithms.conservative import lower_bound
from assent.core.errors import ConfigError, FunctionError
from assent.core.types import Judgment, Prompt, Rater, Task
from assent.raters.endpoint_cache import ReplyCache
from assent.training.on_policy_config import GRPOConfig
from assent.training.reward_ensemble import EnsembleReward
from assent.training.reward_judge import JudgeReward, filled
from assent.training.reward_terms import LengthRewardConfig, ModelRewardConfig
from assent.training.rewards import Term, WeightedRewards, standardized

ASKED = [Prompt.of("a"), Prompt.of("a"), Prompt.of("b"), Prompt.of("b")]
TEXTS = ["x", "xxx", "", "xxxx"]


def lengths(prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
    return [float(len(text)) for text in completions]


def test_terms_are_scaled_weighted_and_logged_before_any_of_that() -> None:
    """Lengths 1 3 0 4 have mean 2 and deviation sqrt(2.5); a term of weight 0 changes nothing and is logged."""
    terms = (
        Term(2.0, "scaled", lengths, "batch"),
        Term(1.0, "plain", lengths),
        Term(0.0, "watched", lambda p, c: [9.0] * len(c)),
    )
    found = WeightedRewards(terms, clip=None)(ASKED, TEXTS)
    deviation = 2.5**0.5
    assert found.totals == pytest.approx([2 * (n - 2) / deviation + n for n in (1, 3, 0, 4)])
    assert found.facts == {"reward/scaled": 2.0, "reward/plain": 2.0, "reward/watched": 9.0}
    assert standardized([3.0, 3.0]) == [0.0, 0.0]


@pytest.mark.parametrize(("take", "expected"), [("mean", [2.0, 4.0]), ("lower", [1.0, 4.0]), ("worst", [1.0, 4.0])])
def test_an_ensemble_takes_what_it_is_told_and_logs_its_spread(take: str, expected: list[float]) -> None:
    """Two models say 1 and 3 of the first answer (deviation 1), and both 4 of the second (deviation 0)."""
    members = (lambda p, c: [1.0, 4.0], lambda p, c: [3.0, 4.0])
    ensemble = EnsembleReward(members, take, k=1.0)  # type: ignore[arg-type]
    found = WeightedRewards((Term(1.0, "both", ensemble),), clip=None)(ASKED[:2], ["x", "y"])
    assert found.totals == expected
    assert found.facts["spread/both"] == 0.5


def test_more_deviations_never_raise_a_score_and_models_that_agree_are_taken_at_their_word() -> None:
    scores = torch.randn(4, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    less, more = lower_bound(scores, k=0.5), lower_bound(scores, k=2.0)
    assert (more < less).all()
    assert torch.equal(lower_bound(scores, k=0.0), scores.mean(0))
    assert torch.allclose(lower_bound(scores[:1].expand(3, 7), k=5.0), scores[0])
    assert torch.allclose(lower_bound(scores + 3.0, k=2.0), more + 3.0)


class Counting:
    """A judge of lengths: 1 to 5 for at most five letters; of no letters it has nothing to say."""

    def __init__(self) -> None:
        self.record = Rater(id="counting", kind="autorater")
        self.asked: list[str] = []

    def judge(self, tasks: Sequence[Task]) -> list[Judgment]:
        said = []
        for task in tasks:
            text = task.completions[0].text
            self.asked.append(text)
            scores = {"answer": {"good": float(len(text)), "kind": 5.0}} if text else {}
            reason = None if text else "nothing to see"
            said.append(Judgment(task_id=task.id, rater_id="counting", scores=scores, skip_reason=reason))
        return said


def test_a_judge_is_asked_about_each_answer_once_also_after_a_resume(tmp_path: Path) -> None:
    first, second = Counting(), Counting()
    kept = ReplyCache(tmp_path)
    reward = JudgeReward(first, "judge 1", kept)
    # Means over the two criteria 3, 4, -, 4.5 are 0, 0.5, -, 0.75; the one without gets that of its prompt.
    assert reward(ASKED, TEXTS) == [0.0, 0.5, 0.75, 0.75]
    assert reward.watched() == {"failed": 0.25}
    reward(ASKED, TEXTS)
    assert len(first.asked) == 4
    again = JudgeReward(second, "judge 1", kept)
    assert again(ASKED, TEXTS) == [0.0, 0.5, 0.75, 0.75] and second.asked == []
    assert "1 of 4 answers got no verdict" in " ".join(again.tally.lines("judge")), "also of what was kept"
    JudgeReward(second, "other rubric", kept)(ASKED, TEXTS)
    assert len(second.asked) == 4


def test_no_verdict_is_never_a_score_of_zero(tmp_path: Path) -> None:
    nowhere = ReplyCache(None)
    assert filled([1.0, None, None, 5.0], ["a", "a", "b", "c"]) == [1.0, 1.0, 3.0, 5.0]
    with pytest.raises(FunctionError, match="1 of 4 answers.*nothing to see"):
        JudgeReward(Counting(), "", nowhere, failed="error")(ASKED, TEXTS)
    with pytest.raises(FunctionError, match="2 of 2 answers"):
        JudgeReward(Counting(), "", nowhere)(ASKED[:2], ["", ""])


def test_two_terms_of_one_name_are_refused() -> None:
    twice = (LengthRewardConfig(most=5), LengthRewardConfig(least=2))
    with pytest.raises(ConfigError, match="2 terms called 'length'"):
        GRPOConfig(rewards=twice).refuse()
    GRPOConfig(rewards=(twice[0], LengthRewardConfig(least=2, name="not too short"), ModelRewardConfig())).refuse()
