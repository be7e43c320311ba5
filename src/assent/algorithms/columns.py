"""Tensors of equal length side by side: what a table of pairs or votes is."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import TypeVar

import torch

T = TypeVar("T", bound="Columns")
AT_ONCE = 512
"""Parts that are held while they are joined."""


@dataclass(frozen=True, eq=False)
class Columns:
    """The base of a dataclass whose fields are all tensors."""

    @classmethod
    def join(cls: type[T], parts: Iterable[T]) -> T:
        """One after another; few parts are held at a time. Raises ValueError for no parts."""
        given, joined = iter(parts), list[T]()
        while some := list(itertools.islice(given, AT_ONCE)):
            joined.append(cls._end_to_end(some))
        if not joined:
            raise ValueError(f"there are no {cls.__name__.lower()} to join")
        return joined[0] if len(joined) == 1 else cls._end_to_end(joined)

    @classmethod
    def _end_to_end(cls: type[T], parts: list[T]) -> T:
        return cls(*(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(cls)))

    def to(self: T, device: torch.device) -> T:
        """The same on another device."""
        return type(self)(*(getattr(self, field.name).to(device) for field in fields(self)))
