"""Messages as people write them down, under several names for the same roles, turned into core messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from assent.core.types import Conversation, Message, Prompt, Role
from assent.data.census import Tally
from assent.data.rows import Row
from assent.data.sources import columns, tool_turns
from assent.data.values import is_blank, is_written_out, number

_ROLES: dict[str, Role] = {
    "system": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "chatgpt": "assistant",
    "developer": "system",
    **dict.fromkeys(tool_turns.CALLING, "assistant"),
    **dict.fromkeys(tool_turns.RESULTS, "tool"),
}
_SPEAKER, _WORDS = ("role", "from"), ("content", "value", "text")
_FLAGS = ("weight", "train", "trainable", "train_on_turn", "loss", "learn")
"""Keys of a turn that say whether to learn from it."""
_TEXT_PARTS = ("text", "input_text", "output_text")
EMPTY_SYSTEM = "empty system turns left out"


def messages(row: Row, value: Any, name: str) -> tuple[Message, ...]:
    """A list of {role, content}, {from, value} or {role, text}, empty system turns left out.

    Calls of tools that are turns of their own belong to the assistant turn before them, if there is one. Raises the
    row's error with the number of the turn; also where a turn holds more that would be lost.
    """
    return tuple(turn for turn, _ in _read(row, value, name))


def _read(row: Row, value: Any, name: str, *, asks: bool = False) -> list[tuple[Message, bool | None]]:
    """Messages, and of each whether its source says to learn it; None where it does not, or nobody asks."""
    if isinstance(value, str) and is_written_out(value):
        raise row.error(f"{name!r} is a list of messages as Python prints it; write it as JSON")
    if not isinstance(value, list | tuple) or not value:
        raise row.error(f"{name!r} should be a list of messages, got {type(value).__name__}")
    read: list[tuple[Message, bool | None]] = []
    for at, turn in enumerate(value):
        place = f"{name}[{at}]"
        message = _message(row, turn, name, place)
        learn = _learn(row, turn, name, place) if asks else None
        if message is not None and read and _is_calling(turn) and read[-1][0].role == "assistant":
            before, learned = read.pop()
            if learn is not None and learned is not None and learn != learned:
                raise row.error(f"{place} is a call of the turn before it, and one of the two is not to be learned")
            message = Message(**{**dict(before), "tool_calls": (*before.tool_calls, *message.tool_calls)})
            learn = learned if learn is None else learn
        if message is not None:
            read.append((message, learn))
    if not read:
        raise row.error(f"{name!r} holds nothing but empty system turns")
    return read


def is_messages(value: Any) -> bool:
    """Whether a value looks like a list of messages."""
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(turn, Mapping) for turn in value)


def prompt(row: Row, turns: Iterable[Message], **meta: Any) -> Prompt:
    """A prompt of these turns, after the row's system prompt and history; it must end where the assistant speaks."""
    kept = _after(row, tuple(turns))
    if not kept or kept[-1].role == "assistant":
        last = "nothing" if not kept else "an assistant turn"
        raise row.error(f"the prompt ends in {last}; it must end in a user turn for the assistant to answer")
    return Prompt(messages=kept, meta=meta, tools=tool_turns.tools(row))


def conversation(row: Row, turns: Iterable[Message], *, learn: Sequence[bool] = (), **meta: Any) -> Conversation:
    """A demonstration of these turns, after the row's system prompt and history; at least one is the assistant's.

    `learn` says of each assistant turn whether to learn it; meta `learn` then holds their numbers, from the last.
    """
    said = tuple(turns)
    kept = _after(row, said)
    spoken = sum(turn.role == "assistant" for turn in kept)
    if not spoken:
        raise row.error(
            "no assistant turn, so there is nothing to learn; add the answer or list the file under prompts"
        )
    flags = [*[True] * (spoken - len(learn)), *learn]
    if not any(flags):
        raise row.error("every assistant turn is marked as not to be learned; leave the row out")
    if not all(flags):
        meta["learn"] = [number for number, flag in enumerate(reversed(flags), start=1) if flag]
    return Conversation(messages=kept, meta=meta, tools=tool_turns.tools(row))


def answer(row: Row, said: Message, name: str) -> str:
    """The text of a judged answer. Raises the row's error where it is more than a text."""
    more = "calls a tool" if said.tool_calls else "has reasoning apart from it"
    if not said.is_plain:
        raise row.error(
            f"the answer in {name!r} {more}; answers that are compared are texts alone (demonstrations and the turns"
            " before an answer may hold calls and reasoning); take the row out"
        )
    return said.content


def exchange(row: Row, asked: Iterable[Message], answer: str) -> Conversation:
    """A prompt and its answer."""
    return conversation(row, (*asked, Message(role="assistant", content=answer)))


def flags(row: Row, value: Any, name: str) -> list[bool]:
    """Whether to learn each assistant turn of a list of messages; empty where no turn says anything about it."""
    read = _read(replace(row, tally=Tally()), value, name, asks=True)
    found = [learn for turn, learn in read if turn.role == "assistant"]
    return [flag is not False for flag in found] if any(flag is not None for flag in found) else []


def _learn(row: Row, turn: Mapping[str, Any], name: str, place: str) -> bool | None:
    """Whether a turn says to learn it; None where it says nothing."""
    said = {key: turn[key] for key in _FLAGS if not is_blank(turn.get(key)) and f"{name}.{key}" not in row.unread}
    read = {_flag(row, flag, f"{place}.{key}") for key, flag in said.items()}
    if len(read) > 1:
        raise row.error(f"{place} says both to learn it and not to: {said}")
    if True in read and _role(row, turn, place) != "assistant":
        raise row.error(f"{place} is to be learned, and is no assistant turn; only those are learned")
    return read.pop() if read else None


def _flag(row: Row, value: Any, place: str) -> bool:
    if isinstance(value, bool):
        return value
    said = {"true": 1.0, "false": 0.0}.get(str(value).lower(), number(value))
    if said not in (0, 1):
        raise row.error(f"{place} is {value!r}; turns are learned (1, true) or not (0, false), nothing between")
    return said == 1


def _after(row: Row, said: tuple[Message, ...]) -> tuple[Message, ...]:
    """Turns after what the row says in columns of their own: a system prompt, and a history before the question."""
    system, history = _system(row), _history(row)
    own = [turn for turn in said if turn.role == "system"]
    if system is not None and own:
        if [turn.content.strip() for turn in own] != [system.content.strip()]:
            raise row.error(f"the system turn {own[0].content[:40]!r} and the system column say different things")
        system = None
    first = next((n for n, turn in enumerate(said) if turn.role != "system"), len(said))
    lead, rest = said[:first], said[first:]
    if rest[: len(history)] == history:
        history = ()
    return (*((system,) if system is not None else ()), *lead, *history, *rest)


def _system(row: Row) -> Message | None:
    found = {name: row.need(name) for name in columns.SYSTEM if name in row.shared and row.has(name)}
    said = [_content(row, value, name, name) for name, value in found.items() if not is_blank(value)]
    if found and not said:
        row.tally.drop(EMPTY_SYSTEM)
    if len({text.strip() for text in said}) > 1:
        raise row.error(f"{' and '.join(map(repr, found))} say different things; ignore one of them")
    return Message(role="system", content=said[0]) if said else None


def _history(row: Row) -> tuple[Message, ...]:
    found = {name: row.need(name) for name in columns.HISTORY if name in row.shared and row.has(name)}
    found = {name: value for name, value in found.items() if not is_blank(value)}
    if len(found) > 1:
        raise row.error(f"both {' and '.join(map(repr, found))} are given; ignore one of them")
    for name, value in found.items():
        if is_messages(value):
            return messages(row, value, name)
        if not isinstance(value, list | tuple) or not all(
            isinstance(pair, list | tuple) and len(pair) == 2 for pair in value
        ):
            raise row.error(f"{name!r} should be a list of [question, answer] or of messages, got {str(value)[:40]!r}")
        said = [(asked, f"{name}[{n}]", answer) for n, (asked, answer) in enumerate(value)]
        return tuple(
            Message(role=role, content=row.spoken(text, place))
            for asked, place, answer in said
            for role, text in (("user", asked), ("assistant", answer))
        )
    return ()


def _message(row: Row, turn: Any, column: str, place: str) -> Message | None:
    role = _role(row, turn, place)
    said = {key: turn[key] for key in _WORDS if not is_blank(turn.get(key))}
    unread = {key for key in turn if f"{column}.{key}" in row.unread}
    fields: dict[str, Any]
    if _is_calling(turn):
        texts = [row.spoken(value, f"{place}.{key}") for key, value in said.items()]
        fields = {"tool_calls": tool_turns.calls_in(row, texts[0], f"{place}.content") if texts else ()}
    else:
        texts = [_content(row, value, column, f"{place}.content") for value in said.values()]
        fields = _beside(row, turn, role, place, unread)
    _settle(row, turn, column, place, fields)
    if not texts and role == "system":
        row.tally.drop(EMPTY_SYSTEM)
        return None
    if len(set(texts)) > 1:
        raise row.error(f"{place} says two different texts under {', '.join(_WORDS)}; keep one")
    content = texts[0] if texts and not _is_calling(turn) else ""
    if not fields.get("tool_calls"):
        row.spoken(content, f"{place}.content")
    return Message(role=role, content=content, **fields)


def _beside(row: Row, turn: Mapping[str, Any], role: Role, place: str, unread: set[str]) -> dict[str, Any]:
    """What a turn says besides its text, as fields of a message; only what says something."""
    if role == "tool":
        return dict(tool_turns.result_of(row, turn, place, unread))
    if role != "assistant":
        return {}
    found = {
        "tool_calls": tool_turns.calls(row, turn, place, unread),
        "reasoning": tool_turns.reasoning(row, turn, place, unread),
    }
    return {name: value for name, value in found.items() if value}


def _is_calling(turn: Any) -> bool:
    """Whether a turn's text is a call."""
    return any(isinstance(turn.get(key), str) and turn[key].strip().lower() in tool_turns.CALLING for key in _SPEAKER)


def _role(row: Row, turn: Any, place: str) -> Role:
    if not isinstance(turn, Mapping):
        raise row.error(f"{place} should be an object with role and content, got {type(turn).__name__}")
    said = [turn[key] for key in _SPEAKER if not is_blank(turn.get(key))]
    role = said[0] if said else None
    known = [_ROLES.get(one.strip().lower()) if isinstance(one, str) else None for one in said]
    if not known or known[0] is None:
        raise row.error(f"{place} has role {role!r}; known: {', '.join(_ROLES)}")
    if len(set(known)) > 1:
        raise row.error(f"{place} has two roles, {said[0]!r} and {said[1]!r}; keep one")
    return known[0]


_KEYS = {"tool_calls": tool_turns.CALLS, "reasoning": tool_turns.REASONING}
"""Fields of a message that are read from keys of other names."""


def _settle(row: Row, turn: Mapping[str, Any], column: str, place: str, fields: Mapping[str, Any]) -> None:
    """Count what else a turn holds, and refuse what would be lost and changes what was said."""
    read = {key for field in fields for key in _KEYS.get(field, (field,))}
    for key, value in turn.items():
        name = f"{column}.{key}"
        if key in (*_SPEAKER, *_WORDS) or is_blank(value):
            continue
        if name in row.unread:
            row.tally.ignore(name)
        elif key in _FLAGS or key in read:
            row.tally.read(name)
        elif key == "name" or columns.changes_meaning(key, value, "turns"):
            raise row.error(
                f"{place} holds {key!r}, which is not read and could change what was said; leave it out with ignore:"
                f" [{name}], or take the row out"
            )
        else:
            row.tally.ignore(name)


def _content(row: Row, value: Any, column: str, place: str) -> str:
    """A text, or the text parts of one, joined by line ends; other parts are refused by their type."""
    if isinstance(value, str):
        return row.spoken(value, place)
    parts = [value] if isinstance(value, Mapping) else value
    if not isinstance(parts, list | tuple):
        return row.spoken(value, place)
    found = []
    for at, part in enumerate(parts):
        if isinstance(part, str):
            found.append(part)
            continue
        kind = (part.get("type") or "text") if isinstance(part, Mapping) else type(part).__name__
        if kind not in _TEXT_PARTS or not isinstance(part.get("text") or "", str):
            raise row.error(f"{place}[{at}] is of type {kind!r}, and only text is read; leave the row out")
        for key, inner in part.items():
            if key not in ("type", "text") and not is_blank(inner):
                if columns.changes_meaning(key, inner, "turns"):
                    raise row.error(f"{place}[{at}] holds {key!r} beside its text, and only text is read")
                row.tally.ignore(f"{column}.content.{key}")
        found.append(part.get("text") or "")
    return row.spoken("\n".join(text for text in found if text), place)
