"""Tools, calls and reasoning as people write them down: OpenAI's way, Hugging Face's, and ShareGPT's speakers.

    {"role": "assistant", "tool_calls": [{"id": "c1", "function": {"name": "weather", "arguments": "{\\"city\\": …}"}}]}
    {"role": "tool", "tool_call_id": "c1", "content": "3 C"}           also role function, from observation
    {"from": "function_call", "value": "{\\"name\\": \\"weather\\", \\"arguments\\": {\\"city\\": \\"Oslo\\"}}"}

Nulls inside arguments and schemas say nothing: Parquet fills with them what other rows have. In arguments that are JSON
text they stay.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from assent.core.types import ToolCall, tool_name
from assent.data.rows import HALF, Row
from assent.data.sources import columns
from assent.data.values import is_blank, is_said

CALLING = ("function_call", "tool_call")
"""Speakers whose text is a call, as JSON."""
RESULTS = ("tool", "function", "observation", "tool_response", "function_response", "tool_result")
"""Speakers whose text is the result of a tool."""
CALLS = ("tool_calls", "function_call")
"""Keys of an assistant turn that hold its calls, the second as OpenAI wrote them at first."""
REASONING = ("reasoning_content", "reasoning", "thinking", "thought")
"""Keys of an assistant turn that hold what it thought."""
OF_RESULT = ("tool_call_id", "name")
"""Keys of a tool turn that say whose result it is."""
NULLS = "nulls inside calls and tools left out"


def calls(row: Row, turn: Mapping[str, Any], place: str, unread: frozenset[str] | set[str]) -> tuple[ToolCall, ...]:
    """The calls of an assistant turn. `unread` holds its keys that the source says to ignore; calls cannot be."""
    said = [key for key in CALLS if not is_blank(turn.get(key))]
    for key in said:
        if key in unread:
            raise row.error(f"{place}.{key} cannot be ignored: the turn would be learned without its call")
    if len(said) > 1:
        raise row.error(f"{place} holds both tool_calls and function_call; keep one")
    if not said:
        return ()
    value = _from_text(row, turn[said[0]], f"{place}.{said[0]}")
    if said[0] == "function_call":
        return (_call(row, value, f"{place}.function_call"),)
    if not isinstance(value, list | tuple):
        raise row.error(f"{place}.tool_calls should be a list of calls, got {type(value).__name__}")
    return _calls(row, value, f"{place}.tool_calls")


def calls_in(row: Row, text: str, place: str) -> tuple[ToolCall, ...]:
    """The calls that a turn's text is: JSON of one call, or of a list of them."""
    value = _from_text(row, text, place)
    return _calls(row, value, place) if isinstance(value, list) else (_call(row, value, place),)


def reasoning(row: Row, turn: Mapping[str, Any], place: str, unread: frozenset[str] | set[str]) -> str:
    """What an assistant turn thought; empty where it says nothing of it."""
    said = {key: turn[key] for key in REASONING if not is_blank(turn.get(key)) and key not in unread}
    texts = {row.spoken(text, f"{place}.{key}") for key, text in said.items()}
    if len(texts) > 1:
        raise row.error(f"{place} says two different texts under {' and '.join(said)}; keep one")
    return texts.pop() if texts else ""


def result_of(row: Row, turn: Mapping[str, Any], place: str, unread: frozenset[str] | set[str]) -> dict[str, str]:
    """What a tool turn says about whose result it is, as fields of a message."""
    said = {key: turn[key] for key in OF_RESULT if not is_blank(turn.get(key)) and key not in unread}
    return {key: row.spoken(value, f"{place}.{key}") for key, value in said.items()}


def tools(row: Row) -> tuple[dict[str, Any], ...]:
    """The tools of a row: a list of JSON schemas, or JSON text of it, in a column that the format does not own."""
    found = {name: row.need(name) for name in columns.TOOLS if name in row.shared and row.has(name)}
    found = {name: value for name, value in found.items() if not is_blank(value)}
    read = [_schemas(row, value, name) for name, value in found.items()]
    if any(one != read[0] for one in read):
        raise row.error(f"{' and '.join(map(repr, found))} say different things; ignore one of them")
    return read[0] if read else ()


def _schemas(row: Row, value: Any, name: str) -> tuple[dict[str, Any], ...]:
    value = _from_text(row, value, name)
    if not isinstance(value, list | tuple):
        raise row.error(f"{name!r} should be a list of tools, got {type(value).__name__}")
    read = []
    for number, one in enumerate(value):
        if is_blank(one):
            continue
        one = _from_text(row, one, f"{name}[{number}]")
        if not isinstance(one, Mapping) or tool_name(one) is None:
            raise row.error(f"{name}[{number}] is no tool: give an object with a name, or with function.name")
        read.append(_checked(row, _without_nulls(row, one), f"{name}[{number}]"))
    return tuple(read)


def _calls(row: Row, value: Any, place: str) -> tuple[ToolCall, ...]:
    return tuple(_call(row, one, f"{place}[{number}]") for number, one in enumerate(value) if not is_blank(one))


def _call(row: Row, value: Any, place: str) -> ToolCall:
    """One call: {id, type, function: {name, arguments}}, or {name, arguments} itself."""
    value = _from_text(row, value, place)
    if not isinstance(value, Mapping):
        raise row.error(f"{place} should be an object with name and arguments, got {type(value).__name__}")
    outer = {key: inner for key, inner in value.items() if not is_blank(inner)}
    kind = outer.pop("type", "function")
    if kind != "function":
        raise row.error(f"{place}.type is {kind!r}; only calls of functions are read")
    identity = outer.pop("id", "")
    outer.pop("index", None)  # its number in the list
    named = outer.pop("function", outer)
    if not isinstance(named, Mapping):
        raise row.error(f"{place}.function should be an object with name and arguments, got {type(named).__name__}")
    inner = {key: said for key, said in named.items() if not is_blank(said)}
    name, arguments = inner.pop("name", None), _arguments(row, named.get("arguments"), f"{place}.arguments")
    inner.pop("arguments", None)
    odd = sorted(map(str, {*inner, *(outer if named is not outer else ())}))
    if odd:
        raise row.error(f"{place} holds {', '.join(map(repr, odd))}, which is not read; leave the row out")
    return ToolCall(
        name=row.spoken(name if name is not None else "", f"{place}.name"),
        arguments=arguments,
        id=row.spoken(identity, f"{place}.id") if identity else "",
    )


def _arguments(row: Row, value: Any, place: str) -> dict[str, Any]:
    if not is_said(value) or (isinstance(value, str) and not value.strip()):
        return {}
    was_text = isinstance(value, str)
    value = _from_text(row, value, place, what="arguments are a JSON object")
    if not isinstance(value, Mapping):
        raise row.error(f"{place} should be a JSON object, got {type(value).__name__} {str(value)[:40]!r}")
    return _checked(row, value if was_text else _without_nulls(row, value), place)


def _from_text(row: Row, value: Any, place: str, what: str = "it should be JSON") -> Any:
    """A value that may be written as JSON text."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise row.error(f"{place} is {value[:40]!r}; {what}") from None


def _checked(row: Row, value: Mapping[str, Any], place: str) -> dict[str, Any]:
    """A JSON object that can be kept and written."""
    try:
        written = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise row.error(f"{place} holds what JSON cannot: {error}") from None
    if HALF.search(written):
        raise row.error(f"{place} holds half a character (a lone surrogate); save the text anew")
    return dict(value)


def _without_nulls(row: Row, value: Any) -> Any:
    """The same without keys that say nothing, which are counted."""
    if isinstance(value, Mapping):
        silent = sum(not is_said(inner) for inner in value.values())
        for _ in range(silent):
            row.tally.drop(NULLS)
        return {str(key): _without_nulls(row, inner) for key, inner in value.items() if is_said(inner)}
    return [_without_nulls(row, inner) for inner in value] if isinstance(value, list | tuple) else value
