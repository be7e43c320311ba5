"""Live rows for models that must see plain batches: left-padded prompts, the model's own cache, no refilling."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from assent.core.group import TokenIds


class PaddedLiveRows:
    """Computes next-token logits of live rows through transformers' own cache. Rows join only when none is live.

    Prompts are still computed once for all their rows, and rows that end are still dropped at once.
    """

    can_join = False
    """Whether rows may join while others are live."""

    def __init__(self, core: PreTrainedModel, prompts: Sequence[TokenIds]) -> None:
        self._core, self._prompts = core, prompts
        self._accepts = inspect.signature(core.forward).parameters
        self._cache = DynamicCache()
        self._is_real = torch.empty(0, 0, dtype=torch.long)
        self.positions = 0

    def join(self, prompts: Sequence[int]) -> Float[Tensor, "N V"]:
        """Start over with a row for each of these prompt numbers; returns their next-token logits."""
        device = self._core.device
        unique = list(dict.fromkeys(prompts))
        longest = max(len(self._prompts[n]) for n in unique)
        tokens = np.zeros((len(unique), longest), dtype=np.int64)  # token 0 where padded: masked, so any would do
        is_real = np.zeros_like(tokens)
        for row, number in enumerate(unique):
            prompt = self._prompts[number]
            tokens[row, longest - len(prompt) :] = prompt
            is_real[row, longest - len(prompt) :] = 1
        positions = np.maximum(is_real.cumsum(1) - 1, 0)
        self._is_real = torch.from_numpy(is_real).to(device)
        self._cache = DynamicCache(config=self._core.config.get_text_config())
        logits = self._logits(torch.from_numpy(tokens).to(device), torch.from_numpy(positions).to(device))
        fork = torch.tensor([unique.index(n) for n in prompts], device=device)
        self._select(fork)
        return logits[fork]

    def step(self, tokens: NDArray[np.int64], positions: NDArray[np.int64]) -> Float[Tensor, "B V"]:
        """Feed each row its newest token, at its position; returns the logits of the tokens after."""
        self._is_real = torch.cat([self._is_real, self._is_real.new_ones(len(tokens), 1)], dim=1)
        device = self._core.device
        return self._logits(
            torch.from_numpy(tokens).to(device)[:, None], torch.from_numpy(positions).to(device)[:, None]
        )

    def keep(self, former: NDArray[np.int64]) -> None:
        """Renumber rows: row n is what row `former[n]` was; rows not named are gone."""
        if len(former):
            self._select(torch.from_numpy(former).to(self._core.device))

    def _select(self, rows: Tensor) -> None:
        self._cache.batch_select_indices(rows)
        self._is_real = self._is_real[rows]

    def _logits(self, tokens: Tensor, positions: Tensor) -> Float[Tensor, "N V"]:
        self.positions += tokens.numel()
        arguments: dict[str, Any] = {"position_ids": positions, "logits_to_keep": 1}
        return self._core(
            input_ids=tokens,
            attention_mask=self._is_real,
            past_key_values=self._cache,
            use_cache=True,
            **{name: value for name, value in arguments.items() if name in self._accepts},
        ).logits[:, -1]
