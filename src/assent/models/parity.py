"""The check at load time that decides how a model computes a group batch: without padding, or row by row.

Two small groups go through the model both ways. The padded way uses attention that transformers wrote for the model
("eager" where it has one), so agreement means that the group batch is right for this architecture.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from assent.core import seeds
from assent.core.errors import ModelError
from assent.core.group import Group
from assent.models.attention import IMPLEMENTATION, AttentionCall
from assent.models.decoder import Mode, flat_states
from assent.models.groups import GroupBatch, pack
from assent.models.quiet import quiet

_log = logging.getLogger(__name__)

Outputs = Callable[[GroupBatch, Mode], Tensor]

TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 5e-2, torch.float16: 2e-2}
"""Largest difference, relative to the largest output where that exceeds 1."""


def choose_mode(
    hf: PreTrainedModel, outputs: Outputs, *, attention: Literal["auto", "groups", "padded"], where: str
) -> tuple[Mode, str]:
    """Return the mode and, for "padded", the reason; leaves `hf` with the attention of that mode.

    `outputs(batch, mode)` is what the model is used for: log-probabilities or scores. Raises ModelError where
    `attention` is "groups" and the check fails.
    """
    native = _native_attention(hf)
    if attention == "padded":
        _switch(hf, native)
        return "padded", "model.attention is padded"
    reason = _why_not_groups(hf, outputs)
    if reason is None:
        return "groups", ""
    if attention == "groups":
        raise ModelError(
            f"{where}: the group batch cannot be used: {reason}; set model.attention=auto to compute padded rows"
        )
    _switch(hf, native)
    _log.warning("%s: computing padded rows, because %s", where, reason)
    return "padded", reason


@torch.no_grad()
def _why_not_groups(hf: PreTrainedModel, outputs: Outputs) -> str | None:
    """None where both ways agree; leaves `hf` with the attention of the group batch."""
    batch = two_groups(hf)
    _switch(hf, "eager")
    expected = outputs(batch, "padded")
    try:
        _switch(hf, IMPLEMENTATION)
        recorder = _Recorder(batch)
        flat_states(hf.base_model, batch, recorder)
        found = outputs(batch, "groups")
    # Whatever an unknown architecture does when it is called in an unexpected way, padded rows still serve it.
    except Exception as error:
        return f"{type(hf).__name__} does not take the group attention ({type(error).__name__}: {error})"
    if (reason := recorder.why_not(hf)) is not None:
        return reason
    difference = (found - expected).abs().max().item()
    limit = TOLERANCE.get(hf.dtype, 1e-4) * max(1.0, expected.abs().max().item())
    if not difference <= limit:
        return f"its numbers differ from padded rows by {difference:.2g} (at most {limit:.2g})"
    return None


class _Recorder:
    """Computes a batch's attention and notes which layers asked, and with which window."""

    def __init__(self, batch: GroupBatch) -> None:
        self._plan = batch.plan
        self._windows: dict[int, int | None] = {}

    def attend(self, call: AttentionCall) -> Tensor:
        """Attend as the batch's own plan does."""
        self._windows[call.layer] = call.sliding_window
        return self._plan.attend(call)

    def why_not(self, hf: PreTrainedModel) -> str | None:
        """A layer that mixes tokens in another way, or hides its window, would be wrong on longer rows."""
        settings = hf.config.get_text_config()
        silent = sorted(set(range(settings.num_hidden_layers)) - set(self._windows))
        if silent:
            return f"layers {silent} of {type(hf).__name__} do not use the attention interface"
        kinds = getattr(settings, "layer_types", None) or []
        odd = sorted({k for k in kinds if k not in ("full_attention", "sliding_attention")})
        if odd:
            return f"{type(hf).__name__} has layers of kind {', '.join(odd)}"
        for layer, kind in enumerate(kinds):
            if kind == "sliding_attention" and self._windows[layer] is None:
                return f"layer {layer} of {type(hf).__name__} does not say how wide its sliding window is"
        window = getattr(settings, "sliding_window", None)
        is_used = window is not None and getattr(settings, "use_sliding_window", True) and not kinds
        if is_used and not any(self._windows.values()):
            return f"{type(hf).__name__} does not say which layers have its sliding window of {window}"
        return None


def two_groups(hf: PreTrainedModel) -> GroupBatch:
    """One prompt with three answers and one with one, of random tokens."""
    settings = hf.config.get_text_config()
    random = seeds.stream(0, "parity")
    special = {settings.pad_token_id, settings.bos_token_id}
    words = np.array([t for t in range(min(settings.vocab_size, 4096)) if t not in special], dtype=np.int64)

    def text(length: int) -> np.ndarray:
        return random.choice(words, size=length)

    groups = [Group(text(7), (text(5), text(1), text(9))), Group(text(4), (text(11),))]
    return pack(groups, budget=10**6)[0].to(hf.device)


def _native_attention(hf: PreTrainedModel) -> str:
    """What padded rows are computed with: as loaded, but "eager" where scores are soft-capped, which SDPA skips."""
    if getattr(hf.config.get_text_config(), "attn_logit_softcapping", None) is not None:
        return "eager"
    return hf.config._attn_implementation or "eager"


def _switch(hf: PreTrainedModel, implementation: str) -> None:
    if hf.config._attn_implementation != implementation:
        with quiet():
            hf.set_attn_implementation(implementation)
