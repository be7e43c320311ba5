"""Live rows for recurrent and hybrid models: whatever state the model itself returns is handed back to it.

Nobody but the model knows what its state is, so no row is taken out of it or put into it, and nothing is padded:
prompts of one length begin together as a cohort, which lives until the last of its rows has ended.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from assent.core.group import TokenIds

_STATES = ("past_key_values", "cache_params", "state")
"""Names that a state goes by, in a model's output and among its arguments."""


@dataclass
class _Cohort:
    state: dict[str, Any]
    places: NDArray[np.int64]
    """Live row of each row of the state, -1 where it has ended."""


class StatefulRows:
    """Computes next-token logits of live rows through each cohort's own state. Rows join only when none is live."""

    can_join = False
    """Whether rows may join while others are live."""

    def __init__(self, core: PreTrainedModel, prompts: Sequence[TokenIds]) -> None:
        self._core, self._prompts = core, prompts
        self._keeps = "logits_to_keep" in inspect.signature(core.forward).parameters
        self._cohorts: list[_Cohort] = []
        self.positions = 0

    def join(self, prompts: Sequence[int]) -> Float[Tensor, "N V"]:
        """Start over with a row for each of these prompt numbers; returns their next-token logits."""
        self._cohorts = []
        by_length: dict[int, list[int]] = {}
        for row, number in enumerate(prompts):
            by_length.setdefault(len(self._prompts[number]), []).append(row)
        found: dict[int, Tensor] = {}
        for rows in by_length.values():
            cohort = _Cohort({}, np.array(rows))
            tokens = np.stack([self._prompts[prompts[row]] for row in rows])
            found.update(zip(rows, self._logits(cohort, tokens), strict=True))
            self._cohorts.append(cohort)
        return torch.stack([found[row] for row in range(len(prompts))])

    def step(self, tokens: NDArray[np.int64], positions: NDArray[np.int64]) -> Float[Tensor, "B V"]:
        """Feed each row its newest token; returns the logits of the tokens after."""
        found: dict[int, Tensor] = {}
        for cohort in self._cohorts:
            # A row that has ended goes on with any word; nobody reads what comes of it.
            newest = np.where(cohort.places >= 0, tokens[cohort.places], tokens[0])[:, None]
            for row, logits in zip(cohort.places.tolist(), self._logits(cohort, newest), strict=True):
                if row >= 0:
                    found[row] = logits
        return torch.stack([found[row] for row in range(len(tokens))])

    def keep(self, former: NDArray[np.int64]) -> None:
        """Renumber rows: row n is what row `former[n]` was; rows not named are gone."""
        now = {row: new for new, row in enumerate(former.tolist())}
        for cohort in self._cohorts:
            cohort.places = np.array([now.get(row, -1) for row in cohort.places.tolist()])
        self._cohorts = [cohort for cohort in self._cohorts if (cohort.places >= 0).any()]

    def _logits(self, cohort: _Cohort, tokens: NDArray[np.int64]) -> Float[Tensor, "N V"]:
        """Move a cohort on by these tokens [N, T]."""
        self.positions += tokens.size
        more = {"logits_to_keep": 1} if self._keeps else {}
        ids = torch.from_numpy(tokens).to(self._core.device)
        output = self._core(input_ids=ids, use_cache=True, **cohort.state, **more)
        cohort.state = {name: output[name] for name in _STATES if output.get(name) is not None}
        if not cohort.state:
            raise ValueError("it returns no state")
        return output.logits[:, -1]
