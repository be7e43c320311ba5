"""Rewards per token and advantages: how much better each token, or each answer, did than expected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from assent.algorithms.kl import kl_reward
from assent.algorithms.masked import last_of_row, row_count, row_mean, row_sum


class Advantages(NamedTuple):
    """Advantages and what the value function should have said, per token."""

    advantages: Float[Tensor, " S"]
    returns: Float[Tensor, " S"]


def token_rewards(
    scores: Float[Tensor, " B"],
    logps: Float[Tensor, " S"],
    ref_logps: Float[Tensor, " S"],
    row: Int[Tensor, " S"],
    *,
    kl_coefficient: float,
) -> Float[Tensor, " S"]:
    """Reward of each token: the KL penalty everywhere, and the answer's score at its last token (Ziegler et al. 2019).

    A row's rewards sum to score - kl_coefficient · log π(answer)/π_ref(answer).
    """
    return kl_reward(logps, ref_logps, coefficient=kl_coefficient).index_add(0, last_of_row(row, len(scores)), scores)


def gae(
    rewards: Float[Tensor, " S"],
    values: Float[Tensor, " S"],
    row_lengths: Sequence[int],
    *,
    gamma: float,
    lam: float,
) -> Advantages:
    """Generalized advantage estimation (Schulman et al. 2016, eq. 16), rows apart, value 0 after a row's last token.

    δ_t = r_t + γ V_{t+1} - V_t;  A_t = δ_t + γλ A_{t+1};  returns = A + V. values[t] is the value of the state before
    token t. With λ = 1, A is the discounted reward to come minus V; with λ = 0 it is δ.
    """
    lengths = torch.tensor(row_lengths, dtype=torch.long, device=rewards.device)
    if int(lengths.sum()) != len(rewards):
        raise ValueError(f"row_lengths sum to {int(lengths.sum())}, but there are {len(rewards)} rewards")
    longest = max(row_lengths, default=0)
    is_token = torch.arange(longest, device=rewards.device) < lengths[:, None]
    next_value = _next(values, lengths)
    deltas = rewards.new_zeros(len(lengths), longest)
    deltas[is_token] = rewards + gamma * next_value - values
    # Time runs along the first axis from here on, so that each step of the loop reads and writes one stretch of memory.
    sums = deltas.t().contiguous()
    for step in range(longest - 2, -1, -1):
        sums[step].add_(sums[step + 1], alpha=gamma * lam)
    advantages = sums.t()[is_token]
    return Advantages(advantages, advantages + values)


def grpo_advantages(
    rewards: Float[Tensor, " B"], group: Int[Tensor, " B"], num_groups: int, *, epsilon: float
) -> Float[Tensor, " B"]:
    """Reward minus its group's mean, over the group's standard deviation (Shao et al. 2024, section 4.1.2).

    The deviation is the population's (over K), so that a group of one has advantage 0; `epsilon` is added to it, so
    that a group of equal rewards has advantage 0 and not rounding noise.
    """
    centred = dr_grpo_advantages(rewards, group, num_groups)
    deviation = row_mean(centred.square(), group, num_groups).sqrt()
    return centred / (deviation[group] + epsilon)


def dr_grpo_advantages(rewards: Float[Tensor, " B"], group: Int[Tensor, " B"], num_groups: int) -> Float[Tensor, " B"]:
    """Reward minus its group's mean, not divided by anything (Liu et al. 2025, Dr. GRPO)."""
    return rewards - row_mean(rewards, group, num_groups)[group]


def rloo_advantages(rewards: Float[Tensor, " B"], group: Int[Tensor, " B"], num_groups: int) -> Float[Tensor, " B"]:
    """Reward minus the mean of the *other* rewards of its group (Kool et al. 2019; Ahmadian et al. 2024).

    Equals K/(K-1) times the distance from the group's mean. Raises ValueError for a group of one: it has no others.
    """
    count = row_count(group, num_groups)[group]
    if bool((count == 1).any()):
        raise ValueError("leave-one-out needs at least 2 answers per prompt, got a group of 1; sample more answers")
    others = row_sum(rewards, group, num_groups)[group] - rewards
    return rewards - others / (count - 1)


def overlong_penalty(lengths: Int[Tensor, " B"], *, longest: int, buffer: int) -> Float[Tensor, " B"]:
    """What an answer loses for coming near the limit of `longest` tokens (Yu et al. 2025, DAPO, eq. 13).

    0 up to `buffer` tokens before the limit, from there falling in a straight line to -1 at the limit; 0 everywhere
    for a buffer of 0.
    """
    if not 0 <= buffer <= longest:
        raise ValueError(f"the buffer is a number of tokens from 0 to the limit of {longest}, got {buffer}")
    if buffer == 0:
        return torch.zeros(len(lengths))
    return ((longest - buffer - lengths) / buffer).clamp(-1, 0)


def _next(values: Tensor, lengths: Tensor) -> Tensor:
    """The value of the state after each token: the next entry, 0 after a row's last."""
    after = torch.cat([values[1:], values.new_zeros(1)])[: len(values)]
    ends = lengths.cumsum(0)[lengths > 0] - 1
    return after.index_fill(0, ends, 0)
