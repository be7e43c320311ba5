"""A value head beside a policy: one number per token state, read from the states that its log-probabilities are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor, nn

from assent.core.errors import ModelError

if TYPE_CHECKING:
    from assent.models.policy import PolicyModel


class ValueHead(nn.Linear):
    """A linear layer with one output in float32, which begins at zero. It is no part of the policy's weights."""

    def __init__(self, width: int, *, device: torch.device | str = "cpu") -> None:
        """`width` is that of the states."""
        super().__init__(width, 1, device=device, dtype=torch.float32)
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)

    @classmethod
    def beside(cls, policy: PolicyModel) -> ValueHead:
        """A new one for the states of a policy. Raises ModelError where the policy is computed in padded rows."""
        refuse_padded(policy)
        return cls(policy.core.get_output_embeddings().weight.shape[1], device=policy.device)

    def forward(self, states: Float[Tensor, "S d"]) -> Float[Tensor, " S"]:
        """The value of each state."""
        return super().forward(states.float())[:, 0]


def refuse_padded(policy: PolicyModel) -> None:
    """Raise ModelError for a policy that gives log-probabilities without the states that a value head reads."""
    if policy.mode == "padded":
        raise ModelError(
            f"{type(policy.core).__name__} is computed in padded rows ({policy.mode_reason}), whose states no value"
            " head can read; set optimize.value: own_model"
        )
