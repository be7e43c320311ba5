"""Reward models and DPO on rankings: what they learn, and what must not matter."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import accumulate

import numpy as np
import pytest
from training_toys import FAST, Toy

from assent.core.errors import DataError
from assent.core.group import Group
from assent.core.runlog import read_metrics
from assent.core.types import Comparison, Completion, Judgment, Prompt, Ranking
from assent.learner.scorer import score_groups
from assent.pipeline.learners import policy_learner, row_scorer, train_reward_model
from assent.training.config import NoRatersConfig, RewardConfig
from assent.training.dpo import train_dpo
from assent.training.loop import Loop
from assent.training.preference_config import DPOConfig
from assent.training.targets import Target, target_of

ANSWERS = ("You have a refund today.", "I am sorry.", "No.", "Open the settings, then follow the link, please.")


def comparison(prompt: Prompt, tiers: tuple[tuple[int, ...], ...]) -> Comparison:
    """Answers numbered as in ANSWERS."""
    answers = tuple(Completion(prompt_id=prompt.id, text=t, id=f"c{i}") for i, t in enumerate(ANSWERS))
    ranking = Ranking(tiers=tuple(tuple(f"c{i}" for i in tier) for tier in tiers))
    return Comparison(
        prompt=prompt, completions=answers, judgments=(Judgment(task_id="t", rater_id="r", ranking=ranking),)
    )


def grouped(toy: Toy, comparisons: list[Comparison]) -> tuple[list[Group], list[Target]]:
    renderer = toy.renderer(toy.policy(trainable=False))
    groups = [renderer.group(c.prompt, [a.text for a in c.completions]) for c in comparisons]
    targets = [target_of(c) for c in comparisons]
    return groups, [t for t in targets if t is not None]


@pytest.mark.parametrize(
    ("loss", "ties", "tiers"),
    [
        ("bradley_terry", "davidson", ((3,), (0, 1), (2,))),
        ("bradley_terry", "rao_kupper", ((3,), (0, 1), (2,))),
        ("bradley_terry", "half", ((3,), (0, 1), (2,))),
        ("bradley_terry", "ignore", ((3,), (0, 1), (2,))),
        ("plackett_luce", "davidson", ((3,), (0, 1), (2,))),
        ("plackett_luce", "davidson", ((3,), (0,), (1,), (2,))),
    ],
)
def test_scores_learn_the_order(
    toy: Toy, new_loop: Callable[..., Loop], prompts: list[Prompt], loss: str, ties: str, tiers: tuple
) -> None:
    groups, targets = grouped(toy, [comparison(p, tiers) for p in prompts])
    model = toy.scalar()
    alike = NoRatersConfig()
    config = RewardConfig(raters=alike, loss=loss, ties=ties, epochs=8, batch_size=4, optimizer=FAST)
    trained = train_reward_model(model, groups, targets, config, new_loop())
    scores = np.array(score_groups(row_scorer(model), groups, budget=512)).reshape(-1, 4)
    order = [i for tier in tiers for i in tier]
    means = scores.mean(0)[order]
    assert means[0] > max(means[1:]) and min(means[:-1]) > means[-1], means
    assert np.mean(scores) == pytest.approx(trained.score_mean, abs=1e-4)
    assert np.std(scores, ddof=1) == pytest.approx(trained.score_std, rel=1e-3)


def test_the_first_loss_of_equal_scores_is_known(
    toy: Toy, new_loop: Callable[..., Loop], prompts: list[Prompt]
) -> None:
    # One pair, weight 2/2 = 1, margin 0: with a zero head both scores are 0 and the loss is log 2.
    answers = tuple(Completion(prompt_id=prompts[0].id, text=t, id=f"c{i}") for i, t in enumerate(ANSWERS[:2]))
    ranking = Ranking(tiers=(("c0",), ("c1",)))
    pair = Comparison(
        prompt=prompts[0], completions=answers, judgments=(Judgment(task_id="t", rater_id="r", ranking=ranking),)
    )
    model = toy.scalar()
    model.hf.score.weight.data.zero_()
    groups, targets = grouped(toy, [pair])
    loop = new_loop()
    config = RewardConfig(raters=NoRatersConfig(), ties="half", epochs=1, batch_size=1, optimizer=FAST)
    train_reward_model(model, groups, targets, config, loop)
    assert read_metrics(loop.log.folder)[0]["loss"] == pytest.approx(math.log(2), abs=1e-6)


def test_a_ranking_of_four_weighs_three_pairs(prompts: list[Prompt]) -> None:
    target = target_of(comparison(prompts[0], ((3,), (0, 1), (2,))))
    assert target is not None
    assert target.weight == pytest.approx(3.0)
    assert len(target.decided().pairs.better) == 5


def test_dpo_starts_at_log_two_and_learns_the_order(
    toy: Toy, new_loop: Callable[..., Loop], prompts: list[Prompt]
) -> None:
    groups, targets = grouped(toy, [comparison(p, ((3,), (0, 1), (2,))) for p in prompts])
    loop = new_loop()
    config = DPOConfig(beta=0.1, epochs=6, batch_size=4, optimizer=FAST.model_copy(update={"learning_rate": 1e-3}))
    result = train_dpo(policy_learner(toy.policy(), config.optimizer), groups, targets, config, loop)
    first = read_metrics(loop.log.folder)[0]
    assert first["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert result.loss < first["loss"] and result.accuracy > 0.9


def test_dpo_refuses_data_of_ties_only(toy: Toy, new_loop: Callable[..., Loop], prompts: list[Prompt]) -> None:
    groups, targets = grouped(toy, [comparison(p, ((0, 1, 2, 3),)) for p in prompts])
    with pytest.raises(DataError, match="every pair given is a tie"):
        train_dpo(policy_learner(toy.policy(), FAST), groups, targets, DPOConfig(optimizer=FAST), new_loop())


def test_rows_of_scores_follow_the_callers_order(toy: Toy, prompts: list[Prompt]) -> None:
    groups, _ = grouped(toy, [comparison(p, ((0,), (1,), (2,), (3,))) for p in prompts])
    scorer = row_scorer(toy.scalar())
    together = score_groups(scorer, groups, budget=300)
    starts = [0, *accumulate(len(g.continuations) for g in groups)]
    for group, start in zip(groups, starts, strict=False):
        assert score_groups(scorer, [group], budget=300) == pytest.approx(together[start : start + 4], abs=1e-4)
