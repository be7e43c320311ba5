"""The decoder of a transformers model as a function from a group batch to token states, without padding or padded."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any, Literal

from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedModel

from assent.models.attention import AttentionPlan, attend_with
from assent.models.groups import GroupBatch
from assent.models.last_layer import Place, ReadPass
from assent.models.ledger import WasteLedger
from assent.models.padded import PaddedRows

Mode = Literal["groups", "padded"]


@dataclass(frozen=True)
class Way:
    """How a model computes group batches, as the check at load time found it."""

    mode: Mode
    reason: str = ""
    """For "padded": why."""
    reads: bool = False
    """Without padding: the last layer is computed only where its states are read."""


def read_states(
    hf: PreTrainedModel, batch: GroupBatch, place: Place, *, way: Way, ledger: WasteLedger | None = None
) -> Float[Tensor, "N d"]:
    """States after the last layer and its norm before each scored token [S, d], or at the end of each row [B, d]."""
    take = batch.take_scored if place == "scored" else batch.take_last
    reading = batch.reading(place) if way.reads else None
    if reading is None or reading.num_unread == 0:
        return take(token_states(hf, batch, mode=way.mode, ledger=ledger))
    if ledger is not None:
        ledger.count(positions=batch.num_tokens, tokens=batch.num_tokens)
    return reading.take(flat_states(body(hf), batch, ReadPass(batch.plan, reading)))


def token_states(
    hf: PreTrainedModel, batch: GroupBatch, *, mode: Mode, ledger: WasteLedger | None = None
) -> Float[Tensor, "T d"]:
    """States of all tokens after the last layer and its norm, differentiable.

    In mode "groups" `hf` must have been loaded or switched to the attention of `models.attention`.
    """
    if mode == "groups":
        positions = batch.num_tokens
        states = flat_states(body(hf), batch, batch.plan)
    else:
        rows = PaddedRows.of(batch)
        positions = rows.tokens.numel()
        states = rows.flat(rows.run(body(hf)).last_hidden_state)
    if ledger is not None:
        ledger.count(positions=positions, tokens=batch.num_tokens)
    return states


def plainly(module: nn.Module, tokens: Tensor, **settings: Any) -> Any:
    """Call a transformers module with rows [n, L], no mask and no cache; `settings` are given where it knows them."""
    known = inspect.signature(module.forward).parameters
    takes_any = any(p.kind is p.VAR_KEYWORD for p in known.values())
    settings = {name: value for name, value in settings.items() if name in known}
    if takes_any or "use_cache" in known:
        settings["use_cache"] = False
    return module(tokens, **settings)


def body(hf: PreTrainedModel) -> Any:
    """The decoder below the head."""
    found: Any = hf.base_model
    if found is hf:  # Llama 4 keeps it under another name than it says
        found = next((child for child in hf.children() if isinstance(child, PreTrainedModel)), hf)
    return found


def flat_states(decoder: nn.Module, batch: GroupBatch, plan: AttentionPlan) -> Float[Tensor, "R d"]:
    """States of the flat row under a plan, which says who sees whom: of all, or those that a `ReadPass` reads."""
    with attend_with(plan):
        output = decoder(batch.tokens[None], position_ids=batch.positions[None], use_cache=False)
    return output.last_hidden_state[0]
