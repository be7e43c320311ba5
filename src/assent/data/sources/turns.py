"""Messages as people write them down, under several names for the same roles, turned into core messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from assent.core.types import Conversation, Message, Prompt, Role
from assent.data.rows import Row

_ROLES: dict[str, Role] = {
    "system": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
}


def messages(row: Row, value: Any, name: str) -> tuple[Message, ...]:
    """A list of {role, content}, {from, value} or {role, text}. Raises the row's error with the number of the turn."""
    if not isinstance(value, list | tuple) or not value:
        raise row.error(f"{name!r} should be a list of messages, got {type(value).__name__}")
    return tuple(_message(row, turn, f"{name}[{number}]") for number, turn in enumerate(value))


def is_messages(value: Any) -> bool:
    """Whether a value looks like a list of messages."""
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(turn, Mapping) for turn in value)


def prompt(row: Row, turns: Iterable[Message], **meta: Any) -> Prompt:
    """A prompt of these turns; it must end where the assistant has to speak."""
    kept = tuple(turns)
    if not kept or kept[-1].role == "assistant":
        last = "nothing" if not kept else "an assistant turn"
        raise row.error(f"the prompt ends in {last}; it must end in a user turn for the assistant to answer")
    return Prompt(messages=kept, meta=meta)


def conversation(row: Row, turns: Iterable[Message], **meta: Any) -> Conversation:
    """A demonstration of these turns; at least one is the assistant's."""
    kept = tuple(turns)
    if not any(turn.role == "assistant" for turn in kept):
        raise row.error(
            "no assistant turn, so there is nothing to learn; add the answer or list the file under prompts"
        )
    return Conversation(messages=kept, meta=meta)


def exchange(question: str, answer: str, **meta: Any) -> Conversation:
    """One question and its answer."""
    turns = (Message(role="user", content=question), Message(role="assistant", content=answer))
    return Conversation(messages=turns, meta=meta)


def _message(row: Row, turn: Any, place: str) -> Message:
    if not isinstance(turn, Mapping):
        raise row.error(f"{place} should be an object with role and content, got {type(turn).__name__}")
    role = turn.get("role", turn.get("from"))
    content = next((turn[key] for key in ("content", "value", "text") if turn.get(key) is not None), None)
    if not isinstance(role, str) or role not in _ROLES:
        raise row.error(f"{place} has role {role!r}; known: {', '.join(_ROLES)}")
    return Message(role=_ROLES[role], content=row.spoken("" if content is None else content, f"{place}.content"))
