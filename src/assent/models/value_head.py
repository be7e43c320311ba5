"""A value head: one number per token state, beside a policy, read from the states that its log-probabilities are."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


class ValueHead(nn.Linear):
    """A linear layer with one output in float32, which begins at zero. It is no part of the policy's weights."""

    def __init__(self, width: int, *, device: torch.device | str = "cpu") -> None:
        """`width` is that of the states."""
        super().__init__(width, 1, device=device, dtype=torch.float32)
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, states: Float[Tensor, "S d"]) -> Float[Tensor, " S"]:
        """The value of each state."""
        return super().forward(states.float())[:, 0]
