"""JSON bodies of requests: unknown fields are refused, and so is what no database could keep."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

DEEPEST = 100
"""Levels of lists and objects in each other. What checks bodies gives up at some 250."""


class Body(BaseModel):
    """The body of a request."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _keepable(cls, value: Any) -> Any:
        if isinstance(value, dict):
            refuse_unkeepable(value)
        return value


def keepable(value: Any) -> Any:
    """The body of a request whose model is not a `Body`, as it came. Raises ValueError for what cannot be kept."""
    refuse_unkeepable(value)
    return value


def refuse_unkeepable(value: Any) -> None:
    """Raise ValueError for NUL characters, halves of surrogate pairs, NaN, and nesting without end."""
    if _depth(value) > DEEPEST:
        raise ValueError(f"is nested deeper than {DEEPEST} levels; make it flatter")
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("holds half of a surrogate pair, which is no text; remove it") from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except ValueError:
        raise ValueError("holds a number that is not finite; leave it out") from None
    if "\\u0000" in text.replace("\\\\", ""):
        raise ValueError("holds a NUL character; remove it")


def _depth(value: Any) -> int:
    """How deep lists and objects stand in each other; looks no deeper than it has to."""
    depth, level = 0, [value] if isinstance(value, dict | list | tuple) else []
    while level and depth <= DEEPEST:
        inside = (one for outer in level for one in (outer.values() if isinstance(outer, dict) else outer))
        level = [one for one in inside if isinstance(one, dict | list | tuple)]
        depth += 1
    return depth
