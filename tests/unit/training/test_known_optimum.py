"""Every method that samples ends where its objective has its optimum: answers of one token, by the trainers themselves.

The start draws a token of a class A with chance q, and only tokens of A have a reward, of 1. What a method aims at then
has a closed form in p, the chance of A under the new policy; inside and outside of A nothing is preferred.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from training_toys import FAST, Toy

from assent.core.group import Group
from assent.core.types import Prompt
from assent.generation.config import Sampling
from assent.models.groups import pack
from assent.models.policy import PolicyModel
from assent.pipeline.learners import policy_learner, policy_scorer, value_learner
from assent.training.best_of_n import train_best_of_n
from assent.training.grpo import train_grpo
from assent.training.loop import Loop
from assent.training.on_policy import Roles
from assent.training.on_policy_config import GroupKLConfig, GRPOConfig, KLConfig, PPOConfig, ReinforceConfig, RLOOConfig
from assent.training.online_config import BestOfNConfig, OnlineDPOConfig
from assent.training.online_dpo import train_online_dpo
from assent.training.ppo import train_ppo
from assent.training.reinforce import train_reinforce
from assent.training.rewards import Term, WeightedRewards
from assent.training.rloo import train_rloo

BETA = 0.7
WITHIN = 0.04
"""Of a chance; a step's 128 answers alone know it to 0.04."""
SHARED: dict[str, Any] = {
    "steps": 70,
    "prompts_per_step": 4,
    "samples_per_prompt": 32,
    "sampling": Sampling(temperature=1.0, max_new_tokens=1),
    "optimizer": FAST.model_copy(update={"learning_rate": 4e-3, "schedule": "linear"}),
    "missing_eos_penalty": 0.0,
    "reward_clip": None,
    "kl_limit": None,
}
PRICED = SHARED | {"kl": KLConfig(kind="fixed", coefficient=BETA)}
DPO_BETA, N = 0.5, 4


def in_a(prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
    """Tokens whose last letter has an even number."""
    return [float(bool(text) and ord(text[-1]) % 2 == 0) for text in completions]


def boltzmann(q: float) -> float:
    """Of E[r] - β KL(π ‖ π₀): π ∝ π₀ exp(r / β)."""
    odds = q / (1 - q) * math.exp(1 / BETA)
    return odds / (1 + odds)


def of_grpo(q: float, *, scaled: bool) -> float:
    """Where the pull of advantages, over their deviation √(p (1 - p)) or not, and of k3 in the loss are equal.

    On its own rollouts k3 pulls as the gradient of KL(π₀ ‖ π): by β (p - q) / (p (1 - p)) along p.
    """

    def left(p: float) -> float:
        return (math.sqrt(p * (1 - p)) if scaled else p * (1 - p)) - BETA * (p - q)

    return float(brentq(left, q, 1 - 1e-9))


def of_ipo(q: float) -> float:
    """Every pair's gap of log-ratios is 1 / (2 β)."""
    odds = q / (1 - q) * math.exp(1 / (2 * DPO_BETA))
    return odds / (1 + odds)


METHODS: dict[str, tuple[Callable[..., Any], Any, Callable[[float], float]]] = {
    "ppo": (train_ppo, PPOConfig(**PRICED, critic_warmup=0), boltzmann),
    "rloo": (train_rloo, RLOOConfig(**PRICED), boltzmann),
    "reinforce++": (train_reinforce, ReinforceConfig(**PRICED), boltzmann),
    "grpo": (
        train_grpo,
        GRPOConfig(**SHARED, kl=GroupKLConfig(coefficient=BETA)),
        lambda q: of_grpo(q, scaled=True),
    ),
    "dr grpo": (
        train_grpo,
        GRPOConfig(**SHARED, kl=GroupKLConfig(coefficient=BETA), scale="none", average="constant"),
        lambda q: of_grpo(q, scaled=False),
    ),
    "online dpo": (
        train_online_dpo,
        OnlineDPOConfig(**SHARED | {"prompts_per_step": 32, "samples_per_prompt": 4}, loss="ipo", beta=DPO_BETA),
        of_ipo,
    ),
    "best of n": (
        train_best_of_n,
        BestOfNConfig(**SHARED | {"steps": 8, "prompts_per_step": 64, "samples_per_prompt": N, "epochs": 6}),
        lambda q: 1 - (1 - q) ** N,
    ),
}


def chance_of_a(toy: Toy, policy: PolicyModel, prompt: Prompt) -> float:
    """By the probabilities of all tokens."""
    renderer, ids = toy.renderer(policy), range(len(policy.tokenizer))
    every = Group(renderer.prompt(prompt), tuple(np.array([i]) for i in ids))
    [batch] = pack([every], budget=10_000)
    with torch.no_grad():
        chances = policy.logps(batch).logps.exp()
    return float(chances @ torch.tensor(in_a([], [renderer.text([i]) for i in ids])))


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_a_method_ends_at_the_optimum_of_its_objective(toy: Toy, new_loop: Callable[..., Loop], name: str) -> None:
    train, config, optimum = METHODS[name]
    prompt, policy = Prompt.of("How late is my order?"), toy.policy()
    start = toy.policy(trainable=False)
    q = chance_of_a(toy, start, prompt)
    roles = Roles(
        policy_learner(policy, config.optimizer),
        policy_scorer(start),
        WeightedRewards((Term(1.0, "reward", in_a),), clip=None),
        toy.writer(policy),
    )
    critic = {"critic": value_learner(toy.scalar(), config.value_optimizer)} if name == "ppo" else {}
    train(roles, [prompt], config, new_loop(), **critic)
    p = chance_of_a(toy, policy, prompt)
    assert abs(optimum(q) - q) > 3 * WITHIN, "the start is too near to the optimum for this to say anything"
    assert p == pytest.approx(optimum(q), abs=WITHIN), f"q {q:.3f}, p {p:.3f}, optimum {optimum(q):.3f}"
