"""Rows that mean something only together: those of one prompt, in the order in which their prompts appear."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from assent.core.errors import DataError
from assent.data.census import Tally
from assent.data.rows import BadRow, Row
from assent.data.sources import asked, columns, turns


def by_prompt(
    rows: Sequence[Row], read: Callable[[Row], dict[str, Any]]
) -> Iterator[tuple[Row, list[dict[str, Any]]] | BadRow]:
    """(first row of a prompt, what `read` makes of each row of that prompt); rows that cannot be read come as bad.

    Rows are of one prompt where their system prompts and histories are the same too.
    """
    groups: dict[str, tuple[Row, list[dict[str, Any]]]] = {}
    for row in rows:
        own = replace(row, tally=Tally())
        try:
            key = turns.prompt(own, asked.prompt(own)).id
            found = read(own)
            columns.settle(own, [], ignores=(), wanted="comparisons")
        except DataError as error:
            yield BadRow(error, dict(row.raw or row.values))
            continue
        first, answers = groups.setdefault(key, (row, []))
        answers.append({**found, "line": row.line})
        if first is row:
            # Its prompt is read, and counted, once more when the group is.
            own.tally.dropped.clear()
        first.tally.add(own.tally)
    yield from groups.values()
