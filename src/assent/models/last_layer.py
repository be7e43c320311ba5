"""The last layer where its output is read alone: of all other tokens it needs keys and values, and nothing more.

What a model says is read at some tokens: those before scored ones, or the last of each row. Up to the last layer every
state matters to some later token. In the last one, a state that nobody reads still gives its key and value; its
query's answer, its output projection and its feed-forward part would be thrown away. A `ReadPass` leaves them out:

    before the last layer    the layer is run on the tokens that are not read, until it asks for attention;
                             then it begins anew with those that are
    in its attention         queries of those that are read meet the keys and values of all

It works on whatever layer transformers has, since it only chooses which rows the layer is given; the check at load time
(`models.parity`) says where an architecture does not take it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from assent.models.attention import AttentionCall, AttentionPlan, attend_with, current_plan
from assent.models.group_plan import GroupPlan, unread_first
from assent.models.take import RowGather

Place = Literal["scored", "last"]
"""Where states are read: before each scored token, or at the last token of each row."""


@dataclass(frozen=True, eq=False)
class Reading:
    """The tokens of a group batch whose last states are read, and the attention of the last layer for them."""

    num_tokens: int
    num_unread: int
    plan: GroupPlan
    order: RowGather
    """Takes the states of all tokens, those that are not read first."""
    take: RowGather
    """Takes what is read, in the order and as often as it is, from the states of those that are read."""

    @classmethod
    def of(cls, places: NDArray[np.int64], segments: NDArray[np.int64], positions: NDArray[np.int64]) -> Reading:
        """Of `places`, tokens by number in any order, any of them several times."""
        read, number = np.unique(places, return_inverse=True)
        return cls(
            num_tokens=len(positions),
            num_unread=len(positions) - len(read),
            plan=GroupPlan(segments, positions, read),
            order=RowGather(unread_first(read, len(positions)), len(positions)),
            take=RowGather(number.reshape(-1), len(read)),
        )

    def to(self, device: torch.device | str) -> Reading:
        """The same on another device."""
        return replace(self, **{name: getattr(self, name).to(device) for name in ("plan", "order", "take")})

    def parts(self, given: Any) -> tuple[Any, Any]:
        """What a layer is given, for the tokens that are not read and for those that are."""
        match given:
            case Tensor() if given.ndim > 1 and given.shape[:2] == (1, self.num_tokens):
                ordered = self.order(given[0])
                return ordered[None, : self.num_unread], ordered[None, self.num_unread :]
            case Tensor() if given.shape == (self.num_tokens,):
                ordered = self.order(given)
                return ordered[: self.num_unread], ordered[self.num_unread :]
            case tuple() if type(given) is tuple:
                both = [self.parts(one) for one in given]
                return tuple(first for first, _ in both), tuple(second for _, second in both)
            case Mapping():
                each = {name: self.parts(one) for name, one in given.items()}
                return {n: first for n, (first, _) in each.items()}, {n: second for n, (_, second) in each.items()}
            case _:
                return given, given


class ReadPass:
    """One forward pass under `whole`, whose last layer answers only where `reading` says; None: everywhere.

    Attention of another pass: keep none for a second one.
    """

    def __init__(self, whole: AttentionPlan, reading: Reading | None) -> None:
        self.reading = reading
        self._whole = whole
        self._unread: AttentionCall | None = None

    def begin_last(self, unread: AttentionCall) -> None:
        """From here on the last layer asks for those that are read; `unread` was asked for the others."""
        self._unread = unread

    def attend(self, call: AttentionCall) -> Tensor:
        """Return the attention output [R, H, D] of those that ask."""
        if self._unread is None or self.reading is None:
            return self._whole.attend(call)
        key, value = (torch.cat([getattr(self._unread, n), getattr(call, n)], dim=1) for n in ("key", "value"))
        return self.reading.plan.attend(replace(call, key=key, value=value))


class _Asked(Exception):
    """The end of a layer's run for keys and values."""

    def __init__(self, call: AttentionCall) -> None:
        super().__init__("a layer asked for attention")
        self.call = call


class _Ask:
    """Ends a layer where it asks for attention."""

    def attend(self, call: AttentionCall) -> Tensor:
        """Tell the question by an error."""
        raise _Asked(call)


def prepare(decoder: nn.Module, num_layers: int) -> bool:
    """Let the last layer of a decoder listen to a `ReadPass`; without one it stays as it is. False: none was found.

    The hook has no state and is told the module, so that copies of the model work by themselves.
    """
    stacks = [one for one in decoder.modules() if isinstance(one, nn.ModuleList) and len(one) == num_layers]
    if not stacks:
        return False
    last = stacks[0][-1]
    if _narrowed not in last._forward_pre_hooks.values():
        last.register_forward_pre_hook(_narrowed, with_kwargs=True)
    return True


def _narrowed(layer: nn.Module, args: Any, kwargs: Any) -> tuple[Any, Any] | None:
    """What the layer is run on: the tokens that are read, after the keys and values of all others are had."""
    current = current_plan()
    if not isinstance(current, ReadPass) or current.reading is None:
        return None
    (args, read_args), (kwargs, read_kwargs) = current.reading.parts(args), current.reading.parts(kwargs)
    try:
        with attend_with(_Ask()):
            type(layer).forward(layer, *args, **kwargs)  # not what may be laid around it for this pass
    except _Asked as asked:
        current.begin_last(asked.call)
    else:
        raise NotImplementedError(f"the last layer, a {type(layer).__name__}, asks for no attention")
    return read_args, read_kwargs
