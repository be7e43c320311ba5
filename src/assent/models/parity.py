"""The check at load time that decides how a model computes a group batch: without padding, or padded row by row.

The reference is one row at a time in plain transformers, without cache and without padding. Two models are asked:

    the model itself    a few rows of at most 32 tokens: is the head what we think, do all layers use our attention?
    its twin            tiny, float32, all windows and original contexts `shrink.WINDOW` tokens: rows far beyond them,
                        mixed with short ones, outputs and gradients of all weights

What disagrees in groups is computed padded, with the reason; what disagrees padded too is refused with the number.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from torch import Tensor
from transformers import PreTrainedModel

from assent.core.errors import ModelError
from assent.models.attention import IMPLEMENTATION, AttentionCall, attention_of
from assent.models.decoder import Way, body, flat_states, read_states
from assent.models.groups import GroupBatch
from assent.models.last_layer import Place, ReadPass, prepare
from assent.models.load import context_window
from assent.models.probe import long_groups, short_groups
from assent.models.products import Products, choose, compute_in, layers_of
from assent.models.quiet import quiet
from assent.models.twin import plain_attention, twin_key, twin_of

_log = logging.getLogger(__name__)

TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 5e-2, torch.float16: 2e-2}
"""Largest difference, relative to the largest output where that exceeds 1. What bfloat16 hides, the twin shows."""
TWIN_TOLERANCE = 5e-4
_GRADIENT_TOLERANCE = 5e-3
"""Random wide weights enlarge rounding, most of all where layers repeat; faults of the kinds looked for exceed 1e-2."""
_SMALL = 20_000_000
"""Parameters of a model that is examined itself where it has no twin."""


@runtime_checkable
class Question(Protocol):
    """What a model is used for: log-probabilities of tokens, or scores of rows."""

    place: Place
    """Which states are read for it."""

    def plain(self, hf: PreTrainedModel, tokens: Tensor) -> Tensor:
        """What plain transformers says of rows [n, L] without padding: [n, L - 1] of next tokens, or [n, 1] of rows."""
        ...

    def padded(self, hf: PreTrainedModel, batch: GroupBatch) -> Tensor:
        """The same of a group batch, from padded rows, in the order of the batch."""
        ...

    def from_read(self, hf: PreTrainedModel, states: Tensor, batch: GroupBatch) -> Tensor:
        """The same of a group batch, from the states [N, d] that are read at `place`."""
        ...


@dataclass(frozen=True)
class Verdict:
    """What the twin showed of an architecture; None where there is nothing against it."""

    order: str | None = None
    """Why it is no model that reads from left to right."""
    fused: str | None = None
    """Why the fused attention of transformers is not to be trusted with it."""
    groups: str | None = None
    padded: str | None = None
    reads: str | None = None
    """Why the last layer is to be computed for all tokens."""


def choose_way(
    hf: PreTrainedModel, question: Question, *, attention: Literal["auto", "groups", "padded"], where: str
) -> Way:
    """Choose how group batches are computed; leaves `hf` with the attention of that mode.

    Raises ModelError where neither way gives the numbers of single rows, where the model sees later tokens, and where
    `attention` is "groups" and the check fails.
    """
    verdict = verdict_of(hf, question)
    name = type(hf).__name__
    if verdict.order is not None:
        raise ModelError(f"{where}: {name} {verdict.order}; choose a decoder that reads from left to right")
    longest = getattr(hf.config.get_text_config(), "max_position_embeddings", None) or 0
    if context_window(hf) < longest:
        _log.warning("%s: rows end at the original context of %d tokens (LongRoPE)", where, context_window(hf))
    native = "eager" if verdict.fused is not None else _native_attention(hf)
    if verdict.fused is not None:
        _log.warning("%s: eager attention, because %s", where, verdict.fused)
    switch_attention(hf, native)
    with torch.no_grad():
        batch = short_groups(hf)
        expected = _of_single_rows(hf, question, batch, together=True)
        reason = "model.attention is padded"
        if attention != "padded":
            reads = verdict.reads or _why_not_groups(hf, question, batch, expected, reads=True)
            found = reads and (_why_not_groups(hf, question, batch, expected, reads=False) or verdict.groups)
            if found is None:
                if reads is not None:
                    _log.info("%s: the last layer is computed for all tokens, because %s", where, reads)
                return Way("groups", reads=reads is None)
            reason = found
        if attention == "groups":
            raise ModelError(
                f"{where}: the group batch cannot be used: {reason}; set model.attention=auto to compute padded rows"
            )
        switch_attention(hf, native)
        failed = _attempt(lambda: _difference(question.padded(hf, batch), expected, _tolerance(hf))) or verdict.padded
    if failed is not None:
        raise ModelError(
            f"{where}: {name} cannot be trained right: in padded rows {failed}"
            + (f", and without padding {reason}" if attention != "padded" else "")
            + "; choose another model"
        )
    if attention != "padded":
        _log.warning("%s: computing padded rows, because %s", where, reason)
    return Way("padded", reason)


@torch.no_grad()
def choose_products(
    hf: PreTrainedModel,
    question: Question,
    wanted: Literal["float32", "bfloat16", "auto"],
    *,
    way: Way,
    where: str,
) -> Products:
    """Choose what its products are computed in, and let it. Raises ModelError where its numbers change by too much.

    They are held to what it says in float32, in the way that was held to plain transformers.
    """
    chosen = choose(hf, wanted)
    is_new = any(type(layer) is torch.nn.Linear for layer in layers_of(hf))
    if chosen.kind == "float32" or not is_new:
        return chosen
    batch = short_groups(hf)

    def said() -> Tensor:
        if way.mode == "padded":
            return question.padded(hf, batch)
        return question.from_read(hf, read_states(hf, batch, question.place, way=way), batch)

    expected = said()
    compute_in(hf, "bfloat16")
    found = _difference(said(), expected, TOLERANCE[torch.bfloat16])
    if found is None:
        return chosen
    compute_in(hf, "float32")
    if wanted == "auto":
        return Products("float32", f"with products in bfloat16 {found}")
    raise ModelError(f"{where}: with products in bfloat16 {found}; set model.products=float32")


_verdicts: dict[str, Verdict] = {}


def verdict_of(hf: PreTrainedModel, question: Question) -> Verdict:
    """What the twin of `hf` shows; asked once per architecture in a process."""
    key = f"{type(question).__qualname__}/{twin_key(hf)}"
    if key not in _verdicts:
        with torch.inference_mode(False), torch.enable_grad():  # whatever the caller is doing
            twin = twin_of(hf)
            found = None if twin is None else _examine(twin, question)
            if found is None and hf.dtype == torch.float32 and hf.num_parameters() <= _SMALL:
                found = _examine(hf, question)  # it has no twin, and is small enough itself
        if found is None:
            longest = int(short_groups(hf).positions.max()) + 1
            _log.warning("%s cannot be made small: it is checked with rows of %d tokens", type(hf).__name__, longest)
        _verdicts[key] = found or Verdict()
    return _verdicts[key]


def _examine(twin: PreTrainedModel, question: Question) -> Verdict | None:
    """None where the twin does not run in plain transformers."""
    native = _native_attention(twin)
    batch = long_groups(twin, context=context_window(twin))
    switch_attention(twin, native)
    try:
        with torch.no_grad():
            expected = _of_single_rows(twin, question, batch)
            order, fused = _later_tokens(twin, question, batch), None
    except Exception:  # a shape that this architecture does not take
        return None
    if native == "sdpa":
        try:
            fused = _fused(twin, question, batch, expected)
            order = order if fused is None else _later_tokens(twin, question, batch)
        except Exception:  # it has no eager attention to be compared with
            fused = None
    if order is not None:
        return Verdict(order=order)
    switch_attention(twin, native if fused is None else "eager")
    try:
        wanted = _with_gradient(twin, lambda: _of_single_rows(twin, question, batch))
    except Exception as error:
        said = f"it has no gradient ({type(error).__name__}: {error})"
        return Verdict(fused=fused, groups=said, padded=said)
    padded = _attempt(lambda: _disagreement(_with_gradient(twin, lambda: question.padded(twin, batch)), wanted))
    groups = _attempt(lambda: _groups_disagree(twin, question, batch, wanted, reads=False))
    reads = groups or _attempt(lambda: _groups_disagree(twin, question, batch, wanted, reads=True))
    return Verdict(fused=fused, groups=groups, padded=padded, reads=reads)


@torch.no_grad()
def _later_tokens(hf: PreTrainedModel, question: Question, batch: GroupBatch) -> str | None:
    """Whether what is said of a token changes with the tokens after it. Scores of whole rows have no later tokens."""
    longest = max((row["tokens"] for row in batch.listed()), key=len)  # type: ignore[arg-type, type-var]
    tokens = torch.tensor([longest], device=hf.device)
    whole = question.plain(hf, tokens)[0]
    if len(whole) == 1:
        return None
    half = len(whole) // 2
    first = question.plain(hf, tokens[:, : half + 1])[0]
    if _difference(first, whole[:half], TWIN_TOLERANCE) is None:
        return None
    off = (first - whole[:half]).abs().max().item()
    return f"sees later tokens: they change what it says of earlier ones by {off:.2g}"


@torch.no_grad()
def _fused(hf: PreTrainedModel, question: Question, batch: GroupBatch, expected: Tensor) -> str | None:
    """Compare sdpa, whose outputs are `expected`, with what transformers wrote out; leaves `hf` with the latter."""
    switch_attention(hf, "eager")
    eager = _of_single_rows(hf, question, batch)
    if _difference(expected, eager, TWIN_TOLERANCE) is None:
        return None
    return f"its sdpa attention differs from the eager one by {(expected - eager).abs().max().item():.2g}"


def _groups_disagree(
    hf: PreTrainedModel, question: Question, batch: GroupBatch, wanted: tuple[Tensor, Tensor], *, reads: bool
) -> str | None:
    switch_attention(hf, IMPLEMENTATION)
    plan = _Recorder.of(batch, question, hf, reads=reads)
    return _disagreement(_with_gradient(hf, lambda: plan.ask(hf, question, batch)), wanted)


@torch.no_grad()
def _why_not_groups(
    hf: PreTrainedModel, question: Question, batch: GroupBatch, expected: Tensor, *, reads: bool
) -> str | None:
    """None where the model itself agrees on short rows; leaves `hf` with the attention of the group batch.

    With `reads` as it computes where its last layer answers only what is read.
    """
    try:
        switch_attention(hf, IMPLEMENTATION)
        recorder = _Recorder.of(batch, question, hf, reads=reads)
        found = recorder.ask(hf, question, batch)
    # Whatever an unknown architecture does when it is called in an unexpected way, padded rows still serve it.
    except Exception as error:
        return f"{type(hf).__name__} does not take the group attention ({type(error).__name__}: {error})"
    return recorder.why_not(hf) or _difference(found, expected, _tolerance(hf))


def _of_single_rows(hf: PreTrainedModel, question: Question, batch: GroupBatch, *, together: bool = False) -> Tensor:
    """The outputs of a batch from its rows, each alone, or with those of equal length `together`."""
    rows = [torch.tensor(row["tokens"], device=hf.device) for row in batch.listed()]
    found: dict[int, Tensor] = {}
    for number, row in enumerate(rows):
        if number not in found:
            same = [n for n, r in enumerate(rows) if len(r) == len(row)] if together else [number]
            found.update(zip(same, question.plain(hf, torch.stack([rows[n] for n in same])), strict=True))
    return torch.cat([found[n][-length:] for n, length in enumerate(batch.row_lengths)])


def _with_gradient(hf: PreTrainedModel, outputs: Callable[[], Tensor]) -> tuple[Tensor, Tensor]:
    """Outputs, and the gradient of a fixed weighted sum of them by all weights."""
    found = outputs()
    weights = torch.linspace(0.5, 1.5, len(found), device=found.device)
    parameters = [p for p in hf.parameters() if p.requires_grad]
    gradients = torch.autograd.grad((found * weights).sum(), parameters, allow_unused=True)
    parts = [
        torch.zeros_like(p) if g is None else g.to_dense() if g.is_sparse else g
        for p, g in zip(parameters, gradients, strict=True)
    ]
    return found.detach(), torch.cat([part.flatten() for part in parts])


def _disagreement(found: tuple[Tensor, Tensor], expected: tuple[Tensor, Tensor]) -> str | None:
    said = _difference(found[0], expected[0], TWIN_TOLERANCE)
    if said is not None:
        return said
    off = ((found[1] - expected[1]).norm() / expected[1].norm().clamp_min(1e-9)).item()
    if not off <= _GRADIENT_TOLERANCE:
        return f"its gradient differs from that of single rows by {off:.2g} of its length"
    return None


def _tolerance(hf: PreTrainedModel) -> float:
    return TOLERANCE.get(hf.dtype, 1e-4)


def _difference(found: Tensor, expected: Tensor, tolerance: float) -> str | None:
    difference = (found - expected).abs().max().item()
    limit = tolerance * max(1.0, expected.abs().max().item())
    if not difference <= limit:
        return f"its numbers differ from those of single rows by {difference:.2g} (at most {limit:.2g})"
    return None


def _attempt(check: Callable[[], str | None]) -> str | None:
    """What a check says, a failure included: here unknown architectures are called in ways they may not know."""
    try:
        return check()
    except Exception as error:
        return f"it fails with {type(error).__name__}: {str(error).strip().splitlines()[0][:200] if str(error) else ''}"


class _Recorder(ReadPass):
    """Computes a batch's attention and notes which layers asked, and with which window."""

    def __init__(self, *plans: Any) -> None:
        super().__init__(*plans)
        self._windows: dict[int, int | None] = {}

    @classmethod
    def of(cls, batch: GroupBatch, question: Question, hf: PreTrainedModel, *, reads: bool) -> _Recorder:
        """With `reads` its last layer answers only what the question reads. Raises where there is no such layer."""
        if reads and not prepare(body(hf), hf.config.get_text_config().num_hidden_layers):
            raise NotImplementedError(f"which layer of {type(hf).__name__} is the last is not known")
        return cls(batch.plan, batch.reading(question.place) if reads else None)

    def ask(self, hf: PreTrainedModel, question: Question, batch: GroupBatch) -> Tensor:
        """What the model says of the batch, computed once."""
        states = flat_states(body(hf), batch, self)
        take = batch.take_scored if question.place == "scored" else batch.take_last
        return question.from_read(hf, (take if self.reading is None else self.reading.take)(states), batch)

    def attend(self, call: AttentionCall) -> Tensor:
        """Attend as the batch's own plan does."""
        self._windows[call.layer] = call.sliding_window
        return super().attend(call)

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


def _native_attention(hf: PreTrainedModel) -> str:
    """What padded rows are computed with: as loaded, unless that is ours or leaves something out."""
    loaded = attention_of(hf)
    own = loaded == IMPLEMENTATION or plain_attention(hf) == "eager"
    return plain_attention(hf) if own else loaded


def switch_attention(hf: PreTrainedModel, implementation: str) -> None:
    """Let all layers compute attention in this way."""
    if attention_of(hf) != implementation:
        with quiet():
            hf.set_attn_implementation(implementation)
