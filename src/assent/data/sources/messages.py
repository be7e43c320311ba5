"""Chat messages: `messages` [{role, content}] or the ShareGPT way, `conversations` [{from, value}]."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assent.core.types import Conversation, Message, Prompt
from assent.data.rows import Row
from assent.data.sources import turns
from assent.data.sources.format import Format


def conversations(row: Row) -> list[Conversation]:
    """The conversation of a row."""
    return [turns.conversation(row, _turns(row))]


def prompts(row: Row) -> list[Prompt]:
    """What precedes the last assistant turn, or all turns where the user speaks last."""
    said = _turns(row)
    if said[-1].role != "assistant":
        return [turns.prompt(row, said)]
    return [turns.prompt(row, said[:-1])]


def _turns(row: Row) -> tuple[Message, ...]:
    name = "conversations" if "messages" not in row.values and "conversations" in row.values else "messages"
    return turns.messages(row, row.need(name), name)


def _matches(values: Mapping[str, Any]) -> bool:
    return any(turns.is_messages(values.get(name)) for name in ("messages", "conversations"))


FORMAT = Format(
    name="messages",
    columns="messages [{role, content}] | conversations [{from, value}]",
    matches=_matches,
    conversations=conversations,
    prompts=prompts,
)
