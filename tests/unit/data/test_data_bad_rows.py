"""Facts about bad input: one line with file, line, value and what to do; or a quarantine that keeps the row."""

from __future__ import annotations

import gzip
import json

import pytest

from assent.core.errors import ConfigError, DataError
from assent.data import formats
from assent.data.config import DataConfig, Source
from assent.data.load import load_comparisons, load_conversations, load_prompts

GOOD = {"prompt": "Why?", "chosen": "So.", "rejected": "No."}
TURN = {"role": "user", "content": "Hi"}
RANKED = {"prompt": "Q", "answers": {"a": "A", "b": "B"}}


def written(tmp_path, *rows, name="x.jsonl"):
    path = tmp_path / name
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def fails(load, path, match, line=None, **source):
    with pytest.raises(DataError, match=match) as caught:
        load([Source(path=path, **source)])
    message = str(caught.value)
    assert "\n" not in message and caught.value.exit_code == 2
    if line is not None:
        assert message.startswith(f"{path}:{line}: ")


@pytest.mark.parametrize(
    ("row", "match"),
    [
        ('{"prompt": "Why?", "chosen": ', r"not valid JSON: .* at column \d+; fix the line or skip"),
        ("[1, 2]", r"expected an object with named columns, got \[1, 2\]"),
        (
            {"prompt": "Why?", "choosen": "So.", "rejected": "No."},
            r"column 'chosen' is missing; did you mean 'choosen'",
        ),
        ({"prompt": "Why?", "rejected": "No."}, r"column 'chosen' is missing; did you mean|found: prompt, rejected"),
        ({**GOOD, "chosen": "  "}, r"'chosen' is empty; fill it or skip"),
        ({**GOOD, "chosen": None}, r"'chosen' is null"),
        ({**GOOD, "chosen": 7}, r"'chosen' should be text, got int 7"),
        ({**GOOD, "rejected": "So."}, r"are the same text.*; remove the row; or skip such rows with skip_bad$"),
        ({**GOOD, "chosen": [TURN]}, r"one of chosen and rejected is text, the other messages"),
    ],
)
def test_bad_preference_rows(tmp_path, row, match):
    fails(load_comparisons, written(tmp_path, GOOD, "", row), match, line=3)


@pytest.mark.parametrize(
    ("row", "match"),
    [
        (
            {"chosen": "Human: Hi\n\nAssistant: a", "rejected": "\n\nHuman: Ho\n\nAssistant: b"},
            r"part at turn 1, before",
        ),
        ({"chosen": "\n\nHuman: Hi", "rejected": "\n\nHuman: Hi"}, r"'chosen' ends in a Human turn"),
        (
            {"chosen": "\n\nHuman: Hi\n\nAssistant: ", "rejected": "\n\nHuman: Hi\n\nAssistant: b"},
            r"'chosen, turn 2 \(Assistant\)' is empty",
        ),
    ],
)
def test_bad_transcripts(tmp_path, row, match):
    fails(load_comparisons, written(tmp_path, row), match, line=1)
    good = {"chosen": "\n\nHuman: Hi\n\nAssistant: a", "rejected": "\n\nHuman: Hi\n\nAssistant: b"}
    fails(load_comparisons, written(tmp_path, good, {**good, "chosen": "Hello"}), "should begin with 'Human:'", line=2)


@pytest.mark.parametrize(
    ("row", "match"),
    [
        ({**RANKED, "ranking": "a > bb"}, r"names the unknown answer 'bb'; did you mean 'b'\?"),
        ({**RANKED, "ranking": "a > z"}, r"names the unknown answer 'z'; answers are named a, b"),
        ({**RANKED, "ranking": "a > a"}, r"names an answer twice"),
        ({**RANKED, "ranking": "a > b", "strengths": [9]}, r"strengths run from 1 to 4"),
        ({**RANKED, "ranks": [1]}, r"'ranks' holds 1 numbers for 2 answers"),
        ({**RANKED, "scores": [1, "x"]}, r"'scores' gives 'x' for answer 'b'; it should be a number"),
        ({**RANKED, "answers": {"a": "A"}, "ranking": "a"}, r"'answers' holds 1 answer; a ranking needs at least two"),
        ({**RANKED, "answers": {"a": "A", "b": ""}, "ranking": "a > b"}, r"'answers\[b\]' is empty"),
    ],
)
def test_bad_rankings(tmp_path, row, match):
    fails(load_comparisons, written(tmp_path, row), match, line=1)


@pytest.mark.parametrize(
    ("row", "match"),
    [
        ({"messages": [TURN]}, r"no assistant turn, so there is nothing to learn"),
        ({"messages": [{"role": "tool", "content": "x"}]}, r"no assistant turn, so there is nothing to learn"),
        ({"messages": [{"role": "judge", "content": "x"}]}, r"messages\[0\] has role 'judge'; known: system, user"),
        ({"messages": [TURN, {"role": "assistant", "content": ""}]}, r"'messages\[1\]\.content' is empty"),
        ({"messages": [TURN, {"role": "assistant", "content": None}]}, r"'messages\[1\]\.content' is empty"),
    ],
)
def test_bad_messages(tmp_path, row, match):
    fails(load_conversations, written(tmp_path, row), match, line=1, format="messages")


def test_duplicate_ids(tmp_path):
    rows = [{"id": "a", "prompt": "x"}, {"id": "b", "prompt": "y"}, {"id": "a", "prompt": "z"}]
    path = written(tmp_path, *rows)
    fails(load_prompts, path, rf"id 'a' was used before, at {path}:1; ids must be unique", line=3)


def test_unknown_answers_in_our_own_format(tmp_path):
    record = {
        "prompt": {"messages": [TURN], "id": "p"},
        "completions": [{"prompt_id": "p", "text": t, "id": t} for t in ("A", "B")],
        "judgments": [{"task_id": "t", "rater_id": "r", "ranking": {"tiers": [["A"], ["Z"]]}}],
    }
    path = written(tmp_path, {"assent": 1, "kind": "comparison", "record": record})
    fails(load_comparisons, path, r"names unknown answers: \['Z'\]", line=1)
    record["judgments"][0]["ranking"]["tiers"] = [["A"], ["B"]]
    record["completions"][1]["text"] = ""
    fails(
        load_comparisons, written(tmp_path, {"assent": 1, "kind": "comparison", "record": record}), "is empty", line=1
    )


def test_version_and_kind_of_our_own_format(tmp_path):
    record = {"messages": [TURN]}
    newer = {"assent": formats.VERSION + 1, "kind": "prompt", "record": record}
    fails(load_prompts, written(tmp_path, newer), r"format version 3, this Assent reads up to 2; upgrade", line=1)
    fails(load_prompts, written(tmp_path, {**newer, "assent": 1, "kind": "story"}), r"kind 'story' is unknown", line=1)
    odd = {"assent": 1, "kind": "prompt", "record": {**record, "mood": "good"}}
    fails(load_prompts, written(tmp_path, odd), r"unknown key 'mood'", line=1)
    fails(load_comparisons, written(tmp_path, {**newer, "assent": 1}), r"kind 'prompt' cannot be read as comparisons")


def test_nothing_fits_lists_what_was_found_and_guesses(tmp_path):
    path = written(tmp_path, {"promt": "x", "score": 3})
    fails(load_prompts, path, r"columns found: promt, score\. did you mean 'prompt' for 'promt'\?", line=1)
    path = written(tmp_path, {"prompt": "x", "choosen": "a", "rejected": "b"})
    fails(load_comparisons, path, r"did you mean 'chosen' for 'choosen'\?", line=1)


def test_file_under_the_wrong_heading(tmp_path):
    fails(
        load_conversations,
        written(tmp_path, GOOD),
        "format trl holds comparisons, not demonstrations; list the file under",
    )
    fails(
        load_comparisons,
        written(tmp_path, {"messages": [TURN]}),
        "format messages holds demonstrations, not comparisons",
    )


def test_an_unpaired_preference_is_no_demonstration(tmp_path):
    """Its completion may be the bad one: learning it would teach what people disliked."""
    path = written(tmp_path, {"prompt": "a", "completion": "b", "label": False})
    fails(load_conversations, path, "people disliked this completion")
    fails(load_conversations, path, "people disliked this completion", format="kto")


def test_renamed_column_that_is_not_there(tmp_path):
    path = written(tmp_path, {"question": "x"})
    fails(
        load_prompts,
        path,
        r"columns names 'quest' for 'prompt'.* did you mean 'question'\?",
        columns={"prompt": "quest"},
    )


def test_missing_wrong_and_broken_files(tmp_path):
    path = written(tmp_path, GOOD)
    fails(load_comparisons, tmp_path / "y.jsonl", r"no such file or folder; did you mean 'x.jsonl'\?")
    (tmp_path / "x.xlsx").write_text("a,b")
    fails(load_comparisons, tmp_path / "x.xlsx", r"unknown ending; readable are \.jsonl")
    (tmp_path / "empty").mkdir()
    fails(load_comparisons, tmp_path / "empty", r"holds no data file")
    (tmp_path / "none.jsonl").write_text("\n")
    fails(load_comparisons, tmp_path / "none.jsonl", r"no comparisons in it \(0 rows read, 0 of them bad\)")
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(path.read_bytes() * 50)[:-12])
    fails(load_comparisons, tmp_path / "cut.jsonl.gz", r"not a whole gzip file")
    (tmp_path / "no.parquet").write_bytes(b"nothing")
    fails(load_comparisons, tmp_path / "no.parquet", r"not a readable Parquet file")
    (tmp_path / "latin.jsonl").write_bytes('{"prompt": "é"}'.encode("latin-1"))
    fails(load_prompts, tmp_path / "latin.jsonl", r"not UTF-8 \(byte 13\)", line=1)


def test_ukp_without_its_arguments(tmp_path):
    row = {"id": "1", "topic": "t", "arg1": "a", "arg2": "b", "mTurkAssignments": [{"turkID": "r", "value": "a1"}]}
    path = written(tmp_path, row)
    fails(load_comparisons, path, r"argument texts are missing; put arguments.jsonl", skip_bad=True)
    written(tmp_path, {"topic": "t", "id": "a", "text": "A"}, name="arguments.jsonl")
    fails(load_comparisons, path, r"argument 'b' of topic 't' is not in the arguments file", line=1)


def test_skip_bad_quarantines_and_counts(tmp_path):
    path = written(tmp_path, GOOD, "{broken", {**GOOD, "chosen": ""}, {**GOOD, "chosen": "Yes."})
    quarantine = tmp_path / "out" / "quarantine.jsonl"
    items, report = load_comparisons([Source(path=path, skip_bad=True)], quarantine=quarantine)
    assert len(items) == 2 and report.num_bad == 2 and report.quarantine == quarantine
    kept = [json.loads(line) for line in quarantine.read_text().splitlines()]
    assert [(row["line"], row["path"]) for row in kept] == [(2, str(path)), (3, str(path))]
    assert kept[0]["row"] == "{broken" and kept[0]["reason"].startswith("not valid JSON")
    assert kept[1]["row"] == {**GOOD, "chosen": ""}
    assert "2 bad rows skipped (first: line 2" in report.lines()[0]


def test_an_error_leaves_no_quarantine_behind(tmp_path):
    bad, worse = written(tmp_path, GOOD, "{broken", name="a.jsonl"), written(tmp_path, "{broken", name="b.jsonl")
    quarantine = tmp_path / "quarantine.jsonl"
    with pytest.raises(DataError):
        load_comparisons([Source(path=bad, skip_bad=True), Source(path=worse)], quarantine=quarantine)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.jsonl", "b.jsonl"]


def test_nothing_but_bad_rows_is_an_error_even_with_skip_bad(tmp_path):
    path = written(tmp_path, "{broken", "{too")
    fails(
        load_comparisons,
        path,
        r"no comparisons in it \(2 rows read, 2 of them bad; first: .*:1: not valid",
        skip_bad=True,
    )


def test_bad_source_configs():
    def parse(source):
        DataConfig.parse({"prompts": [source]})

    with pytest.raises(ConfigError, match=r"exactly one of `path` and `hub`"):
        parse({"path": "x", "hub": "y"})
    with pytest.raises(ConfigError, match=r"unknown key 'prompts\.0\.fromat'; did you mean 'format'"):
        parse({"path": "x", "fromat": "hh"})
    with pytest.raises(ConfigError, match=r"prompts\.0\.format: should be 'auto', 'assent'"):
        parse({"path": "x", "format": "csv"})


@pytest.mark.parametrize("name", ["x.jsonl", "x.json"])
@pytest.mark.parametrize("broken", ["[" * 100_000, '{"a": ' + "1" * 5000 + "}", '{"a":' * 100_000])
def test_files_made_to_break_a_parser_are_bad_files(tmp_path, name, broken):
    path = tmp_path / name
    path.write_text(broken)
    fails(load_comparisons, path, r"nested too deeply|thousands of digits|not valid JSON|not usable JSON")
