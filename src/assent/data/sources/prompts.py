"""Prompts alone: `prompt` (or what is named like one) as text or as messages, with an optional id.

Every other column reaches reward functions as the prompt's `meta`.
"""

from __future__ import annotations

from assent.core.types import Prompt
from assent.data.rows import Row
from assent.data.sources import asked, turns
from assent.data.sources.format import Format
from assent.data.values import name_of


def prompts(row: Row) -> list[Prompt]:
    """The prompt of a row under its own id, if it has one."""
    found = turns.prompt(row, asked.prompt(row))
    own = _row_id(row)
    if own is None:
        return [found]
    row.tally.read("id")
    return [found.model_copy(update={"id": own})]


def _row_id(row: Row) -> str | None:
    return name_of(row.values.get("id"))


FORMAT = Format(
    name="prompts",
    columns="prompt | question | query | instruction[, input]",
    matches=lambda values: bool(asked.names(values)),
    prompts=prompts,
    row_id=_row_id,
)
