"""Facts about exports of prompts with calls: formats of messages bring them back, others say what they lost."""

from __future__ import annotations

import json

import pytest
from reader_rows import C, D, read
from tool_templates import WEATHER, asked, calling, result

from assent.core.errors import DataError
from assent.core.types import Comparison, Completion, Judgment, Prompt, Ranking
from assent.data.exports import encode, export

CALLED = Prompt(messages=(asked(), calling("Let me look.", reasoning="Hm."), result()), tools=(WEATHER,))
PLAIN = Prompt.of("Why?")
LOST = "judgments dropped: the prompt holds tools, calls of them or reasoning"


def comparison(prompt: Prompt) -> Comparison:
    answers = tuple(Completion(prompt_id=prompt.id, text=text, id=f"{prompt.id}/{text}") for text in ("good", "bad"))
    ranking = Ranking(tiers=tuple((answer.id,) for answer in answers))
    judged = Judgment(task_id="t", rater_id="r", ranking=ranking, edits={answers[0].id: "better"})
    return Comparison(prompt=prompt, completions=answers, judgments=(judged,))


BOTH = [comparison(PLAIN), comparison(CALLED)]


@pytest.mark.parametrize("format", ["trl", "trl_implicit", "assent"])
def test_formats_of_messages_bring_calls_and_tools_back(tmp_path, format):
    report = export(BOTH, format, tmp_path / "x.jsonl")
    assert report.rows == 2 and LOST not in report.losses
    items, _ = read(C, tmp_path / "x.jsonl")
    assert [item.prompt for item in items] == [PLAIN, CALLED]


def test_edits_are_demonstrations_with_their_calls(tmp_path):
    export(BOTH, "edits", tmp_path / "x.jsonl")
    plain, called = read(D, tmp_path / "x.jsonl")[0]
    assert plain.prompt == PLAIN and called.prompt == CALLED and called.messages[-1].content == "better"


def test_a_table_of_messages_refuses_calls_and_our_own_holds_them(tmp_path):
    with pytest.raises(DataError, match=r"a table cannot hold tools and calls as they are; choose \.jsonl"):
        encode(BOTH, "trl", "x.parquet")
    assert encode(BOTH[:1], "trl", "x.parquet")[1].rows == 1
    export(BOTH, "assent", tmp_path / "x.parquet")
    assert [item.prompt for item in read(C, tmp_path / "x.parquet")[0]] == [PLAIN, CALLED]


@pytest.mark.parametrize("format", ["trl_plain", "hh", "ultrafeedback", "oasst"])
def test_formats_of_texts_leave_calls_out_and_count_them(format):
    _, report = encode(BOTH, format, "x.jsonl")
    assert report.rows == 1 and report.losses[LOST] == 1
    only_tools = Prompt(messages=PLAIN.messages, tools=(WEATHER,))
    _, report = encode([BOTH[0], comparison(only_tools)], format, "x.jsonl")
    assert report.rows == 1 and report.losses[LOST] == 1


@pytest.mark.parametrize("format", ["argilla", "label_studio"])
def test_annotation_tools_show_calls_as_turns_of_text(format):
    content, report = encode(BOTH, format, "x.jsonl")
    row = json.loads(content.splitlines()[1])
    prompt = row["fields"]["prompt"] if format == "argilla" else row["data"]["prompt"]
    assert [turn["role"] for turn in prompt] == ["tools", "user", "reasoning", "assistant", "function_call", "tool"]
    assert json.loads(prompt[4]["content"])["arguments"] == {"city": "Oslo", "days": 2}
    assert prompt[5] == {"role": "tool", "content": "3 C"}
    assert "3 tools, calls and results of them written as text" in report.lines()


def test_spreadsheets_hold_calls_as_text():
    text = encode(BOTH, "csv", "x.csv")[0].decode("utf-8-sig")
    assert "function_call: " in text and "reasoning: Hm." in text and "tool: 3 C" in text
