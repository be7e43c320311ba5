"""Facts about values as files hold them: presence goes by value, numbers and ids by what they say."""

from __future__ import annotations

import datetime
import decimal
import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from reader_rows import C, D, P, read, tiers, turns, write

from assent.core.errors import DataError
from assent.data.inspect import inspect

T = pa.string()
ASK, BYE = [("user", "Hi"), ("assistant", "Hello!")], [("user", "Say bye."), ("assistant", "Bye!")]
TURN = pa.struct([("role", T), ("content", T), ("from", T), ("value", T)])


def parquet(path, rows, schema=None):
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)
    return path


def test_fields_that_parquet_fills_with_nulls_are_not_there(tmp_path):
    rows = [
        {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]},
        {"messages": [{"from": "human", "value": "Say bye."}, {"from": "gpt", "value": "Bye!"}]},
    ]
    path = parquet(tmp_path / "x.parquet", rows, pa.schema([("messages", pa.list_(TURN))]))
    assert [turns(item) for item in read(D, path)[0]] == [ASK, BYE]


def test_every_row_of_a_union_is_read_by_the_columns_that_say_something_in_it(tmp_path):
    rows = [
        {"text": "A plain text."},
        {"prompt": "Say bye.", "completion": "Bye!", "label": None},
        {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello!"}]},
        {"instruction": "Say bye.", "output": "Bye!"},
    ]
    names = ("text", "prompt", "completion", "instruction", "output", "label")
    schema = pa.schema([*((name, T) for name in names), ("conversations", pa.list_(TURN))])
    items, report = read(D, parquet(tmp_path / "x.parquet", rows, schema))
    assert [turns(item) for item in items] == [[("assistant", "A plain text.")], BYE, ASK, BYE]
    assert report.parts[0].format == "trl, messages, alpaca"


def test_a_null_prompt_beside_transcripts_is_no_prompt(tmp_path):
    row = {"prompt": None, "chosen": "\n\nHuman: Hi\n\nAssistant: a", "rejected": "\n\nHuman: Hi\n\nAssistant: b"}
    (item,), report = read(C, write(tmp_path / "x.jsonl", row))
    assert turns(item) == [("user", "Hi")] and report.parts[0].format == "hh"


@pytest.mark.parametrize(
    ("answers", "more", "kind"),
    [
        ([("a", "Yes."), ("b", "No.")], {"ranking": "a > b"}, pa.map_(T, T)),
        ({"a": "Yes.", "b": "No.", "c": None}, {"ranking": "a > b"}, None),
        (["Yes.", "No."], {"scores": [decimal.Decimal("1.5"), decimal.Decimal("0.50")]}, None),
        (["Yes.", "No."], {"ranks": [1.0, 2.0], "strengths": [2.0]}, None),
        ([b"Yes.", b"No."], {"scores": ["9.5", "9"]}, None),
        (["Yes.", "No."], {"ranks": [1, 2], "at": datetime.datetime(2026, 1, 2)}, None),
        ({"a": "Yes.", "b": "No."}, {"scores": {"a": 2.0, "b": 1.0, "z": None}}, None),
    ],
)
def test_tables_hold_maps_structs_decimals_dates_and_bytes(tmp_path, answers, more, kind):
    row = {"prompt": "Q?", "answers": answers, **more}
    schema = pa.schema([("prompt", T), ("answers", kind), ("ranking", T)]) if kind is not None else None
    (item,), _ = read(C, parquet(tmp_path / "x.parquet", [row], schema))
    assert tiers(item) == [["Yes."], ["No."]]


def test_nan_is_nothing_said(tmp_path):
    ranked = {"prompt": "Q?", "answers": ["Yes.", "No."], "ranks": [1, 2], "rater": "a"}
    rows = [{"id": float("nan"), **ranked, "seconds": float("nan")}, {"id": float("nan"), **ranked, "prompt": "R?"}]
    items, _ = read(C, write(tmp_path / "x.jsonl", *rows))
    assert [item.judgments[0].seconds for item in items] == [None, None]
    prompts, _ = read(P, write(tmp_path / "y.jsonl", {"id": float("nan"), "prompt": "Q?"}, {"id": 7.0, "prompt": "R?"}))
    assert prompts[0].id.startswith("p-") and prompts[1].id == "7"
    with pytest.raises(DataError, match=r"'scores' gives nan for answer '1'"):
        read(C, write(tmp_path / "z.jsonl", {**ranked, "ranks": None, "scores": [float("nan"), 1]}))


def test_numbers_as_text_and_raters_as_numbers(tmp_path):
    row = {"prompt": "Q?", "answers": ["Yes.", "No."], "scores": ["9.5", "10"], "rater": 7, "seconds": "3"}
    (item,), _ = read(C, write(tmp_path / "x.jsonl", row))
    assert tiers(item) == [["No."], ["Yes."]]
    assert (item.judgments[0].rater_id, item.judgments[0].seconds) == ("7", 3.0)
    with pytest.raises(DataError, match="'seconds' is 'long'"):
        read(C, write(tmp_path / "x.jsonl", {**row, "seconds": "long"}))


def test_scores_that_contradict_or_equal_the_choice_are_counted(tmp_path):
    scores = [(1.0, 9.0), (5, 5), ("8.5", "3"), (None, 2)]
    rows = [
        {"prompt": f"q{n}", "chosen": "Yes.", "rejected": "No.", "score_chosen": a, "score_rejected": b}
        for n, (a, b) in enumerate(scores)
    ]
    said = inspect(read(C, write(tmp_path / "x.jsonl", *rows))[0]).lines()
    assert "scores contradict the ranking: 33.3% (1 of 3)" in said
    assert "scores equal where one answer won: 33.3% (1 of 3)" in said


def test_half_a_character_is_refused_by_column_and_kept_in_quarantine(tmp_path):
    bad = '{"prompt": "Say hello \\ud83d", "completion": "Hello!"}'
    path = write(tmp_path / "x.jsonl", bad, {"prompt": "Say bye", "completion": "Bye!"})
    with pytest.raises(DataError, match=r"x\.jsonl:1: 'prompt' holds half a character"):
        read(D, path)
    from assent.data.config import Source

    items, report = D([Source(path=path, skip_bad=True)], quarantine=tmp_path / "bad.jsonl")
    assert len(items) == 1 and report.num_bad == 1
    (kept,) = map(json.loads, (tmp_path / "bad.jsonl").read_text(encoding="utf-8").splitlines())
    assert kept["row"] == json.loads(bad) and kept["line"] == 1


def test_a_name_that_stands_twice_in_an_object_is_refused(tmp_path):
    path = write(tmp_path / "x.jsonl", '{"prompt": "a", "prompt": "b", "completion": "c"}')
    with pytest.raises(DataError, match=r":1: the name 'prompt' stands twice"):
        read(D, path)
    assert read(D, write(tmp_path / "y.jsonl", '{"prompt": "a", "prompt": "a", "completion": "c"}'))[0]


def test_tables_as_text_read_like_lines(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(b'\xef\xbb\xbfprompt,chosen,rejected,id\r\n"Why,\nthen?",So.,No.,1\r\nWhat?,This.,,2\r\n,,\r\n')
    items, report = read(C, path, skip_bad=True)
    assert [(turns(item), tiers(item)) for item in items] == [([("user", "Why,\nthen?")], [["So."], ["No."]])]
    assert [(row.error.line, row.reason[:20]) for row in report.parts[0].bad] == [
        (4, "'rejected' is null; "),
        (5, "3 fields for 4 colum"),
    ]
    (tmp_path / "y.tsv.gz").write_bytes(gzip.compress(b"prompt\tcompletion\nHi\tHo, ho\n"))
    assert turns(read(D, tmp_path / "y.tsv.gz")[0][0]) == [("user", "Hi"), ("assistant", "Ho, ho")]
    for text, match in (("prompt;completion\na;b\n", "is one column"), ("prompt,prompt\na,b\n", "'prompt' twice")):
        (tmp_path / "z.csv").write_text(text)
        with pytest.raises(DataError, match=match):
            read(D, tmp_path / "z.csv")


def test_what_stands_beside_the_rows_of_a_json_file_is_refused_where_it_could_be_about_them(tmp_path):
    path, rows = tmp_path / "x.json", [{"prompt": "Hi", "completion": "Ho"}]
    path.write_text(json.dumps({"version": 2, "data": rows}))
    assert len(read(D, path)[0]) == 1
    path.write_text(json.dumps({"system": "Be short.", "tools": [{"name": "x"}], "data": rows}))
    with pytest.raises(DataError, match="beside 'data' stands 'tools', 'system'"):
        read(D, path)


def test_what_is_not_read_inside_scored_completions_is_counted(tmp_path):
    made = [{"response": text, "overall_score": n, "critique": "It is so."} for n, text in enumerate(("a", "b"))]
    _, report = read(C, write(tmp_path / "x.jsonl", {"instruction": "Q", "completions": made}))
    assert report.census.ignored == {"completions.critique": 1}
