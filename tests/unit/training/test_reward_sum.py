"""The sum of terms: scaling, what is logged, ensembles, and a judge that is asked about each answer once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from assent.algorithms.conservative import lower_bound
from assent.core.errors import ConfigError, FunctionError
from assent.core.types import Judgment, Prompt, Rater, Task
from assent.pipeline.rewarding import Opener
from assent.raters.endpoint_cache import ReplyCache
from assent.training.on_policy_config import GRPOConfig
from assent.training.reward_ensemble import EnsembleReward
from assent.training.reward_judge import JudgeReward, filled
from assent.training.reward_terms import EnsembleRewardConfig, LengthRewardConfig, ModelRewardConfig
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


@pytest.mark.parametrize(
    ("take", "expected"),
    [("mean", [0, 0, 0]), ("lower", [-(1.5**0.5), 0, -(1.5**0.5)]), ("worst", [-(1.5**0.5), 0, -(1.5**0.5)])],
)
def test_models_of_an_ensemble_are_scaled_over_the_batch_before_they_are_put_together(
    take: str, expected: list[float]
) -> None:
    """0 1 2 and 200 100 0 are -a 0 a and a 0 -a with a = sqrt(1.5): the mean is 0, the deviation over models a 0 a."""
    members = (lambda p, c: [0.0, 1.0, 2.0], lambda p, c: [200.0, 100.0, 0.0])
    term = Term(1.0, "both", EnsembleReward(members, take, 1.0, "batch"))  # type: ignore[arg-type]
    scores, facts = term.measure(ASKED[:3], TEXTS[:3])
    assert scores == pytest.approx(expected, abs=1e-12)
    assert facts["spread/both"] == pytest.approx(2 / 3 * 1.5**0.5)
    raw = {"mean": (100 + 50.5 + 1) / 3, "lower": (0 + 1 + 0) / 3, "worst": (0 + 1 + 0) / 3}
    assert facts["reward/both"] == pytest.approx(raw[take]), "logged before any scaling"


def test_a_configured_ensemble_scales_its_models_and_not_what_they_make_together() -> None:
    said = {"a": [0.0, 1.0, 2.0], "b": [200.0, 100.0, 0.0]}
    backends = SimpleNamespace(scorer=lambda folder, **how: lambda prompts, completions: said[folder])
    config = GRPOConfig(rewards=(EnsembleRewardConfig(models=("a", "b"), take="mean", normalize="batch"),))
    rewards = Opener(config, backends, None, len, Path()).rewards()  # type: ignore[arg-type]
    assert rewards(ASKED[:3], TEXTS[:3]).totals == pytest.approx([0, 0, 0], abs=1e-12)


@pytest.mark.parametrize("take", ["mean", "lower", "worst"])
def test_the_unit_of_a_model_decides_nothing_in_a_scaled_ensemble(take: str) -> None:
    def other_unit(prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
        return [1000 * score - 7 for score in lengths(prompts, completions)]

    def alike(prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
        return [5.0] * len(completions)

    one, another = (
        EnsembleReward((member, alike), take, 0.5, "batch")(ASKED, TEXTS)  # type: ignore[arg-type]
        for member in (lengths, other_unit)
    )
    assert one == pytest.approx(another)


def test_a_model_of_an_ensemble_without_a_finite_score_is_named_with_the_answer() -> None:
    members = (lengths, lambda p, c: [0.0, float("nan"), 1.0, 2.0])
    with pytest.raises(FunctionError, match="model 2 of the ensemble returned nan at index 1, for the answer 'xxx'"):
        WeightedRewards((Term(1.0, "both", EnsembleReward(members, "mean", 1.0, "batch")),), clip=None)(ASKED, TEXTS)


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
