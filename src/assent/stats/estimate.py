"""Estimate: a number with its interval, in every file, page and report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pydantic import SerializerFunctionWrapHandler, field_validator, model_serializer
from pydantic_core.core_schema import ValidationInfo

from assent.core.types import Record

_PARTS = ("estimate", "low", "high")


class Estimate(Record):
    """A number with its interval. Ends are infinite where too little is known to give one."""

    estimate: float
    low: float
    high: float
    n: int | None = None
    """How many answers, tasks, raters or hours it rests on; None, and then left out of JSON, where that is not said."""

    @classmethod
    def of(cls, value: Any, *, n: int | None = None) -> Estimate | None:
        """An estimate from its JSON, with `n` where the JSON has none; None where it is none or has no interval."""
        if not isinstance(value, Mapping) or not all(isinstance(value.get(part), int | float) for part in _PARTS):
            return None
        known = value.get("n", n)
        parts = {part: float(value[part]) for part in _PARTS}
        return cls(**parts, n=known if isinstance(known, int) else None)

    def __str__(self) -> str:
        return f"{self.estimate:.3f} [{self.low:.3f}, {self.high:.3f}]"

    @property
    def half_width(self) -> float:
        """Half the length of the interval."""
        return (self.high - self.low) / 2

    def inside(self, low: float, high: float) -> Estimate:
        """The same with its interval cut to where the number can be."""
        return self.model_copy(update={"low": max(self.low, low), "high": min(self.high, high)})

    @field_validator("low", "high", mode="before")
    @classmethod
    def _unknown_end(cls, value: Any, info: ValidationInfo) -> Any:
        """JSON knows no infinity: an infinite end is written as null, and read back here."""
        if value is not None:
            return value
        return -math.inf if info.field_name == "low" else math.inf

    @model_serializer(mode="wrap")
    def _without_unknown_n(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = write(self)
        if self.n is None:
            values.pop("n", None)
        return values
