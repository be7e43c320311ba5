"""Values as files hold them: which of them say something, and the plain ones that all kinds of files have in common.

A null, a NaN and a missing column are the same: nothing is said. Parquet fills the columns and fields that other rows
use with nulls, and pandas fills them with NaN.
"""

from __future__ import annotations

import datetime
import decimal
import json
import math
import re
from collections.abc import Mapping
from typing import Any

_SPEAKER, _WORDS = {"role", "from"}, {"content", "value", "text", "tool_calls", "function_call"}
_REPR = re.compile(r"\s*(?:array\(|list\()?\[\s*(?:dict\(|\{)\s*'(?:role|from|content|value)'\s*:")


def is_said(value: Any) -> bool:
    """Whether a value says anything: neither null nor NaN."""
    return value is not None and not (isinstance(value, float) and math.isnan(value))


def is_blank(value: Any) -> bool:
    """Whether nothing stands in a value: nothing said, blank text, an empty list or mapping, or only such inside."""
    if isinstance(value, str):
        return not value.strip()
    if isinstance(value, Mapping):
        return all(is_blank(inner) for inner in value.values())
    if isinstance(value, list | tuple):
        return all(is_blank(inner) for inner in value)
    return not is_said(value)


def number(value: Any) -> float | None:
    """A finite number, or one written as text; None for anything else, booleans too."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def name_of(value: Any) -> str | None:
    """An id or a rater's name: text, or a whole number as text (7.0 is 7); None where none is said."""
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, bool) or not isinstance(value, int | float) or not is_said(value):
        return None
    return str(int(value)) if float(value).is_integer() else str(value)


def plain(value: Any) -> Any:
    """A value of a table as JSON would hold it: dates as text, decimals and numpy numbers as numbers, maps by name."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        if value and all(isinstance(one, tuple) and len(one) == 2 and isinstance(one[0], str) for one in value):
            # Arrow gives a map as a list of pairs.
            return {key: plain(inner) for key, inner in value}
        return [plain(inner) for inner in value]
    if isinstance(value, decimal.Decimal):
        return int(value) if value.is_finite() and value == value.to_integral_value() else float(value)
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, bytes):
        return _decoded(value)
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    return value


def is_turn(value: Any) -> bool:
    """Whether a value looks like one message: a mapping with who speaks and what is said."""
    return isinstance(value, Mapping) and bool(_SPEAKER & value.keys()) and bool(_WORDS & value.keys())


def turns_in(text: str) -> list[Any] | None:
    """The messages that a text holds as JSON; None where it holds none."""
    if not text.lstrip().startswith("["):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, list) and found and all(map(is_turn, found)) else None


def is_written_out(text: str) -> bool:
    """Whether a text is a list of messages as Python prints it, which is not JSON."""
    return _REPR.match(text) is not None


def _decoded(value: bytes) -> Any:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value
