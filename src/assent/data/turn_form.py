"""Turns as chat templates read them, and whether a template wrote down what they hold.

The names are those of transformers: `tool_calls` of {type, function: {name, arguments}}, turns of the role `tool`, and
`reasoning_content` (`thinking` for templates that call it so). What a template cannot do it leaves out without a word,
so that what came out is searched for every name, argument, result and thought.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from assent.core.types import Asked, Conversation, Message, Prompt, ToolCall, tool_name

Mark = Callable[[str], str]
"""Lays marks around what a template must not take for its own."""
PROBE: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "probe_of_tools",
        "description": "A probe.",
        "parameters": {"type": "object", "properties": {}, "required": []},
    },
}
"""A tool that no text speaks of."""


@dataclass(frozen=True)
class Talk:
    """Turns, and the tools that may be called in them."""

    turns: tuple[Message, ...]
    tools: tuple[dict[str, Any], ...] = ()

    @classmethod
    def of(cls, asked: Asked | Conversation) -> Talk:
        """That of a prompt or a conversation, or turns without tools."""
        return cls(asked.messages, asked.tools) if isinstance(asked, Prompt | Conversation) else cls(tuple(asked))

    @property
    def is_plain(self) -> bool:
        """Whether everything in it is text that users, assistant and system say."""
        return not self.tools and all(turn.is_plain for turn in self.turns)

    def to(self, stop: int) -> Talk:
        """The talk up to a turn, without it."""
        return Talk(self.turns[:stop], self.tools)


@dataclass(frozen=True)
class Piece:
    """Text between two borders of a talk, and the turns it is of; an answer ends before its end-of-turn token."""

    text: str
    turns: tuple[Message, ...]
    is_answer: bool = False
    is_learned: bool = False

    def without(self, *marks: str) -> Piece:
        """The same without marks in its text."""
        text = self.text
        for mark in marks:
            text = text.replace(mark, "")
        return replace(self, text=text)


def turns_for(messages: Sequence[Message], mark: Mark) -> list[dict[str, Any]]:
    """Messages in the words of templates, every text of them marked."""
    return [_turn(message, mark) for message in messages]


def tools_for(tools: Sequence[Mapping[str, Any]], mark: Mark) -> list[dict[str, Any]] | None:
    """Tools in the words of templates, each below `function`; None where there are none."""
    whole = [
        tool if isinstance(tool.get("function"), Mapping) else {"type": "function", "function": tool} for tool in tools
    ]
    return [_marked(tool, mark) for tool in whole] or None


def missing(pieces: Sequence[Piece], talk: Talk) -> str | None:
    """What of a talk's tools, calls and results, and of the reasoning of learned turns, does not stand in its pieces.

    In words, the first of them; None where all stands where it belongs. Plain turns are not looked for.
    """
    if talk.is_plain:
        return None
    context = "".join(piece.text for piece in pieces if not piece.is_answer)
    for name in (tool_name(tool) or "" for tool in talk.tools):
        if not any(spelling in context for spelling in _spellings(name)):
            return f"the tool {name!r}"
    return next((lost for piece in pieces if (lost := _lost(piece)) is not None), None)


def _lost(piece: Piece) -> str | None:
    """What a piece's turns hold and its text does not, turn by turn in their order."""
    text, begin = piece.text, 0
    for message in piece.turns:
        if message.role == "user":
            # What follows a question stands behind it, not in the list of tools before it.
            found = [(at, len(s)) for s in _spellings(message.content) if (at := text.find(s, begin)) >= 0]
            begin = sum(min(found, default=(begin, 0)))
            continue
        places = []
        # The longest first, each in a place of its own: a city that stands in the text too has to stand there twice.
        for what, spellings in sorted(_held(message, piece.is_learned), key=lambda one: -len(one[1][0])):
            found = [(at, len(s)) for s in spellings if (at := text.find(s, begin)) >= 0]
            if not found:
                return f"{what} {spellings[0][:40]!r} of the {message.role} turn"
            at, size = min(found)
            text = text[:at] + "\0" * size + text[at + size :]
            places.append(at)
        begin = min(places, default=begin)
    return None


def _turn(message: Message, mark: Mark) -> dict[str, Any]:
    turn: dict[str, Any] = {"role": message.role, "content": mark(message.content)}
    if message.tool_calls:
        turn["tool_calls"] = [_call(call, mark) for call in message.tool_calls]
    if message.reasoning:
        turn["reasoning_content"] = turn["thinking"] = mark(message.reasoning)
    if message.tool_call_id:
        turn["tool_call_id"] = mark(message.tool_call_id)
    if message.name:
        turn["name"] = mark(message.name)
    return turn


def _call(call: ToolCall, mark: Mark) -> dict[str, Any]:
    function = {"name": mark(call.name), "arguments": _marked(call.arguments, mark)}
    return {"type": "function", **({"id": mark(call.id)} if call.id else {}), "function": function}


def _marked(value: Any, mark: Mark) -> Any:
    """A JSON value with every text in it marked, names too."""
    if isinstance(value, str):
        return mark(value)
    if isinstance(value, Mapping):
        return {mark(str(name)): _marked(inner, mark) for name, inner in value.items()}
    return [_marked(inner, mark) for inner in value] if isinstance(value, list | tuple) else value


def _held(message: Message, learned: bool) -> list[tuple[str, list[str]]]:
    """What a turn holds besides plain talk, in words, and how a template may spell each."""
    held: list[tuple[str, Any]] = []
    if message.role == "tool" or message.tool_calls or (learned and message.reasoning):
        held.append(("what is said,", message.content))
    for call in message.tool_calls:
        held.append(("the name of the call", call.name))
        held += [(f"the argument of {call.name!r},", leaf) for leaf in _leaves(call.arguments)]
    if learned:
        held.append(("the reasoning", message.reasoning))
    return [(what, found) for what, value in held if (found := _spellings(value))]


def _leaves(value: Any) -> list[Any]:
    """Every name and every plain value inside a JSON object."""
    if isinstance(value, Mapping):
        return [leaf for name, inner in value.items() for leaf in (str(name), *_leaves(inner))]
    return [leaf for inner in value for leaf in _leaves(inner)] if isinstance(value, list | tuple) else [value]


def _spellings(value: Any) -> list[str]:
    """How a value may stand in a text: as it is, trimmed, as JSON or as Python writes it."""
    if not isinstance(value, str):
        return [json.dumps(value), str(value)]
    bare = value.strip()
    return [bare, json.dumps(bare, ensure_ascii=False)[1:-1], json.dumps(bare)[1:-1]] if bare else []
