"""Facts about calls, results and reasoning in rows: every usual spelling means the same, and what is odd is refused."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data_chat_templates import CHATML
from reader_rows import C, D, P, read, write
from tool_templates import HERMES, LLAMA_TOOLS, WEATHER

from assent.core.errors import DataError
from assent.core.types import Message, Prompt, ToolCall
from assent.data.config import Source
from assent.data.load import load_conversations
from assent.data.render import Renderer
from assent.pipeline.row_check import RowCheck, RowReader

USER = {"role": "user", "content": "Weather in Oslo?"}
DONE = {"role": "assistant", "content": "3 degrees."}
CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
CALLING = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "3 C"}

MEANT = (
    Message(role="user", content="Weather in Oslo?"),
    Message(role="assistant", content="", tool_calls=(ToolCall(name="weather", arguments={"city": "Oslo"}),)),
    Message(role="tool", content="3 C"),
    Message(role="assistant", content="3 degrees."),
)


def bare(turn: Message) -> Message:
    """A turn without ids and names of tools, which not every spelling has."""
    calls = tuple(call.model_copy(update={"id": ""}) for call in turn.tool_calls)
    return turn.model_copy(update={"tool_calls": calls, "tool_call_id": "", "name": ""})


@pytest.mark.parametrize(
    "talk",
    [
        {"messages": [USER, CALLING, RESULT, DONE]},
        {"messages": [USER, CALLING, {"role": "tool", "content": "3 C"}, DONE]},
        {"messages": json.dumps([USER, {"role": "assistant", "tool_calls": [CALL]}, RESULT, DONE])},
        {
            "messages": [
                USER,
                {"role": "assistant", "tool_calls": [{"function": {"name": "weather", "arguments": {"city": "Oslo"}}}]},
                {"role": "tool", "name": "weather", "content": "3 C"},
                DONE,
            ]
        },
        {
            "messages": [
                USER,
                {"role": "assistant", "function_call": {"name": "weather", "arguments": '{"city": "Oslo"}'}},
                {"role": "function", "name": "weather", "content": "3 C"},
                DONE,
            ]
        },
        {
            "messages": [
                USER,
                {**CALLING, "tool_calls": [{"name": "weather", "arguments": {"city": "Oslo", "days": None}}]},
                {"role": "tool", "content": [{"type": "text", "text": "3 C"}]},
                {**DONE, "tool_calls": None, "function_call": {"name": None, "arguments": None}},
            ]
        },
        *(
            {
                "conversations": [
                    {"from": "human", "value": "Weather in Oslo?"},
                    {"from": calling, "value": '{"name": "weather", "arguments": {"city": "Oslo"}}'},
                    {"from": observed, "value": "3 C"},
                    {"from": "gpt", "value": "3 degrees."},
                ]
            }
            for calling, observed in (("function_call", "observation"), ("tool_call", "tool_response"))
        ),
    ],
)
def test_every_usual_spelling_means_the_same(tmp_path, talk):
    (item,), _ = read(D, write(tmp_path / "x.jsonl", talk))
    assert tuple(map(bare, item.messages)) == MEANT
    (prompt,), _ = read(P, tmp_path / "x.jsonl")
    assert tuple(map(bare, prompt.messages)) == MEANT[:3]


def test_a_call_that_is_a_turn_of_its_own_belongs_to_what_was_said_before_it(tmp_path):
    call = {"from": "function_call", "value": '[{"name": "a"}, {"name": "b"}]'}
    turns = [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Let me look."}, call]
    (item,), _ = read(D, write(tmp_path / "x.jsonl", {"conversations": turns}))
    calls = (ToolCall(name="a"), ToolCall(name="b"))
    assert item.messages[1] == Message(role="assistant", content="Let me look.", tool_calls=calls)
    told = [turns[0], {**turns[1], "weight": 0}, {**call, "weight": 1}]
    with pytest.raises(DataError, match=r"conversations\[2\] is a call of the turn before it, and one of the two"):
        read(D, write(tmp_path / "y.jsonl", {"conversations": told}))
    told = [*turns, {"from": "tool", "value": "1"}, {"from": "gpt", "value": "One."}]
    told[1] = {**told[1], "weight": 0}
    (item,), _ = read(D, write(tmp_path / "z.jsonl", {"conversations": told}))
    assert item.meta == {"learn": [1]}


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning", "thinking", "thought"])
def test_reasoning_is_kept_apart_and_counted(tmp_path, key):
    row = {"messages": [USER, {**DONE, key: "I remember."}]}
    (item,), report = read(D, write(tmp_path / "x.jsonl", row))
    assert item.messages[1] == Message(role="assistant", content="3 degrees.", reasoning="I remember.")
    assert report.census.used == {"messages": 1, f"messages.{key}": 1}
    (item,), report = read(D, tmp_path / "x.jsonl", ignore=(f"messages.{key}",))
    assert item.messages[1].is_plain and report.census.ignored == {f"messages.{key}": 1}


@pytest.mark.parametrize("column", ["tools", "functions"])
def test_tools_are_read_as_objects_or_json_text(tmp_path, column):
    flat = WEATHER["function"]
    for value, meant in (
        ([WEATHER], WEATHER), (json.dumps([WEATHER]), WEATHER), ([json.dumps(flat)], flat), ([flat], flat)
    ):  # fmt: skip
        (item,), report = read(D, write(tmp_path / "x.jsonl", {"messages": [USER, DONE], column: value}))
        assert item.tools == (meant,) and report.census.used == {"messages": 1, column: 1}
    (pair,), _ = read(C, write(tmp_path / "y.jsonl", {"prompt": "Q?", "chosen": "a", "rejected": "b", column: [flat]}))
    assert pair.prompt.tools == (flat,) and pair.prompt.id != Prompt.of("Q?").id
    (prompt,), _ = read(P, write(tmp_path / "z.jsonl", {"prompt": "Q?", column: [flat]}))
    assert prompt.tools == (flat,) and prompt.meta == {}
    for value in ([], "", "[]", None):
        (item,), _ = read(D, write(tmp_path / "x.jsonl", {"messages": [USER, DONE], column: value}))
        assert item.tools == ()


@pytest.mark.parametrize(
    ("turns", "named"),
    [
        ([USER, CALLING, {**RESULT, "tool_call_id": "c2"}, DONE], r"turn 3 \(role tool\): tool_call_id is 'c2', and"),
        ([USER, CALLING, RESULT, RESULT, DONE], r"turn 4 \(role tool\): tool_call_id is 'c1', and no"),
        ([USER, RESULT, DONE], r"turn 2 \(role tool\): tool_call_id is 'c1'"),
        ([USER, {"role": "tool", "content": "3 C"}, DONE], r"turn 2 \(role tool\): it is the result of a tool, and no"),
        ([USER, CALLING, {**RESULT, "name": "time"}, DONE], "name is 'time', and the call 'c1' is to 'weather'"),
        ([USER, {**CALLING, "tool_calls": [{"name": "w", "arguments": "Oslo"}]}], "arguments is 'Oslo'; arguments are"),
        ([USER, {**CALLING, "tool_calls": [{"name": "w", "arguments": "[1]"}]}], r"arguments should be a JSON object"),
        ([USER, {**CALLING, "tool_calls": [{"name": "w", "arguments": ["Oslo"]}]}], r"\[0\].arguments should be a"),
        ([USER, {**CALLING, "tool_calls": [{"arguments": {"a": 1}}]}], r"messages\[1\].tool_calls\[0\].name' is empty"),
        ([USER, {**CALLING, "tool_calls": [{**CALL, "type": "code"}]}], "type is 'code'; only calls of functions"),
        ([USER, {**CALLING, "tool_calls": [{**CALL, "result": "3 C"}]}], "holds 'result', which is not read"),
        ([USER, {**CALLING, "tool_calls": [CALL, CALL]}], "two calls with the same id"),
        ([USER, {**CALLING, "tool_calls": "weather(Oslo)"}], "it should be JSON"),
        ([USER, {**CALLING, "tool_calls": [{"name": "w", "arguments": {"a": "half \ud83d"}}]}], "half a character"),
        ([USER, {**CALLING, "function_call": {"name": "w"}}], "both tool_calls and function_call"),
        ([{**USER, "tool_calls": [CALL]}, DONE], r"messages\[0\] holds 'tool_calls'"),
        ([USER, CALLING, {**RESULT, "reasoning": "Hm."}, DONE], r"messages\[2\] holds 'reasoning'"),
        ([USER, CALLING, {**RESULT, "content": ""}, DONE], r"messages\[2\].content' is empty"),
        ([USER, {**DONE, "content": "", "reasoning": "Hm."}], r"messages\[1\].content' is empty"),
        ([USER, {**DONE, "name": "weather"}], r"messages\[1\] holds 'name'"),
        ([USER, {"from": "function_call", "value": "weather(Oslo)"}], r"messages\[1\].content is 'weather\(Oslo\)'"),
    ],
)  # fmt: skip
def test_what_is_odd_is_refused_by_turn_and_field(tmp_path, turns, named):
    with pytest.raises(DataError, match=named) as caught:
        read(D, write(tmp_path / "x.jsonl", {"messages": turns}))
    assert f"{tmp_path / 'x.jsonl'}:1: " in str(caught.value)


def test_a_call_cannot_be_ignored(tmp_path):
    path = write(tmp_path / "x.jsonl", {"messages": [USER, {**CALLING, "content": "Let me look."}]})
    with pytest.raises(
        DataError, match=r"messages\[1\].tool_calls cannot be ignored: the turn would be learned without"
    ):
        read(D, path, ignore=("messages.tool_calls",))


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ({"chosen": [{**CALLING, "content": "Look."}], "rejected": [DONE]}, "the answer in 'chosen' calls a tool"),
        ({"chosen": [DONE], "rejected": [{**DONE, "content": "Hm.", "thinking": "So."}]}, "'rejected' has reasoning"),
        ({"completion": [CALLING], "label": True}, "the answer in 'completion' calls a tool"),
    ],
)  # fmt: skip
def test_answers_that_are_compared_are_texts(tmp_path, row, named):
    with pytest.raises(DataError, match=named) as caught:
        read(C, write(tmp_path / "x.jsonl", {"prompt": [USER], **row}))
    assert "demonstrations and the turns before an answer may hold calls" in str(caught.value)


def test_nulls_that_a_table_fills_in_are_left_out_and_counted(tmp_path):
    other = {"id": "c2", "type": "function", "function": {"name": "time", "arguments": {"zone": {"name": "CET"}}}}
    first = {**CALL, "function": {"name": "weather", "arguments": {"city": "Oslo"}}}
    rows = [[USER, {**CALLING, "tool_calls": [call]}] for call in (first, other)]
    tools = [[{"name": "weather", "parameters": {"city": "text"}}], [{"name": "time", "parameters": {"zone": "text"}}]]
    pq.write_table(pa.table({"messages": rows, "tools": tools}), tmp_path / "x.parquet")
    (one, two), report = read(D, tmp_path / "x.parquet")
    assert one.messages[1].tool_calls[0].arguments == {"city": "Oslo"}
    assert two.messages[1].tool_calls[0].arguments == {"zone": {"name": "CET"}}
    assert one.tools[0] == {"name": "weather", "parameters": {"city": "text"}}
    assert report.census.dropped == {"nulls inside calls and tools left out": 4}
    # In JSON text a null is said.
    text = {**CALL, "function": {"name": "weather", "arguments": '{"city": null}'}}
    (item,), report = read(D, write(tmp_path / "y.jsonl", {"messages": [USER, {**CALLING, "tool_calls": [text]}]}))
    assert item.messages[1].tool_calls[0].arguments == {"city": None} and not report.census.dropped


def test_a_template_that_ignores_tools_refuses_the_row_with_file_and_line(tmp_path, byte_level):
    path = write(
        tmp_path / "x.jsonl", {"messages": [USER, DONE]}, {"messages": [USER, {**CALLING, "content": "Look."}]}
    )
    said = r"x\.jsonl:2: the configured chat template leaves out the name of the call 'weather' of the assistant turn"
    with pytest.raises(DataError, match=said):
        load_conversations([Source(path=path)], check=RowCheck(RowReader(Renderer(byte_level, template=CHATML), 1000)))
    skipping = [Source(path=path, skip_bad=True)]
    found, report = load_conversations(
        skipping, check=RowCheck(RowReader(Renderer(byte_level, template=LLAMA_TOOLS), 1000))
    )
    assert len(found) == 1 and "leaves out what is said" in report.parts[0].bad[0].reason
    found, report = load_conversations(skipping, check=RowCheck(RowReader(Renderer(byte_level, template=HERMES), 1000)))
    assert len(found) == 2 and report.num_bad == 0
