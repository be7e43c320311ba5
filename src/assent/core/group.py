"""The group: one prompt and its K ≥ 1 continuations as token ids, the unit that every trainer works on.

    prompt          [p0 p1 p2]
    continuations   [a0 a1 a2 </s>]   [b0 b1 </s>]

SFT has K = 1, reward modelling and DPO K ≥ 2, GRPO/RLOO/PPO K ≥ 1. The prompt is computed once for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assent.core.lazy import Places

TokenIds = NDArray[np.int64]
TokenMask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Group:
    """Token ids of one prompt [P ≥ 1] and its continuations, each [C_k ≥ 1].

    `is_scored[k][i]` is True where token i of continuation k counts in a token-level loss or log-probability
    (all of them unless given; a multi-turn demonstration masks its later user turns).
    """

    prompt: TokenIds
    continuations: tuple[TokenIds, ...]
    is_scored: tuple[TokenMask, ...] = ()

    def __post_init__(self) -> None:
        if len(self.prompt) == 0:
            raise ValueError("a group's prompt has no tokens; it needs at least a beginning-of-text token")
        if not self.continuations or any(len(c) == 0 for c in self.continuations):
            raise ValueError("a group needs at least one continuation and none may be empty")
        if not self.is_scored:
            object.__setattr__(self, "is_scored", tuple(np.ones(len(c), dtype=bool) for c in self.continuations))
        if [len(m) for m in self.is_scored] != [len(c) for c in self.continuations]:
            raise ValueError("is_scored must have one mask per continuation, of the same length")

    @property
    def num_tokens(self) -> int:
        """Real tokens, the prompt counted once."""
        return len(self.prompt) + sum(len(c) for c in self.continuations)

    @property
    def num_scored(self) -> int:
        """Tokens that count in a token-level loss."""
        return int(sum(m.sum() for m in self.is_scored))

    @property
    def longest(self) -> int:
        """Length of the longest row: prompt and one continuation."""
        return len(self.prompt) + max(len(c) for c in self.continuations)


def answer_starts(groups: Sequence[Group]) -> Places:
    """[n + 1] where the answers of each group begin among all answers; the last is how many there are."""
    starts = np.zeros(len(groups) + 1, dtype=np.int64)
    np.cumsum(np.fromiter((len(one.continuations) for one in groups), np.int64, len(groups)), out=starts[1:])
    return starts
