"""Rows that mean something only together: those of one prompt, in the order in which their prompts appear."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from assent.core.errors import DataError
from assent.core.hashing import hash_json
from assent.data.rows import BadRow, Row
from assent.data.sources import asked, columns


def by_prompt(
    rows: Sequence[Row], read: Callable[[Row], dict[str, Any]]
) -> Iterator[tuple[Row, list[dict[str, Any]]] | BadRow]:
    """(first row of a prompt, what `read` makes of each row of that prompt); rows that cannot be read come as bad.

    Rows are of one prompt where their system prompts and histories are the same too.
    """
    groups: dict[str, tuple[Row, list[dict[str, Any]]]] = {}
    for row in rows:
        try:
            names = [*asked.names(row.values), *(name for name in sorted(row.shared) if row.has(name))]
            key = hash_json([[name, row.need(name)] for name in names])
            found = read(row)
            columns.settle(row, [], ignores=(), wanted="comparisons")
        except DataError as error:
            yield BadRow(error, dict(row.raw or row.values))
            continue
        first, answers = groups.setdefault(key, (row, []))
        answers.append({**found, "line": row.line})
        if first is not row:
            first.tally.add(row.tally)
    yield from groups.values()
