"""Chat messages: `messages` [{role, content}], the ShareGPT way, `conversations` [{from, value}], or Capybara's pairs.

Capybara's `conversation` is a list of {input, output}. Keys of turns that say whether to learn them (`weight`, `train`)
are heeded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assent.core.types import Conversation, Message, Prompt
from assent.data.rows import Row
from assent.data.sources import turns
from assent.data.sources.format import Format
from assent.data.values import is_blank

NAMES = ("messages", "conversations", "conversation")


def conversations(row: Row) -> list[Conversation]:
    """The conversation of a row."""
    name, value = _found(row)
    if _is_pairs(value):
        return [turns.conversation(row, _pairs(row, value))]
    said = turns.messages(row, value, name)
    return [turns.conversation(row, said, learn=turns.flags(row, value, name))]


def prompts(row: Row) -> list[Prompt]:
    """What precedes the last assistant turn, or all turns where the user speaks last."""
    name, value = _found(row)
    said = _pairs(row, value) if _is_pairs(value) else turns.messages(row, value, name)
    if said[-1].role != "assistant":
        return [turns.prompt(row, said)]
    return [turns.prompt(row, said[:-1])]


def _found(row: Row) -> tuple[str, Any]:
    """The column with the conversation; two that say the same are one."""
    said = [name for name in NAMES if name in row.values and not is_blank(row.values[name])]
    if not said:
        row.need("messages")
    read = {name: turns.messages(row, row.values[name], name) for name in said} if len(said) > 1 else {}
    if any(one != read[said[0]] for one in read.values()):
        raise row.error(f"{' and '.join(map(repr, said))} hold different conversations; ignore one of them")
    row.tally.read(*said)
    return (said[0], row.values[said[0]]) if said else ("messages", row.need("messages"))


def _is_pairs(value: Any) -> bool:
    return turns.is_messages(value) and all({"input", "output"} <= pair.keys() for pair in value)


def _pairs(row: Row, value: Any) -> tuple[Message, ...]:
    said: list[Message] = []
    for number, pair in enumerate(value):
        odd = {key for key, inner in pair.items() if key not in ("input", "output") and not is_blank(inner)}
        if odd:
            raise row.error(f"conversation[{number}] holds {sorted(odd)} beside input and output, which are not read")
        said += [
            Message(role="user", content=row.spoken(pair["input"], f"conversation[{number}].input")),
            Message(role="assistant", content=row.spoken(pair["output"], f"conversation[{number}].output")),
        ]
    return tuple(said)


def _matches(values: Mapping[str, Any]) -> bool:
    return any(turns.is_messages(values.get(name)) for name in NAMES)


FORMAT = Format(
    name="messages",
    columns="messages [{role, content}] | conversations [{from, value}] | conversation [{input, output}]",
    matches=_matches,
    conversations=conversations,
    prompts=prompts,
    ignores=frozenset({"chosen", "rejected"}),
)
