"""Online DPO and best of n: which answers they take, what they learn, and the analytic KL."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from training_toys import FAST, Toy, share_of_e

from assent.algorithms.kl import best_of_n_kl
from assent.core.runlog import read_metrics
from assent.core.types import Prompt
from assent.generation.config import Sampling
from assent.models.policy import PolicyModel
from assent.pipeline.learners import policy_learner, policy_scorer
from assent.training.best_answers import BestAnswers
from assent.training.best_of_n import train_best_of_n
from assent.training.loop import Loop
from assent.training.on_policy import Roles, sample, score
from assent.training.online_config import BestOfNConfig, OnlineDPOConfig
from assent.training.online_dpo import best_and_worst, contrasted, online_dpo_objective
from assent.training.rewards import Term, WeightedRewards

SMALL = {
    "steps": 2,
    "prompts_per_step": 6,
    "samples_per_prompt": 4,
    "sampling": Sampling(temperature=1.0, max_new_tokens=12),
    "optimizer": FAST,
}


def roles(toy: Toy, policy: PolicyModel) -> Roles:
    return Roles(
        policy_learner(policy, FAST),
        policy_scorer(toy.policy(trainable=False)),
        WeightedRewards((Term(1.0, "reward", share_of_e),), clip=None),
        toy.writer(policy),
    )


@pytest.mark.parametrize(("n", "kl"), [(1, 0.0), (2, math.log(2) - 0.5), (8, math.log(8) - 7 / 8)])
def test_the_kl_of_the_best_of_n_by_hand(n: int, kl: float) -> None:
    assert best_of_n_kl(n) == pytest.approx(kl)


@pytest.mark.parametrize("n", [2, 5])
def test_the_kl_of_the_best_of_n_is_the_limit_of_many_answers_and_a_bound_for_few(n: int) -> None:
    def exact(answers: int) -> float:
        """Of equally likely answers in order of reward: the i-th best is the best of n with chance (i/M)^n - …"""
        top = np.arange(1, answers + 1) / answers
        chance = top**n - (top - 1 / answers) ** n
        return float((chance * np.log(chance * answers)).sum())

    assert exact(10) < exact(100) < best_of_n_kl(n)
    assert exact(20_000) == pytest.approx(best_of_n_kl(n), abs=1e-3)


def test_best_and_worst_are_the_first_of_those_that_tie() -> None:
    scores = torch.tensor([1.0, 3.0, 3.0, 0.0, 2.0, 2.0])
    assert best_and_worst(scores, 3).tolist() == [[1, 0], [4, 3]]


def test_online_dpo_trains_the_best_against_the_worst_and_starts_at_log_two(toy: Toy, prompts: list[Prompt]) -> None:
    policy = toy.policy()
    config, used = OnlineDPOConfig(**SMALL), roles(toy, policy)
    experience = sample(used, prompts, config, seed=0, step=0)
    experience.scores[4:8] = 1.0  # the second group ties, and teaches nothing
    [mini] = score(experience, used, config, seed=0)
    ends = best_and_worst(experience.scores, 4)
    pairs = contrasted(mini, experience, ends, budget=512)
    groups = experience.rollouts.groups
    assert pairs.rows == [row for i, both in enumerate(ends.tolist()) if i != 1 for row in both]
    found = [c.tolist() for b in pairs.batches for c in (torch.tensor(one["tokens"]) for one in b.listed())]
    best = groups[0].continuations[ends[0, 0]].tolist()
    assert any(row[-len(best) :] == best for row in found)
    losses = [online_dpo_objective(policy.logps(batch), batch, mini=pairs, config=config) for batch in pairs.batches]
    assert sum(float(one.total.detach()) for one in losses) / 5 == pytest.approx(math.log(2), abs=1e-4)


def test_best_of_n_learns_the_best_and_says_how_far_it_may_go(
    toy: Toy, new_loop: Callable[..., Loop], prompts: list[Prompt]
) -> None:
    policy, loop = toy.policy(), new_loop()
    config = BestOfNConfig(**{**SMALL, "steps": 3}, epochs=4)
    found = train_best_of_n(roles(toy, policy), prompts, config, loop)
    assert found["kept"] == 18 and found["kl_bound"] == pytest.approx(math.log(4) - 0.75)
    assert found["best_reward"] > found["mean_reward"]
    log = read_metrics(loop.log.folder)
    assert len(log) == 3 + 12 and log[-1]["loss"] < log[3]["loss"]
    assert log[0]["best_reward"] >= log[0]["reward"]
    before, after = (
        sample(roles(toy, one), prompts, config.model_copy(update={"prompts_per_step": 16}), seed=9, step=0).facts
        for one in (toy.policy(), policy)
    )
    assert after["reward"] > before["reward"]


@pytest.mark.parametrize("dies_in", [2, 4])
def test_a_killed_best_of_n_ends_with_the_same_bits(
    toy: Toy, new_loop: Callable[..., Loop], prompts: list[Prompt], dies_in: int
) -> None:
    config = BestOfNConfig(**SMALL, minibatches=2)
    whole, resumed = toy.policy(), toy.policy()
    train_best_of_n(roles(toy, whole), prompts, config, new_loop("whole"))
    killed = new_loop("killed", seconds=0.0)
    record, seen = killed.log.record, []

    def dying(step: int, values: dict[str, float], **kind: str) -> None:
        seen.append(step)
        if len(seen) == dies_in:
            raise KeyboardInterrupt
        record(step, values, **kind)

    killed.log.record = dying  # type: ignore[method-assign, assignment]
    with pytest.raises(KeyboardInterrupt):
        train_best_of_n(roles(toy, toy.policy()), prompts, config, killed)
    train_best_of_n(roles(toy, resumed), prompts, config, new_loop("killed", seconds=0.0))
    for key, weight in whole.parameters().items():
        assert torch.equal(weight, resumed.parameters()[key])


def test_what_was_kept_survives_a_checkpoint(toy: Toy, prompts: list[Prompt]) -> None:
    config = BestOfNConfig(**SMALL)
    kept = BestAnswers()
    kept.keep(sample(roles(toy, toy.policy()), prompts, config, seed=0, step=0), 4)
    again = BestAnswers()
    again.restore(dict(kept.tensors()), {})
    assert torch.equal(kept.rewards, again.rewards)
    for one, other in zip(kept.groups, again.groups, strict=True):
        assert one.prompt.tolist() == other.prompt.tolist()
        assert one.continuations[0].tolist() == other.continuations[0].tolist()


def test_a_clip_that_would_do_nothing_is_warned_of_and_no_kl_is_no_warning() -> None:
    assert [found.level for found in OnlineDPOConfig().checks()] == ["ok"]
    assert [found.key for found in BestOfNConfig(clip=0.1).checks()] == ["optimize", "optimize.clip"]
