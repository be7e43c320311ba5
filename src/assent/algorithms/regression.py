"""Squared distance to numbers that people gave, some of which are missing."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def squared_error(found: Float[Tensor, "*n"], wanted: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Half the squared difference of each number; 0, without gradient, where `wanted` is NaN: nobody said."""
    known = ~torch.isnan(wanted)
    off = torch.where(known, found - torch.where(known, wanted, 0.0), 0.0)
    return 0.5 * off.square()
