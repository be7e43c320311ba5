"""Which way live rows are computed: the fastest one whose numbers are those of whole rows computed again at each step.

The check is made once per architecture in a process, on a tiny twin of the model: rows beyond its windows and short
ones, two rows of one prompt, a row that ends, and one that joins.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from assent.core.group import TokenIds
from assent.generation.captured import CAPTURED_PADDING, CapturedRows, recorder_for
from assent.generation.flat import FlatRows, ModuleForward
from assent.generation.lean import LeanDecoder
from assent.generation.padded import PaddedLiveRows
from assent.generation.shelves import edges_of
from assent.generation.stateful import StatefulRows
from assent.generation.uncached import UncachedRows
from assent.models.attention import attention_of
from assent.models.decoder import Mode
from assent.models.load import context_window
from assent.models.parity import TOLERANCE, TWIN_TOLERANCE, switch_attention
from assent.models.policy import PolicyModel
from assent.models.probe import random_tokens
from assent.models.twin import twin_key, twin_of

_log = logging.getLogger(__name__)

_RECORDED = 1e-2
"""Products in TF32 of other shapes differ by a tenth of that; a wrong row differs by hundreds of it."""
RowsKind = Literal["captured", "lean", "flat", "padded", "stateful", "uncached"]


class LiveRows(Protocol):
    """Computes next-token logits of the answers that are being written, one row each."""

    can_join: bool
    positions: int

    def join(self, prompts: Sequence[int]) -> Float[Tensor, "N V"]:
        """Add a row for each of these prompt numbers, equal ones together; returns their next-token logits."""
        ...

    def step(self, tokens: NDArray[np.int64], positions: NDArray[np.int64]) -> Float[Tensor, "B V"]:
        """Feed each row its newest token, at its position; returns the logits of the tokens after.

        They may be overwritten by the next step.
        """
        ...

    def keep(self, former: NDArray[np.int64]) -> None:
        """Renumber rows: row n is what row `former[n]` ≥ n was; rows not named are gone."""
        ...


@dataclass(frozen=True)
class ChosenRows:
    """A way to compute live rows, and why it is not a faster one."""

    kind: RowsKind
    reason: str

    def make(
        self,
        core: PreTrainedModel,
        prompts: Sequence[TokenIds],
        order: Sequence[int],
        *,
        capacity: int,
        lean: LeanDecoder | None = None,
    ) -> LiveRows:
        """Rows for these prompts, which will join in this order, at most `capacity` at a time.

        "captured" and "lean" rows are computed by `lean`; without it, as "flat" ones, by the modules. Steps are not
        captured where prompts of very different lengths would have to lie together.
        """
        if self.kind in ("captured", "lean", "flat"):
            forward = lean if lean is not None and self.kind != "flat" else ModuleForward(core)
            record = recorder_for(forward.device) if forward is lean and self.kind == "captured" else None
            if record is None or len(edges_of([len(prompt) for prompt in prompts], CAPTURED_PADDING)) > 1:
                return FlatRows(forward, prompts, order, capacity=capacity)
            return CapturedRows(forward, prompts, order, capacity=capacity, record=record)
        if self.kind == "padded":
            return PaddedLiveRows(core, prompts)
        return StatefulRows(core, prompts) if self.kind == "stateful" else UncachedRows(core, prompts)


_chosen: dict[str, ChosenRows] = {}


def choose_rows(policy: PolicyModel) -> ChosenRows:
    """The way for this policy; the reason is logged where it is a slow one."""
    core: PreTrainedModel = policy.core
    can_capture = recorder_for(core.device) is not None
    key = f"{policy.mode}/{can_capture}/{twin_key(core)}"
    if key not in _chosen:
        with torch.inference_mode(False), torch.no_grad():
            twin = twin_of(core)
            if twin is not None:
                switch_attention(twin, attention_of(core))
            chosen = _first_right(policy.mode, core if twin is None else twin, is_twin=twin is not None)
            if chosen.kind == "lean" and can_capture and _captures(core if twin is None else twin.to(core.device)):
                chosen = ChosenRows("captured", "")
            _chosen[key] = chosen
    chosen = _chosen[key]
    if chosen.reason:
        how = "without a cache" if chosen.kind == "uncached" else "in cohorts of prompts of one length"
        _log.warning("%s: slow sampling %s, because %s", type(core).__name__, how, chosen.reason)
    return chosen


def _first_right(mode: Mode, core: PreTrainedModel, *, is_twin: bool) -> ChosenRows:
    kinds: tuple[RowsKind, ...] = ("lean", "flat") if mode == "groups" else ("padded", "stateful")
    tolerance = TWIN_TOLERANCE if is_twin else TOLERANCE.get(core.dtype, 1e-4)
    first = ""
    for kind in kinds:
        if kind == "lean" and LeanDecoder.of(core) is None:
            continue
        reason = _why_not(kind, core, tolerance)
        if reason is None:
            return ChosenRows(kind, first)
        if kind == "lean":  # no slow way yet: the modules come next
            _log.info("%s: the modules of transformers draw answers, because %s", type(core).__name__, reason)
        else:
            first = first or reason
    return ChosenRows("uncached", first)


def _captures(core: PreTrainedModel) -> bool:
    """Whether recorded steps say what the same steps say that are not; both on the device."""
    try:
        asked, recorded = (_played(kind, core, joins=True) for kind in ("lean", "captured"))
    # A family may do what cannot be recorded, such as asking the device for a number.
    except Exception as error:
        _log.warning("%s: steps are not recorded: %s: %s", type(core).__name__, type(error).__name__, error)
        return False
    difference = (recorded - asked).abs().max().item()
    limit = _RECORDED * max(1.0, asked.abs().max().item())
    if not difference <= limit:
        _log.warning("%s: steps are not recorded: they differ by %.2g", type(core).__name__, difference)
    return difference <= limit


def _why_not(kind: RowsKind, core: PreTrainedModel, tolerance: float) -> str | None:
    """None where rows of this kind say the same as whole rows, else what is wrong with them."""
    joins = kind in ("lean", "flat")  # padded rows join only when none is live
    expected = _played("uncached", core, joins=joins)
    try:
        found = _played(kind, core, joins=joins)
    # Each architecture has its own idea of a cache, and its own way to fail with another.
    except Exception as error:
        _log.info("%s: no %s rows: %s: %s", type(core).__name__, kind, type(error).__name__, error)
        return "its state cannot be kept as keys and values" if kind == "padded" else f"{kind} rows fail"
    difference = (found - expected).abs().max().item()
    limit = tolerance * max(1.0, expected.abs().max().item())
    if not difference <= limit:
        return f"cached log-probabilities differ from those of whole rows by {difference:.2g} (at most {limit:.2g})"
    return None


def _played(kind: RowsKind, core: PreTrainedModel, *, joins: bool) -> Float[Tensor, "N V"]:
    """Log-probabilities of all words while fixed answers are written: rows join, one ends, and one joins later."""
    steps = 6
    lengths = [min(length, context_window(core) - steps - 1) for length in (40, 3, 21, 9)]
    prompts = [random_tokens(core, length, name=f"prompt {n}") for n, length in enumerate(lengths)]
    answers = np.stack([random_tokens(core, steps + 1, name=f"answer {n}") for n in range(5)])
    starts = np.array([lengths[n] for n in (0, 0, 1, 2, 3)])
    lean = LeanDecoder.of(core) if kind in ("captured", "lean") else None
    rows = ChosenRows(kind, "").make(core, prompts, range(4), capacity=5, lean=lean)
    said = [rows.join([0, 0, 1, 2])]
    live = np.arange(4)
    for step in range(steps):
        if step == 3:
            rows.keep(np.array([0, 3, 2]))
            live = live[[0, 3, 2]]
        said.append(rows.step(answers[live, step], starts[live] + step).clone())
    if joins:
        said.append(rows.join([3]))
        last = np.append(answers[live, steps], answers[4, 0])
        said.append(rows.step(last, np.append(starts[live] + steps, starts[4])))
    return torch.cat(said).float().log_softmax(-1)
