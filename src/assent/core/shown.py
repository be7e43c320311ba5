"""Turns as people read them: what an assistant turn thinks, says and calls one after the other, and tools before all.

user "Weather in Oslo?" | reasoning "I have to look." | function_call '{"name": "weather", …}' | tool "3 C"
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from assent.core.types import Conversation, Message, Prompt, ToolCall


@dataclass(frozen=True)
class Shown:
    """A text with who or what it is of: a role, or tools, reasoning, function_call."""

    role: str
    text: str

    @property
    def is_data(self) -> bool:
        """Whether it was written for or by a program, so that its signs are no formatting."""
        return self.role in ("tools", "function_call", "tool")


def shown(talk: Prompt | Conversation) -> tuple[Shown, ...]:
    """Everything that a talk holds, as texts in their order; turns that are plain text stay as they are."""
    tools = (Shown("tools", _json(list(talk.tools), indent=1)),) if talk.tools else ()
    return (*tools, *turns_shown(talk.messages))


def turns_shown(messages: Sequence[Message]) -> tuple[Shown, ...]:
    """Turns as texts in their order."""
    return tuple(one for message in messages for one in _turn(message))


def _turn(message: Message) -> list[Shown]:
    if message.is_plain:
        return [Shown(message.role, message.content)]
    thought = [Shown("reasoning", message.reasoning)] if message.reasoning else []
    said = [Shown(message.role, message.content)] if message.content or not message.tool_calls else []
    return [*thought, *said, *(Shown("function_call", _call(call)) for call in message.tool_calls)]


def _call(call: ToolCall) -> str:
    return _json({"name": call.name, "arguments": call.arguments} | ({"id": call.id} if call.id else {}))


def _json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)
