"""Tensors of equal length side by side: what a table of pairs or votes is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import TypeVar

import torch

T = TypeVar("T", bound="Columns")


@dataclass(frozen=True, eq=False)
class Columns:
    """The base of a dataclass whose fields are all tensors."""

    @classmethod
    def join(cls: type[T], parts: Iterable[T]) -> T:
        """One after another. Raises ValueError for no parts."""
        listed = list(parts)
        if not listed:
            raise ValueError(f"there are no {cls.__name__.lower()} to join")
        return cls(*(torch.cat([getattr(part, field.name) for part in listed]) for field in fields(cls)))

    def to(self: T, device: torch.device) -> T:
        """The same on another device."""
        return type(self)(*(getattr(self, field.name).to(device) for field in fields(self)))
