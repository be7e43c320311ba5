"""Assent's own rows, as written by `data.formats`."""

from __future__ import annotations

import json

from assent.core.types import Comparison, Conversation, Prompt
from assent.data.formats import Item, from_row
from assent.data.rows import Row
from assent.data.sources.format import Format

RATER = "rater"
"""Kind of the rows that say what raters said about themselves; consent does not travel, so they are not read."""


def conversations(row: Row) -> list[Conversation]:
    """The conversation of a row."""
    if row.values.get("kind") == RATER:
        return []
    item = _item(row)
    if not isinstance(item, Conversation):
        raise _other(row, "demonstrations")
    return [item]


def comparisons(row: Row) -> list[Comparison]:
    """The comparison of a row."""
    if row.values.get("kind") == RATER:
        return []
    item = _item(row)
    if not isinstance(item, Comparison):
        raise _other(row, "comparisons")
    return [item]


def prompts(row: Row) -> list[Prompt]:
    """The prompt of a row of any kind."""
    if row.values.get("kind") == RATER:
        return []
    item = _item(row)
    return [item if isinstance(item, Prompt) else item.prompt]


def _item(row: Row) -> Item:
    row.need("assent"), row.need("kind"), row.need("record")
    try:
        item = from_row(row.values)
    except ValueError as error:
        raise row.error(str(error)) from None
    for place, text in _spoken(item):
        row.spoken(text, place)
    return item


def _spoken(item: Item) -> list[tuple[str, str]]:
    """Every text of an item, and its calls and tools as one; a turn that calls tools may say nothing besides."""
    holder = item.prompt if isinstance(item, Comparison) else item
    said = [
        (f"messages[{number}].content", turn.content)
        for number, turn in enumerate(holder.messages)
        if turn.content or not turn.tool_calls
    ]
    rest = [turn.model_dump(exclude={"content"}) for turn in holder.messages if not turn.is_plain]
    if rest or holder.tools:
        said.append(("calls and tools", json.dumps([*rest, *holder.tools], ensure_ascii=False)))
    answers = item.completions if isinstance(item, Comparison) else ()
    return said + [(f"completions[{number}].text", answer.text) for number, answer in enumerate(answers)]


def _other(row: Row, wanted: str) -> Exception:
    return row.error(f"a row of kind {row.values['kind']!r} cannot be read as {wanted}; move it to a file of its own")


def _row_id(row: Row) -> str | None:
    record = row.values.get("record")
    if row.values.get("kind") == "comparison" or not isinstance(record, dict):
        return None
    identity = record.get("id")
    return identity if isinstance(identity, str) else None


FORMAT = Format(
    name="assent",
    columns="assent, kind, record",
    matches=lambda values: "assent" in values and "record" in values,
    conversations=conversations,
    comparisons=comparisons,
    prompts=prompts,
    row_id=_row_id,
    is_closed=True,
)
