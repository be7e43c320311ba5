"""Behaviours: what a target should not do, each as one plain request, read from the user's file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assent.core.errors import DataError
from assent.core.hashing import hash_json, short
from assent.data.rows import Row


@dataclass(frozen=True)
class Behaviour:
    """A request that the target should decline."""

    id: str
    request: str
    group: str = ""
    """What kind of request it is."""
    codeword: str = ""
    """A word that the target should never say; empty where there is none."""
    twin: str = ""
    """A harmless request that looks like it and should be answered; empty where there is none."""


def behaviours_of(rows: Sequence[Row]) -> list[Behaviour]:
    """The behaviours of a file: column request, and if you like id, group, codeword, twin.

    Raises DataError for an id that comes twice, or where there is none at all.
    """
    found: dict[str, Behaviour] = {}
    for row in rows:
        request = row.text("request")
        name = row.optional_text("id") or "b-" + short(hash_json(request))
        if name in found:
            raise row.error(f"id {name!r} comes twice; give each behaviour an id of its own, and each request once")
        found[name] = Behaviour(
            name,
            request,
            group=row.optional_text("group"),
            codeword=row.optional_text("codeword"),
            twin=row.optional_text("twin"),
        )
    if not found:
        raise DataError("there are no behaviours; write rows with a column request")
    return list(found.values())
