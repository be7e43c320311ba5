"""The strength of ties reaches its maximum likelihood, whatever the learning rate of the model."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from training_toys import Toy

from assent.core.group import Group
from assent.core.types import Comparison, Completion, Judgment, Message, Prompt, Ranking
from assent.learner.config import OptimizerConfig
from assent.models.groups import pack
from assent.pipeline.learners import train_reward_model
from assent.training.config import NoRatersConfig, RewardConfig
from assent.training.loop import Loop
from assent.training.targets import Target, target_of
from assent.training.tie_fit import LEAST, TieFit

Tiers = tuple[tuple[int, ...], ...]
TIE: Tiers = ((0, 1),)
WIN: Tiers = ((0,), (1,))


def member(tiers: Tiers) -> tuple[Group, Target]:
    answers = tuple(Completion(prompt_id="p", text=f"answer {i}", id=f"c{i}") for i in range(sum(map(len, tiers))))
    ranking = Ranking(tiers=tuple(tuple(f"c{i}" for i in tier) for tier in tiers))
    judged = Judgment(task_id="t", rater_id="r", ranking=ranking)
    prompt = Prompt(id="p", messages=(Message(role="user", content="?"),))
    target = target_of(Comparison(prompt=prompt, completions=answers, judgments=(judged,)))
    assert target is not None
    return Group(np.array([5]), tuple(np.array([7, 8 + i]) for i in range(len(answers)))), target


def config(**settings: str) -> RewardConfig:
    return RewardConfig(raters=NoRatersConfig(), **settings)


def test_before_any_score_the_strength_is_that_of_equal_answers() -> None:
    # Davidson at equal scores: P(tie) = nu / (2 + nu). One tie in four: nu = 2/3.
    fit = TieFit([member(t) for t in (TIE, WIN, WIN, WIN)], config(), size=1)
    assert fit.tie().item() == pytest.approx(2 / 3, rel=1e-6)
    # Rao-Kupper at equal scores: P(win) = 1 / (1 + theta), 3/8 each way: theta = 5/3.
    fit = TieFit([member(t) for t in (TIE, WIN, WIN, WIN)], config(ties="rao_kupper"), size=1)
    assert fit.tie().item() == pytest.approx(math.log(5 / 3), rel=1e-6)


def test_it_follows_the_scores_that_answers_were_last_seen_with() -> None:
    # A lead of 2 log 3 with one tie and one win: 3 : nu : 1/3, and d/d log nu of the loss is 2 nu / (10/3 + nu) - 1.
    members = [member(TIE), member(WIN)]
    fit = TieFit(members, config(), size=1)
    [batch] = pack([g for g, _ in members], budget=99)
    lead = 2 * math.log(3)
    scores = torch.tensor([lead, 0.0, lead, 0.0])[list(batch.rows)]
    fit.remember([0, 1], batch, scores)
    fit.refit()
    assert fit.tie().item() == pytest.approx(10 / 3, rel=1e-6)


def test_without_ties_it_vanishes_and_leaves_bradley_terry() -> None:
    fit = TieFit([member(WIN)], config(), size=1)
    assert fit.log_tie.item() == pytest.approx(LEAST, abs=1e-6)


def test_ties_of_two_and_of_three_have_strengths_of_their_own() -> None:
    # Three equal answers, drawn as one tier of 1, 2 or 3: weights 3, 3 a, b. Rankings that begin with a lone answer go
    # on with a pair: 2 of 1, a of 2. Of eight: 4 x (1,1,1), 2 x (2,1), 2 x (3).
    shapes: list[Tiers] = [*[((0,), (1,), (2,))] * 4, *[((0, 1), (2,))] * 2, *[((0, 1, 2),)] * 2]
    fit = TieFit([member(t) for t in shapes], config(loss="plackett_luce"), size=2)
    a, b = fit.tie().tolist()
    # Slopes at the maximum: 8 * 3a/(3+3a+b) + 4 * a/(2+a) = 2, and 8 * b/(3+3a+b) = 2.
    whole = 3 + 3 * a + b
    assert 8 * b / whole == pytest.approx(2, abs=1e-4)
    assert 8 * 3 * a / whole + 4 * a / (2 + a) == pytest.approx(2, abs=1e-4)


def test_a_checkpoint_brings_it_back() -> None:
    members = [member(TIE), member(WIN)]
    fit, other = TieFit(members, config(), size=1), TieFit(members, config(), size=1)
    fit.settle(torch.tensor([3.0, 0.0, 1.0, 0.0]))
    other.restore(fit.tensors(), fit.state())
    assert other.tie().item() == fit.tie().item() != pytest.approx(2.0)
    other.refit()
    assert other.tie().item() == fit.tie().item()


def test_a_slow_learning_rate_does_not_hold_it_at_its_start(
    toy: Toy, new_loop: Callable[..., Loop], prompts: list[Prompt]
) -> None:
    renderer = toy.renderer(toy.policy(trainable=False))
    members = [member(TIE if number % 2 else WIN) for number in range(len(prompts))]
    groups = [renderer.group(p, ["yes", "no"]) for p in prompts]
    still = OptimizerConfig(learning_rate=1e-9)
    trained = train_reward_model(
        toy.scalar(), groups, [t for _, t in members], config().model_copy(update={"optimizer": still}), new_loop()
    )
    # Half of all pairs tie and leads are small: nu is near 2, where exp(-1) = 0.37 was.
    assert trained.tie_strength == pytest.approx(2.0, abs=0.4)
