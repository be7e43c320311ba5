"""Live rows without padding: prompts in one flat row computed once, then one token per live row and step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from assent.core.group import TokenIds
from assent.generation.cache import KeyValueCache, PromptPlan
from assent.generation.shelves import KeyValue, edges_of
from assent.models.attention import AttentionPlan, attend_with

_PROMPT_TOKENS = 2048  # prompts are computed in batches of about this many tokens


class Forward(Protocol):
    """A decoder as a function of flat tokens."""

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        ...

    def __call__(
        self, tokens: Int[Tensor, " T"], positions: Int[Tensor, " T"], plan: AttentionPlan, *, last: Tensor | None
    ) -> Float[Tensor, "N V"]:
        """Logits at the flat indices `last`, or everywhere."""
        ...


class ModuleForward:
    """The modules of transformers, loaded with the attention of `models.attention`."""

    def __init__(self, core: PreTrainedModel) -> None:
        self._core = core

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return self._core.device

    def __call__(
        self, tokens: Int[Tensor, " T"], positions: Int[Tensor, " T"], plan: AttentionPlan, *, last: Tensor | None
    ) -> Float[Tensor, "N V"]:
        """Logits; scaled and soft-capped as the model itself does."""
        with attend_with(plan):
            logits = self._core(
                input_ids=tokens[None],
                position_ids=positions[None],
                use_cache=False,
                logits_to_keep=0 if last is None else last,
            ).logits[0]
        # A model without `logits_to_keep` gives all of them.
        return logits if last is None or len(logits) == len(last) else logits[last]


class FlatRows:
    """Computes next-token logits of live rows by a forward pass that asks a plan for its attention.

    `order` is the order in which prompts will join. Prompts are computed somewhat ahead of it, many in one pass, and
    their keys and values wait: a row that comes free is filled by a copy, not by a forward pass of its own.
    """

    can_join = True
    """Whether rows may join while others are live."""

    def __init__(
        self,
        forward: Forward,
        prompts: Sequence[TokenIds],
        order: Sequence[int],
        *,
        capacity: int,
        edges: Sequence[int] | None = None,
    ) -> None:
        """`edges` are the lengths up to which prompts lie together, as `edges_of` them if None."""
        self._forward, self._prompts = forward, prompts
        self._order, self._num_computed = order, 0
        self._ready: dict[int, tuple[dict[int, KeyValue], Tensor]] = {}
        self._cache = KeyValueCache(capacity, edges_of([len(prompt) for prompt in prompts]) if edges is None else edges)
        self.positions = 0

    def join(self, prompts: Sequence[int]) -> Float[Tensor, "N V"]:
        """Add a row for each of these prompt numbers, equal ones together; returns their next-token logits."""
        logits = []
        self._cache.expect([len(self._prompts[prompt]) for prompt in dict.fromkeys(prompts)])
        for prompt in dict.fromkeys(prompts):
            while prompt not in self._ready:
                self._ready = {n: kept for n, kept in self._ready.items() if n in prompts}
                self._compute_ahead()
            keys_values, prompt_logits = self._ready[prompt]
            count = prompts.count(prompt)
            self._cache.fork(keys_values, count)
            logits.append(prompt_logits.expand(count, -1))
        # Only the last of them may come again: what was copied is not kept twice.
        self._ready = {n: kept for n, kept in self._ready.items() if n not in prompts or n == prompts[-1]}
        return torch.cat(logits)

    def step(self, tokens: NDArray[np.int64], positions: NDArray[np.int64]) -> Float[Tensor, "B V"]:
        """Feed each row its newest token, at its position; returns the logits of the tokens after."""
        device = self._forward.device
        places = torch.from_numpy(positions).to(device)
        plan = self._cache.at(positions, device)
        return self._logits(torch.from_numpy(tokens).to(device), places, plan, last=None)

    def keep(self, former: NDArray[np.int64]) -> None:
        """Renumber rows: row n is what row `former[n]` ≥ n was; rows not named are gone."""
        self._cache.keep(former)

    def _compute_ahead(self) -> None:
        """Compute the next prompts in order, at least one, up to the budget of tokens."""
        numbers, num_tokens = list[int](), 0
        while self._num_computed < len(self._order):
            length = len(self._prompts[self._order[self._num_computed]])
            if numbers and num_tokens + length > _PROMPT_TOKENS:
                break
            numbers.append(self._order[self._num_computed])
            self._num_computed += 1
            num_tokens += length
        device = self._forward.device
        lengths = [len(self._prompts[n]) for n in numbers]
        plan = PromptPlan(lengths, device)
        tokens = torch.from_numpy(np.concatenate([self._prompts[n] for n in numbers])).to(device)
        positions = torch.from_numpy(plan.positions).to(device)
        last = torch.from_numpy(np.cumsum(lengths) - 1).to(device)
        logits = self._logits(tokens, positions, plan, last=last)
        for place, number in enumerate(numbers):
            self._ready[number] = (plan.keys_values(place), logits[place : place + 1])

    def _logits(
        self, tokens: Tensor, positions: Tensor, plan: AttentionPlan, *, last: Tensor | None
    ) -> Float[Tensor, "N V"]:
        """Logits at the flat indices `last`, or everywhere."""
        self.positions += len(tokens)
        return self._forward(tokens, positions, plan, last=last)
