"""Alpaca columns (Taori et al. 2023): instruction, input (may be empty), output."""

from __future__ import annotations

from assent.core.types import Conversation
from assent.data.rows import Row
from assent.data.sources import transcripts, turns
from assent.data.sources.format import Format


def conversations(row: Row) -> list[Conversation]:
    """The instruction, then the input after a blank line, and the answer."""
    asked = "\n\n".join(part for part in (row.text("instruction"), row.optional_text("input")) if part)
    return [turns.exchange(row, transcripts.asked(row, asked, "instruction"), row.text("output"))]


FORMAT = Format(
    name="alpaca",
    columns="instruction, [input,] output",
    matches=lambda values: "instruction" in values and "output" in values,
    conversations=conversations,
)
