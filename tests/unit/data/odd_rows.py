"""Rows as the world writes them, drawn at random, each with what it means, stated here and not by the readers."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

Turns = list[tuple[str, str]]
WORDS = st.sampled_from(
    ["Why is it late?", "Say hello.", "No idea at all.", "Où est-ce, là ?", "A\n\nB", "so", "7 + 4"]
)
ASIDE = st.sampled_from(["Be short.", "You are a pirate.", " Answer in rhyme. "])


@dataclass
class Said:
    """A row, and its meaning: None where it must be refused."""

    row: dict[str, Any]
    turns: Turns | None = field(default_factory=list)
    """The conversation, or the prompt of a comparison."""
    tiers: list[list[str]] | None = None
    learn: list[int] | None = None


def two_texts(draw: Any) -> tuple[str, str]:
    """Two answers that differ and do not repeat a prompt."""
    first, second = draw(
        st.lists(st.sampled_from(["Yes.", "No!", "Maybe so.", "Nein, danke."]), min_size=2, max_size=2)
    )
    return first, second


@st.composite
def prompts(draw: Any) -> tuple[dict[str, Any], Turns]:
    """Columns that hold a prompt, and its turns."""
    text = draw(WORDS)
    other = draw(WORDS)
    match draw(st.sampled_from(["prompt", "question", "query", "input", "both", "messages", "json", "parts"])):
        case "both":
            return {"instruction": text, "input": other}, [("user", f"{text}\n\n{other}")]
        case "messages":
            turns = [("system", "Be kind."), ("user", text), ("assistant", "Hm."), ("user", other)]
            return {"prompt": [{"role": role, "content": said} for role, said in turns]}, turns
        case "json":
            return {"prompt": json.dumps([{"from": "human", "value": text}])}, [("user", text)]
        case "parts":
            parts = [{"type": "text", "text": text}, {"type": "text", "text": other}]
            return {"prompt": [{"role": "user", "content": parts}]}, [("user", f"{text}\n{other}")]
        case name:
            return {name: text}, [("user", text)]


@st.composite
def demonstrations(draw: Any) -> Said:
    """A demonstration in one of the usual shapes."""
    kind = draw(st.sampled_from(["completion", "answer", "turns", "sharegpt", "alpaca", "text", "liked", "tools"]))
    asked, answer = draw(WORDS), draw(WORDS)
    if kind == "tools":
        return draw(with_calls(asked, answer))
    exchange = [("user", asked), ("assistant", answer)]
    if kind == "text":
        return Said({"text": answer}, [("assistant", answer)])
    if kind == "alpaca":
        return Said({"instruction": asked, "input": draw(st.sampled_from(["", None])), "output": answer}, exchange)
    if kind in ("turns", "sharegpt"):
        names = ("role", "content") if kind == "turns" else ("from", "value")
        speakers = (
            {"user": "user", "assistant": "assistant"} if kind == "turns" else {"user": "human", "assistant": "gpt"}
        )
        said = exchange * draw(st.integers(1, 2))
        turns = [{names[0]: speakers[role], names[1]: text} for role, text in said]
        column = "messages" if kind == "turns" else "conversations"
        return Said({column: turns}, said)
    columns, turns = draw(prompts())
    row = {**columns, "answer" if kind == "answer" else "completion": answer}
    if kind == "liked":
        row["label"] = draw(st.sampled_from([True, False, 1, 0]))
    repeats = (
        len(turns) == 1 and len(asked_of(turns).split()) > 1 and answer.strip().startswith(asked_of(turns).strip())
    )
    is_refused = repeats or (kind == "liked" and not row["label"])
    return Said(row, None if is_refused else [*turns, ("assistant", answer)])


def more(text: str, *, reasoning: str = "", calls: Any = ()) -> str:
    """What a turn says and holds besides, as one text."""
    return json.dumps([text, reasoning, [list(call) for call in calls]]) if reasoning or calls else text


ARGUMENTS = st.sampled_from([{"city": "Oslo"}, {}, {"n": 3, "deep": {"a": ["b c", 1.5]}}])


@st.composite
def with_calls(draw: Any, asked: str, answer: str) -> Said:
    """A demonstration that calls a tool, in one of the usual spellings."""
    style = draw(st.sampled_from(["openai", "objects", "old", "sharegpt", "unlike", "early", "listed"]))
    arguments, words = draw(ARGUMENTS), draw(st.sampled_from(["", "Let me look."]))
    meant = [("user", asked), ("assistant", more(words, calls=[("look", arguments)])), ("tool", "3 C")]
    meant.append(("assistant", answer))
    given: Any = arguments if style == "objects" else json.dumps(arguments)
    if style == "sharegpt":
        spoken = [{"from": "gpt", "value": words}] if words else []
        call = {"from": "function_call", "value": json.dumps({"name": "look", "arguments": arguments})}
        result = {"from": "observation", "value": "3 C"}
        turns = [{"from": "human", "value": asked}, *spoken, call, result, {"from": "gpt", "value": answer}]
        return Said({"conversations": turns}, meant)
    call = {"role": "assistant", "content": words or None}
    if style == "old":
        call["function_call"] = {"name": "look", "arguments": given}
    else:
        given = [given] if style == "listed" else given
        call["tool_calls"] = [{"id": "c1", "type": "function", "function": {"name": "look", "arguments": given}}]
    result = {"role": "tool", "tool_call_id": "c2" if style == "unlike" else "c1", "content": "3 C"}
    if style == "old":
        result = {"role": "function", "name": "look", "content": "3 C"}
    turns = [{"role": "user", "content": asked}, call, result, said(answer)]
    if style == "early":
        turns[1:3] = turns[2:0:-1]
    return Said({"messages": turns}, None if style in ("unlike", "early", "listed") else meant)


def asked_of(turns: Turns) -> str:
    """The last turn of a prompt."""
    return turns[-1][1]


@st.composite
def comparisons(draw: Any) -> Said:
    """A comparison in one of the usual shapes."""
    kind = draw(st.sampled_from(["texts", "turns", "whole", "hh", "ranks", "named", "arena", "safe"]))
    good, bad = two_texts(draw)
    columns, turns = draw(prompts())
    order = [[good], [bad]]
    whole = [{"role": role, "content": text} for role, text in turns]
    match kind:
        case "texts":
            row = {**columns, "chosen": good, "rejected": bad}
        case "turns":
            row = {**columns, "chosen": [said(good)], "rejected": said(bad)}
        case "whole":
            row = {"chosen": [*whole, said(good)], "rejected": [*whole, said(bad)]}
        case "hh":
            turns = [("user", "Hi"), ("assistant", "Yes?"), ("user", "Bye")]
            begin = "\n\nHuman: Hi\n\nAssistant: Yes?\n\nHuman: Bye\n\nAssistant: "
            row = {"chosen": begin + good, "rejected": begin + bad}
        case "ranks":
            row = {**columns, "answers": [bad, good], "ranks": draw(st.sampled_from([[2, 1], ["2", "1"], [9.0, 1.0]]))}
        case "named":
            row = {**columns, "answers": {"a": good, "b": bad}, "ranking": "a = b"}
            order = [[good, bad]]
        case "arena":
            row = {"conversation_a": [*whole, said(bad)], "conversation_b": [*whole, said(good)], "winner": "model_b"}
        case _:
            row = {
                **columns,
                "response_0": bad,
                "response_1": good,
                "better_response_id": draw(st.sampled_from([1, "1"])),
            }
    return Said(row, None, None) if good == bad and kind != "named" else Said(row, turns, order)


def said(text: str) -> dict[str, Any]:
    """An assistant's message."""
    return {"role": "assistant", "content": text}


@st.composite
def odd(draw: Any, plain: Said) -> Said:
    """The same row with things beside it, and what they make of its meaning."""
    row, meaning = dict(plain.row), plain
    for _ in range(draw(st.integers(0, 3))):
        row, meaning = draw(st.sampled_from([system, history, harmless, nothing, telling, unknown, broken, in_a_turn]))(
            draw, row, meaning
        )
    return Said(row, meaning.turns, meaning.tiers, meaning.learn)


def refused(row: dict[str, Any]) -> tuple[dict[str, Any], Said]:
    """A row that has no meaning that could be read."""
    return row, Said(row, None)


def changed(row: dict[str, Any], was: Said, turns: Turns | None) -> tuple[dict[str, Any], Said]:
    """A row whose turns are others than they were."""
    return row, Said(row, turns, was.tiers, was.learn)


def system(draw: Any, row: dict[str, Any], was: Said) -> tuple[dict[str, Any], Said]:
    """A system prompt in a column of its own."""
    if {"system", "history"} & row.keys() or was.turns is None:
        return row, was
    value = draw(st.one_of(ASIDE, st.sampled_from(["", "  ", None, math.nan])))
    row = {**row, "system": value}
    if not isinstance(value, str) or not value.strip():
        return changed(row, was, was.turns)
    own = [text for role, text in was.turns if role == "system"]
    if is_text(row) or (own and own != [value]):
        return refused(row)
    return changed(row, was, [("system", value), *was.turns])


def history(draw: Any, row: dict[str, Any], was: Said) -> tuple[dict[str, Any], Said]:
    """Turns before the question in a column of their own."""
    if "history" in row or was.turns is None:
        return row, was
    pairs = draw(st.sampled_from([[], [["One?", "Two."]], [{"role": "user", "content": "One?"}, said("Two.")], "One?"]))
    row = {**row, "history": pairs}
    if not pairs:
        return changed(row, was, was.turns)
    if is_text(row) or isinstance(pairs, str):
        return refused(row)
    lead = [turn for turn in was.turns if turn[0] == "system"]
    rest = was.turns[len(lead) :]
    return changed(row, was, [*lead, ("user", "One?"), ("assistant", "Two."), *rest])


def harmless(draw: Any, row: dict[str, Any], was: Said) -> tuple[dict[str, Any], Said]:
    """Where a row is from, and numbers."""
    extra = {
        "source": "a web page",
        "lang": "en",
        "score": 3.5,
        "num_turns": 2,
        "weight": 1,
        "mood": "good",
        "id": math.nan,
    }
    name = draw(st.sampled_from(sorted(extra)))
    return (row, was) if name in row else changed({**row, name: extra[name]}, was, was.turns)


def is_text(row: dict[str, Any]) -> bool:
    """Whether a row is a plain text to learn."""
    return isinstance(row.get("text"), str)


def nothing(draw: Any, row: dict[str, Any], was: Said) -> tuple[dict[str, Any], Said]:
    """Columns of other formats, without anything in them."""
    names = ["prompt", "chosen", "messages", "label", "tools", "context", "text", "answers", "answer", "conversations"]
    name = draw(st.sampled_from(names))
    return (
        (row, was) if name in row else changed({**row, name: draw(st.sampled_from([None, math.nan]))}, was, was.turns)
    )


def telling(draw: Any, row: dict[str, Any], was: Said) -> tuple[dict[str, Any], Said]:
    """Columns whose names say that they change the meaning, and tools, which are read where there are turns."""
    extra = {"context": "Paris", "tools": [{"name": "look"}], "images": ["a.png"], "weight": 0, "passage": "Long ago."}
    name = draw(st.sampled_from(sorted(extra)))
    if name in row or was.turns is None:
        return row, was
    row = {**row, name: extra[name]}
    return refused(row) if name != "tools" or is_text(row) else changed(row, was, was.turns)


def unknown(draw: Any, row: dict[str, Any], was: Said) -> tuple[dict[str, Any], Said]:
    """A text of several words under a name that nobody knows; beside a plain text it changes nothing."""
    row = {**row, "bemerkung": draw(st.sampled_from(["Das ist ein Satz.", ["eins zwei"], {"a": "b c"}]))}
    return changed(row, was, was.turns) if is_text(row) else refused(row)


def broken(draw: Any, row: dict[str, Any], was: Said) -> tuple[dict[str, Any], Said]:
    """A text that is none."""
    names = [name for name in ("chosen", "completion", "response_0", "text", "prompt", "output") if name in row]
    name = draw(st.sampled_from(names)) if names else None
    value = draw(st.sampled_from(["", "  ", 7, "half \ud83d", [], {}]))
    return (row, was) if name is None or not isinstance(row[name], str) else refused({**row, name: value})


def in_a_turn(draw: Any, row: dict[str, Any], was: Said) -> tuple[dict[str, Any], Said]:
    """Something in the last turn besides its text."""
    column = next((name for name in ("messages", "conversations") if isinstance(row.get(name), list)), None)
    if column is None or was.turns is None:
        return row, was
    extra = draw(st.sampled_from([{"name": "ann"}, {"tool_calls": [{"id": "1"}]}, {"tool_calls": []}, {"weight": 1},
                                  {"weight": 0}, {"thinking": "Hm."}, {"model": "m 1"}, {"weight": 0.5}]))  # fmt: skip
    row = {**row, column: [*row[column][:-1], {**row[column][-1], **extra}]}
    if extra in ({"tool_calls": []}, {"weight": 1}, {"model": "m 1"}):
        return changed(row, was, was.turns)
    if extra == {"thinking": "Hm."}:
        role, text = was.turns[-1]
        return changed(row, was, [*was.turns[:-1], (role, text if "Hm." in text else more(text, reasoning="Hm."))])
    spoken = sum(role == "assistant" for role, _ in was.turns)
    if extra == {"weight": 0} and spoken > 1 and "weight" not in was.row.get(column, [{}])[-1]:
        return row, Said(row, was.turns, was.tiers, list(range(2, spoken + 1)))
    return refused(row)
