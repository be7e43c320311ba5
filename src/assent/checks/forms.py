"""The form of an answer: a JSON object with keys, tags that open and close in order."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

_FENCE = re.compile(r"\A```[a-zA-Z]*\s*\n(.*)\n```\Z", re.DOTALL)


def is_object_with(answer: str, keys: Sequence[str]) -> bool:
    """Whether an answer is one JSON object, bare or in one code fence, that has all of these keys."""
    bare = answer.strip()
    fenced = _FENCE.match(bare)
    try:
        value = json.loads(fenced.group(1) if fenced else bare)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and all(key in value for key in keys)


def has_tags(answer: str, tags: Sequence[str]) -> bool:
    """Whether <tag>…</tag> of every tag stands once in an answer, none inside another, in this order."""
    at = 0
    for tag in tags:
        start, end = answer.find(f"<{tag}>", at), answer.find(f"</{tag}>", at)
        if not 0 <= start < end or answer.count(f"<{tag}>") != 1 or answer.count(f"</{tag}>") != 1:
            return False
        at = end
    return True
