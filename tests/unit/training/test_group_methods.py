"""GRPO, RLOO and REINFORCE++: their gradients by hand, what they learn, what they leave out, and resuming."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor
from training_toys import FAST, Toy, dying, share_of_e

from assent.algorithms.objective import Loss
from assent.core.errors import ConfigError
from assent.core.group import Group
from assent.core.runlog import read_metrics
from assent.core.scoring import Score
from assent.core.types import Prompt
from assent.generation.config import Sampling
from assent.models.groups import GroupBatch, pack
from assent.models.policy import PolicyModel, TokenScores
from assent.pipeline.learners import policy_learner, policy_scorer
from assent.training.grpo import advantages_of, differ, grpo_objective, train_grpo
from assent.training.loop import Loop
from assent.training.on_policy import Minibatch, Roles, sample, score, update_policy
from assent.training.on_policy_config import (
    GroupKLConfig,
    GRPOConfig,
    KLConfig,
    OnPolicyConfig,
    ReinforceConfig,
    RLOOConfig,
)
from assent.training.online_config import OnlineDPOConfig
from assent.training.online_dpo import train_online_dpo
from assent.training.reinforce import token_advantages, train_reinforce
from assent.training.rewards import Term, WeightedRewards
from assent.training.rloo import rloo_objective, train_rloo

SAMPLING = Sampling(temperature=0.7, max_new_tokens=12)
SMALL = {
    "steps": 4,
    "prompts_per_step": 6,
    "samples_per_prompt": 4,
    "sampling": SAMPLING,
    "optimizer": FAST,
    "kl_limit": None,
}
METHODS = {
    "grpo": (train_grpo, GRPOConfig(**SMALL)),
    "grpo, k1": (train_grpo, GRPOConfig(**SMALL, kl=GroupKLConfig(estimator="k1"))),
    "dr grpo": (train_grpo, GRPOConfig(**SMALL, scale="none", average="constant")),
    "dapo": (train_grpo, GRPOConfig(**SMALL, average="token", clip_high=0.28, overlong_buffer=4)),
    "rloo": (train_rloo, RLOOConfig(**SMALL, kl=KLConfig(kind="fixed", coefficient=0.02))),
    "reinforce++": (train_reinforce, ReinforceConfig(**SMALL, kl=KLConfig(kind="fixed", coefficient=0.02))),
    "online dpo": (train_online_dpo, OnlineDPOConfig(**SMALL)),
    "reinforce++ baseline": (train_reinforce, ReinforceConfig(**SMALL, baseline="group", kl=KLConfig(kind="fixed"))),
}
all_methods = pytest.mark.parametrize("name", METHODS)

# One group with answers of two tokens and of one token: S = 3 scored tokens, rows 0 0 1.
GROUP = Group(np.array([7, 8]), (np.array([1, 2]), np.array([3])))
OLD = [torch.tensor([-1.0, -2.0]), torch.tensor([-3.0])]


def roles(toy: Toy, reward: Score, *, policy: PolicyModel | None = None) -> Roles:
    own = policy or toy.policy()
    return Roles(
        policy_learner(own, FAST, temperature=SAMPLING.temperature),
        policy_scorer(toy.policy(trainable=False), temperature=SAMPLING.temperature),
        WeightedRewards((Term(1.0, "reward", reward),), clip=None),
        toy.writer(own),
    )


def minibatch(reference: list[Tensor] | None = None) -> Minibatch:
    return Minibatch(pack([GROUP], budget=100), [0, 1], OLD, reference or OLD, num_rows=2, num_tokens=3)


def gradient(objective: Callable[..., Loss], mini: Minibatch, logps: list[float]) -> list[float]:
    """Of the summed loss, by the log-prob of each token."""
    now = torch.tensor(logps, requires_grad=True)
    objective(TokenScores(now, None), mini.batches[0], mini=mini).total.backward()
    assert now.grad is not None
    return now.grad.tolist()


@pytest.mark.parametrize(
    ("average", "expected"),
    [("answer", [-0.5, -0.5, 2.0]), ("token", [-1.0, -1.0, 2.0]), ("constant", [-0.1, -0.1, 0.2])],
)
def test_before_the_first_update_grpo_pushes_each_token_by_its_advantage_over_what_it_averages(
    average: str, expected: list[float]
) -> None:
    config = GRPOConfig(average=average, sampling=Sampling(max_new_tokens=10))
    objective = partial(grpo_objective, advantages=torch.tensor([1.0, -2.0]), kl=0.0, config=config)
    assert gradient(objective, minibatch(), [-1.0, -2.0, -3.0]) == pytest.approx(expected)


def test_the_k3_term_pulls_a_token_by_one_minus_the_ratio_of_reference_to_policy() -> None:
    # d/dlogp of (r - 1 - log r) with r = exp(ref - logp) is 1 - r; log-ratios log 2, 0 and -log 2.
    reference = [torch.tensor([-1.0 + math.log(2), -2.0]), torch.tensor([-3.0 - math.log(2)])]
    objective = partial(
        grpo_objective, advantages=torch.zeros(2), kl=0.5, config=GRPOConfig(average="token", sampling=SAMPLING)
    )
    assert gradient(objective, minibatch(reference), [-1.0, -2.0, -3.0]) == pytest.approx([-0.5, 0.0, 0.25])


def test_a_higher_upper_clip_lets_good_tokens_rise_further_and_bad_ones_fall_no_further() -> None:
    risen, fallen = math.log(1.25), math.log(0.75)
    plain = GRPOConfig(average="token", sampling=SAMPLING)
    higher = plain.model_copy(update={"clip_high": 0.28})
    logps = [-1.0 + risen, -2.0 + risen, -3.0 + fallen]
    made = {
        config.clip_high: gradient(
            partial(grpo_objective, advantages=torch.tensor([1.0, -1.0]), kl=0.0, config=config), minibatch(), logps
        )
        for config in (plain, higher)
    }
    assert made[None] == [0.0, 0.0, 0.0]  # 1.25 is beyond 1.2, 0.75 below 0.8
    assert made[0.28] == pytest.approx([-1.25, -1.25, 0.0])


def test_rloo_pushes_every_token_of_an_answer_by_the_whole_advantage() -> None:
    objective = partial(rloo_objective, advantages=torch.tensor([1.5, -0.5]), config=RLOOConfig(sampling=SAMPLING))
    assert gradient(objective, minibatch(), [-1.0, -2.0, -3.0]) == pytest.approx([-1.5, -1.5, 0.5])


def test_rloo_clips_an_answer_as_one_action() -> None:
    # Each token rose by 1.15 only, the answer by 1.3225: beyond the clip of 0.2, so it is pushed no further.
    step = math.log(1.15)
    objective = partial(rloo_objective, advantages=torch.tensor([1.0, -1.0]), config=RLOOConfig(sampling=SAMPLING))
    assert gradient(objective, minibatch(), [-1.0 + step, -2.0 + step, -3.0]) == pytest.approx([0.0, 0.0, 1.0])


def test_reinforce_advantages_are_the_reward_less_the_kl_to_come_whitened_over_all_tokens() -> None:
    # log-ratios 0.2 0.4 | -0.2, rewards 1 and 0, price 0.5: to come 0.7 0.8 | 0.1, mean 8/15.
    reference = [torch.tensor([-1.2, -2.4]), torch.tensor([-2.8])]
    found = token_advantages([minibatch(reference)], torch.tensor([1.0, 0.0]), 0.5)
    to_come = np.array([0.7, 0.8, 0.1])
    expected = (to_come - to_come.mean()) / to_come.std()
    assert torch.cat([found[0], found[1]]).tolist() == pytest.approx(expected.tolist(), abs=1e-5)


def test_groups_differ_where_any_reward_does() -> None:
    rewards, group = torch.tensor([1.0, 1.0, 0.0, 2.0, 3.0, 3.0]), torch.tensor([0, 0, 1, 1, 2, 2])
    assert differ(rewards, group).tolist() == [False, True, False]


def test_grpo_divides_by_the_deviation_of_the_group_unless_told_not_to() -> None:
    rewards, group = torch.tensor([1.0, 3.0, 5.0, 5.0]), torch.tensor([0, 0, 1, 1])
    plain = advantages_of(rewards, group, GRPOConfig(scale="none"))
    assert plain.tolist() == [-1.0, 1.0, 0.0, 0.0]
    scaled = advantages_of(3 * rewards, group, GRPOConfig())
    assert scaled.tolist() == pytest.approx([-1.0, 1.0, 0.0, 0.0], abs=1e-4)


@all_methods
def test_before_the_first_update_the_ratio_is_exactly_one_and_the_kl_zero(
    toy: Toy, new_loop: Callable[..., Loop], prompts: list[Prompt], name: str
) -> None:
    train, config = METHODS[name]
    loop = new_loop()
    train(roles(toy, share_of_e), prompts, config, loop)
    first = read_metrics(loop.log.folder)[0]
    assert first["first_ratio_error"] == 0 and abs(first["kl_per_response"]) < 1e-4
    assert first["sampler_gap_max"] < 1e-4


@all_methods
def test_the_reward_rises(toy: Toy, new_loop: Callable[..., Loop], prompts: list[Prompt], name: str) -> None:
    train, config = METHODS[name]
    loop = new_loop()
    train(roles(toy, share_of_e), prompts, config.model_copy(update={"steps": 12}), loop)
    log = [m["reward"] for m in read_metrics(loop.log.folder)]
    assert np.mean(log[-3:]) > np.mean(log[:3]) + 0.1


@all_methods
def test_a_killed_run_ends_with_the_same_bits(
    toy: Toy, new_loop: Callable[..., Loop], prompts: list[Prompt], name: str
) -> None:
    train, config = METHODS[name]
    whole = toy.policy()
    train(roles(toy, share_of_e, policy=whole), prompts, config, new_loop("whole"))

    with pytest.raises(KeyboardInterrupt):
        train(roles(toy, dying(share_of_e)), prompts, config, new_loop("killed", seconds=0.0))
    resumed = toy.policy()
    train(roles(toy, share_of_e, policy=resumed), prompts, config, new_loop("killed", seconds=0.0))
    for key, weight in whole.parameters().items():
        assert torch.equal(weight, resumed.parameters()[key])


class Counting:
    """A learner that counts the micro-batches that it is asked about."""

    def __init__(self, learner: object) -> None:
        self._learner, self.asked = learner, 0

    def score(self, batches: Sequence[GroupBatch]) -> object:
        self.asked += len(batches)
        return self._learner.score(batches)  # type: ignore[attr-defined]

    def __getattr__(self, name: str) -> object:
        return getattr(self._learner, name)


def test_groups_of_equal_rewards_are_neither_scored_nor_trained_and_nothing_moves(
    toy: Toy, new_loop: Callable[..., Loop], prompts: list[Prompt]
) -> None:
    policy = toy.policy()
    before = {name: p.detach().clone() for name, p in policy.parameters().items()}
    used = roles(toy, lambda p, c: [1.0] * len(c), policy=policy)
    counting = Counting(used.policy)
    config = METHODS["grpo"][1].model_copy(update={"missing_eos_penalty": 0.0, "kl": GroupKLConfig(kind="off")})
    loop = new_loop()
    train_grpo(Roles(counting, *list(vars(used).values())[1:]), prompts, config, loop)  # type: ignore[arg-type]
    assert counting.asked == 0 and used.policy.num_steps == 0
    assert all(torch.equal(before[name], p) for name, p in policy.parameters().items())
    log = read_metrics(loop.log.folder)
    assert [m["teaching_groups"] for m in log] == [0.0] * config.steps
    assert [m["policy_updates"] for m in log] == [0.0] * config.steps


def test_answers_of_equal_reward_are_pulled_to_the_start(
    toy: Toy, new_loop: Callable[..., Loop], prompts: list[Prompt]
) -> None:
    policy = toy.policy()
    with torch.no_grad():
        for weights in policy.parameters().values():
            weights *= 1.1  # away from its start, or nothing would pull
    changes = {"missing_eos_penalty": 0.0, "kl": GroupKLConfig(coefficient=1.0), "steps": 1}
    loop = new_loop()
    used = roles(toy, lambda p, c: [1.0] * len(c), policy=policy)
    train_grpo(used, prompts, METHODS["grpo"][1].model_copy(update=changes), loop)
    [log] = read_metrics(loop.log.folder)
    assert log["teaching_groups"] == 0.0 and log["policy_loss"] == pytest.approx(0.0, abs=1e-6)
    assert log["k3"] > 0.0 and log["grad_norm"] > 0.0


def test_leaving_out_groups_that_teach_nothing_changes_no_update(toy: Toy, prompts: list[Prompt]) -> None:
    def halves(prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
        return [
            share_of_e([p], [c])[0] if int(p.text.split()[-1]) % 2 else 1.0
            for p, c in zip(prompts, completions, strict=True)
        ]

    config: GRPOConfig = METHODS["grpo"][1].model_copy(update={"missing_eos_penalty": 0.0, "average": "token"})
    moved = []
    for leave_out in (False, True):
        policy = toy.policy()
        used = roles(toy, halves, policy=policy)
        experience = sample(used, prompts, config, seed=0, step=0)
        teaching = differ(experience.scores, experience.group)
        assert 0 < teaching.sum() < len(teaching)
        minibatches = score(experience, used, config, seed=0, teaching=teaching if leave_out else None)
        advantages = advantages_of(experience.scores, experience.group, config)
        update_policy(
            used,
            minibatches,
            partial(grpo_objective, advantages=advantages, kl=0.0, config=config),
            config,
            weights=[m.num_tokens for m in minibatches],
            seed=0,
        )
        moved.append({name: p.detach().clone() for name, p in policy.parameters().items()})
    for name, weight in moved[0].items():
        assert torch.allclose(weight, moved[1][name], atol=1e-6)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (GRPOConfig(**SMALL, overlong_buffer=13), "overlong_buffer is 13, more than the 12 tokens"),
        (RLOOConfig(**{**SMALL, "sampling": Sampling(temperature=0.0)}), "greedy rollouts explore nothing"),
        (ReinforceConfig(**SMALL, kl=KLConfig(kind="fixed", coefficient=0.0)), "kl.coefficient is 0"),
        (GRPOConfig(**{**SMALL, "minibatches": 7}), "minibatches is 7, more than the 6 prompts"),
    ],
)
def test_settings_that_cannot_work_are_refused_before_anything_is_trained(config: OnPolicyConfig, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        config.refuse()
