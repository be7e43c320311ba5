"""Verdicts in texts: the last valid one that a model wrote, out of a whitelist; anything else is no verdict.

A model may lay thoughts, fences or chatter around its JSON. What it quotes of the answers that it judges stands inside
a string of that JSON, and an object with text behind it is only taken where nothing broken stands before it, so that a
verdict which an answer brought along is not taken for the judge's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_THOUGHTS = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)
_FENCE = re.compile(r"^\s*```[a-zA-Z]*\s*$", re.MULTILINE)
_PLAIN = re.compile(r"(?:\bverdict\b[\"'*]*\s*[:=]\s*|\[\[)[\"'*]*([A-Za-z0-9]+)(?![A-Za-z0-9])", re.IGNORECASE)
_DECODER = json.JSONDecoder()
_SHOWN = 60


@dataclass(frozen=True)
class Spoken:
    """A verdict, and why."""

    verdict: str
    reason: str = ""


class NotSaidError(Exception):
    """A text without a verdict; the message tells its writer what is wrong with it."""


def spoken(text: str, allowed: Sequence[str]) -> Spoken:
    """The last valid verdict of a text, one of `allowed` in its spelling there. Raises NotSaidError."""
    bare = _FENCE.sub("", _THOUGHTS.sub("", text)).strip()
    if not bare:
        raise NotSaidError("the reply is empty")
    found, is_broken = _objects(bare)
    if not found and "{" not in bare:
        said = [name for match in _PLAIN.finditer(bare) if (name := _allowed(match.group(1), allowed)) is not None]
        if said:
            return Spoken(said[-1])
        raise NotSaidError("the reply holds no JSON object")
    valid = [(one, end) for one, end in found if _allowed(one.get("verdict"), allowed) is not None]
    if not valid:
        raise NotSaidError(_wrong([one for one, _ in found], allowed))
    last, end = valid[-1]
    if is_broken and bare[end:].strip():
        raise NotSaidError("the reply is not valid JSON")
    verdict = _allowed(last["verdict"], allowed)
    assert verdict is not None
    reason = last.get("reason", "")
    return Spoken(verdict, reason if isinstance(reason, str) else "")


def schema_of(allowed: Sequence[str]) -> dict[str, Any]:
    """The JSON schema of a reply."""
    are_numbers = all(name.isdigit() for name in allowed)
    verdict = (
        {"type": "integer", "enum": [int(name) for name in allowed]}
        if are_numbers
        else {"type": "string", "enum": list(allowed)}
    )
    properties = {"evidence": {"type": "string"}, "reason": {"type": "string"}, "verdict": verdict}
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _objects(text: str) -> tuple[list[tuple[dict[str, Any], int]], bool]:
    """Whole objects with the places where they end, outermost ones only; and whether one was begun and not ended."""
    found: list[tuple[dict[str, Any], int]] = []
    at, is_broken = text.find("{"), False
    while at >= 0:
        try:
            value, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            is_broken, end = True, at + 1
        else:
            found.append((value, end))
        at = text.find("{", end)
    return found, is_broken


def _allowed(value: Any, allowed: Sequence[str]) -> str | None:
    """The spelling of a value in the whitelist; None where it is not in it. True is no 1, 4.5 no 4."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, float):
        value = int(value) if value.is_integer() else value
    said = str(value).strip().casefold()
    return next((name for name in allowed if name.casefold() == said), None)


def _wrong(found: Sequence[dict[str, Any]], allowed: Sequence[str]) -> str:
    wanted = f"it must be one of {', '.join(allowed)}"
    said = next((one["verdict"] for one in reversed(found) if "verdict" in one), None)
    if said is not None:
        return f"the verdict is {json.dumps(said)[:_SHOWN]}, and {wanted}"
    return f"the reply has no verdict; {wanted}" if found else "the reply is not valid JSON"
