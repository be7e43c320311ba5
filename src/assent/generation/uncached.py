"""Live rows without a cache: every step computes each row again from its first token. Slow, and right for any decoder.

It is what the cached ways are held against, and what serves models whose state they cannot keep: recurrent and hybrid
ones, and attention that asks its plan more than once in a layer.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from assent.core.group import TokenIds
from assent.generation.cache import PromptPlan
from assent.models.attention import IMPLEMENTATION, attend_with, attention_of
from assent.models.decoder import plainly

_TOKENS = 8192  # rows are computed in batches of about this many tokens


class UncachedRows:
    """Computes next-token logits of live rows from whole rows: laid end to end under a plan, or those of one length
    together, so that nothing is ever padded."""

    can_join = True
    """Whether rows may join while others are live."""

    def __init__(self, core: PreTrainedModel, prompts: Sequence[TokenIds]) -> None:
        self._core, self._prompts = core, prompts
        self._is_flat = attention_of(core) == IMPLEMENTATION
        self._keeps = "logits_to_keep" in inspect.signature(core.forward).parameters
        self._rows: list[TokenIds] = []
        self.positions = 0

    def join(self, prompts: Sequence[int]) -> Float[Tensor, "N V"]:
        """Add a row for each of these prompt numbers; returns their next-token logits."""
        unique = list(dict.fromkeys(prompts))
        self._rows += [self._prompts[number] for number in prompts]
        logits = self._logits([self._prompts[number] for number in unique])
        return logits[torch.tensor([unique.index(number) for number in prompts], device=logits.device)]

    def step(self, tokens: NDArray[np.int64], positions: NDArray[np.int64]) -> Float[Tensor, "B V"]:
        """Give each row its newest token; returns the logits of the tokens after."""
        self._rows = [np.append(row, token) for row, token in zip(self._rows, tokens, strict=True)]
        return self._logits(self._rows)

    def keep(self, former: NDArray[np.int64]) -> None:
        """Renumber rows: row n is what row `former[n]` was; rows not named are gone."""
        self._rows = [self._rows[row] for row in former.tolist()]

    def _logits(self, rows: Sequence[TokenIds]) -> Float[Tensor, "N V"]:
        found: dict[int, Tensor] = {}
        for numbers in self._batches(rows):
            some = [rows[number] for number in numbers]
            found.update(zip(numbers, self._flat(some) if self._is_flat else self._equal(some), strict=True))
            self.positions += sum(map(len, some))
        return torch.stack([found[number] for number in range(len(rows))])

    def _batches(self, rows: Sequence[TokenIds]) -> Iterator[list[int]]:
        """Numbers of rows that are computed together."""
        order = sorted(range(len(rows)), key=lambda number: len(rows[number]))
        batch: list[int] = []
        for number in order:
            is_full = (len(batch) + 1) * len(rows[number]) > _TOKENS
            is_longer = bool(batch) and not self._is_flat and len(rows[number]) > len(rows[batch[0]])
            if batch and (is_full or is_longer):
                yield batch
                batch = []
            batch.append(number)
        if batch:
            yield batch

    def _equal(self, rows: Sequence[TokenIds]) -> Float[Tensor, "N V"]:
        """Last logits of rows of one length, in plain transformers."""
        tokens = torch.from_numpy(np.stack(rows)).to(self._core.device)
        return plainly(self._core, tokens, logits_to_keep=1).logits[:, -1]

    def _flat(self, rows: Sequence[TokenIds]) -> Float[Tensor, "N V"]:
        """Last logits of rows laid end to end."""
        lengths = [len(row) for row in rows]
        device = self._core.device
        plan = PromptPlan(lengths, device)
        last = torch.from_numpy(np.cumsum(lengths) - 1).to(device)
        with attend_with(plan):
            logits = self._core(
                input_ids=torch.from_numpy(np.concatenate(rows)).to(device)[None],
                position_ids=torch.from_numpy(plan.positions).to(device)[None],
                use_cache=False,
                **({"logits_to_keep": last} if self._keeps else {}),
            ).logits[0]
        return logits if len(logits) == len(rows) else logits[last]
