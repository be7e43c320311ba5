"""Dolly columns (Conover et al. 2023): instruction, context (may be empty), response."""

from __future__ import annotations

from assent.core.types import Conversation
from assent.data.rows import Row
from assent.data.sources import transcripts, turns
from assent.data.sources.format import Format


def conversations(row: Row) -> list[Conversation]:
    """The instruction, then the context after a blank line, and the answer."""
    asked = "\n\n".join(part for part in (row.text("instruction"), row.optional_text("context")) if part)
    return [turns.exchange(row, transcripts.asked(row, asked, "instruction"), row.text("response"))]


FORMAT = Format(
    name="dolly",
    columns="instruction, [context,] response",
    matches=lambda values: "instruction" in values and "response" in values,
    conversations=conversations,
)
