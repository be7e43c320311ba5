"""Cursors: where the next page of a list begins, in a form that clients hand back without reading it."""

from __future__ import annotations

import base64
import json
import math
from typing import Annotated, Any

from fastapi import Query

from assent.web.refusals import Refusal

Limit = Annotated[int, Query(ge=1, le=1000, description="How many at most.")]
Cursor = Annotated[
    str | None, Query(max_length=2000, description="`next` of the page before; leave it out for the first page.")
]


def cursor_of(*key: str | float) -> str:
    """The cursor after the item of this key."""
    return base64.urlsafe_b64encode(json.dumps(key, separators=(",", ":")).encode()).decode().rstrip("=")


def key_of(cursor: str | None, *kinds: type) -> tuple[Any, ...] | None:
    """The key in a cursor, None for the first page. Raises Refusal 422 for anything that was no cursor of ours."""
    if cursor is None:
        return None
    if not is_key(cursor, *kinds):
        raise Refusal(422, "the cursor is not one of this service", "begin again without a cursor")
    return tuple(_parts(cursor))


def is_key(cursor: str, *kinds: type) -> bool:
    """Whether a cursor holds a key of these kinds."""
    key = _parts(cursor)
    is_ours = len(key) == len(kinds) and all(type(part) is kind for part, kind in zip(key, kinds, strict=True))
    return is_ours and all(_is_keepable(part) for part in key)


def _parts(cursor: str) -> list[Any]:
    try:
        key = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (ValueError, RecursionError):
        return []
    return key if isinstance(key, list) else []


def _is_keepable(part: str | float) -> bool:
    if isinstance(part, int):
        return abs(part) < 2**63  # what the databases can compare with
    if not isinstance(part, str):
        return math.isfinite(part)
    try:
        part.encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in part
