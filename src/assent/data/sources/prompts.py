"""Prompts alone: `prompt` as text or as messages, with an optional id."""

from __future__ import annotations

from assent.core.types import Message, Prompt
from assent.data.rows import Row
from assent.data.sources import turns
from assent.data.sources.format import Format


def prompts(row: Row) -> list[Prompt]:
    """The prompt of a row under its own id, if it has one."""
    value = row.need("prompt")
    if turns.is_messages(value):
        asked = turns.prompt(row, turns.messages(row, value, "prompt"))
    else:
        asked = turns.prompt(row, (Message(role="user", content=row.text("prompt")),))
    return [asked.model_copy(update={"id": _row_id(row) or asked.id})]


def _row_id(row: Row) -> str | None:
    return str(row.values["id"]) if row.has("id") else None


FORMAT = Format(
    name="prompts", columns="prompt", matches=lambda values: "prompt" in values, prompts=prompts, row_id=_row_id
)
