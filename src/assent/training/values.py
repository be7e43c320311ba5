"""What PPO's value model learns and what it tells: values, returns, advantages by GAE, and the loss toward returns.

Schulman et al. 2016 (GAE) and 2017; whitening over the whole batch and the clipped value loss as Huang et al. 2024,
"The N+ implementation details of RLHF with PPO".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from assent.algorithms.advantages import gae, token_rewards
from assent.algorithms.masked import whiten
from assent.algorithms.objective import Loss, loss_of, weighted
from assent.algorithms.policy import clipped_value_loss, explained_variance, is_value_clipped
from assent.models.groups import GroupBatch
from assent.training.on_policy import Minibatch, Rows, joined
from assent.training.on_policy_config import PPOConfig


@runtime_checkable
class HasHead(Protocol):
    """A model whose numbers are its states times the weights of a head, such as a `ScalarModel`."""

    head: Float[Tensor, " d"]
    """The weights; a copy, which can be set."""


class ValueStart:
    """Where a value model of its own begins: on the line through what it says that suits the first batch best.

    A value model that begins as a reward model has learned to judge whole answers. What it says of half an answer is on
    no scale of returns and mostly noise, and advantages would be made of that noise. Least squares over the tokens of
    the first batch bring its values to the returns as far as they tell of them, and to the mean return where they tell
    nothing: its head is scaled, and a constant is added to what it says. This is a part that checkpoints carry.
    """

    def __init__(self, model: HasHead | None) -> None:
        """`model` is what the critic trains; None: values are left as they are."""
        self._model, self.is_due, self.shift = model, model is not None, 0.0

    def fit(self, said: Tensor, rewards: Tensor, lengths: Sequence[int], *, gamma: float) -> Tensor:
        """Scale the head and find the constant, see `line_to_returns`; the values of these tokens from then on."""
        assert self._model is not None
        scale, self.shift = line_to_returns(said, rewards, lengths, gamma=gamma)
        self._model.head = self._model.head * scale
        self.is_due = False
        return scale * said + self.shift

    def tensors(self) -> Mapping[str, Tensor]:
        """None: the head is the critic's."""
        return {}

    def state(self) -> Mapping[str, Any]:
        """Everything."""
        return {"is_due": self.is_due, "shift": self.shift}

    def restore(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """As in a checkpoint."""
        self.is_due, self.shift = state["is_due"], state["shift"]


def line_to_returns(
    said: Float[Tensor, " S"], rewards: Float[Tensor, " S"], lengths: Sequence[int], *, gamma: float
) -> tuple[float, float]:
    """Scale and shift that bring what a model says before each token nearest to the returns, by least squares.

    The returns are the rewards to come, those of λ = 1, which depend on no values. The scale is never below 0.
    """
    to_come = gae(rewards, torch.zeros_like(said), lengths, gamma=gamma, lam=1.0).returns.double()
    around = said.double() - said.double().mean()
    spread = around.square().sum().item()
    scale = max((around @ to_come).item() / spread, 0.0) if spread > 0 else 0.0
    return scale, (to_come.mean() - scale * said.double().mean()).item()


@dataclass(frozen=True)
class Targets:
    """What one minibatch is trained toward, row by row."""

    mini: Minibatch
    old_values: Rows
    advantages: Rows
    returns: Rows
    shift: float = 0.0
    """What is added to what the model says, see `ValueStart`."""


def estimate_advantages(
    minibatches: Sequence[Minibatch],
    said: Sequence[Rows],
    scores: Tensor,
    kl_coefficient: float,
    config: PPOConfig,
    start: ValueStart,
) -> tuple[list[Targets], dict[str, float]]:
    """What each minibatch is trained toward, and what was seen of it; the first batch tells where values start.

    GAE on rewards that pay -coefficient * (log p - log p_ref) per token and the score at the last token.
    """
    rows = [row for m in minibatches for row in m.rows]
    old, reference = joined(minibatches, "old_logps"), joined(minibatches, "reference_logps")
    lengths = [len(t) for m in minibatches for t in m.old_logps]
    row = torch.repeat_interleave(torch.arange(len(rows), device=old.device), torch.tensor(lengths, device=old.device))
    rewards = token_rewards(scores.to(old.device)[rows], old, reference, row, kl_coefficient=kl_coefficient)
    by_model = torch.cat([t for one in said for t in one])
    value = start.fit(by_model, rewards, lengths, gamma=config.gamma) if start.is_due else by_model + start.shift
    estimate = gae(rewards, value, lengths, gamma=config.gamma, lam=config.lam)
    advantages = whiten(estimate.advantages, keep_mean=False)
    facts = {
        "return": rewards.sum().item() / len(rows),
        "explained_variance": float(explained_variance(value, estimate.returns)),
        "value": value.mean().item(),
    }
    found = [iter(one.split(lengths)) for one in (value, advantages, estimate.returns)]
    targets = []
    for m in minibatches:
        before, gained, reached = ([*islice(one, len(m.rows))] for one in found)
        targets.append(Targets(m, before, gained, reached, start.shift))
    return targets, facts


def value_objective(values: Tensor, batch: GroupBatch, *, targets: Targets, config: PPOConfig) -> Loss:
    """Half squared error to the returns, clipped around the old value (coefficient times 0.5·max).

    `values` are what the model says, before the shift.
    """
    values = values + targets.shift
    old, target = batch.gather(targets.old_values), batch.gather(targets.returns)
    clip = math.inf if config.value_clip is None else config.value_clip
    losses = clipped_value_loss(values, old, target, clip=clip)
    metrics = {
        "value_loss": weighted(losses),
        "value_clip_fraction": weighted(is_value_clipped(values.detach(), old, target, clip=clip)),
    }
    return loss_of(config.value_coefficient * losses, metrics=metrics)
