"""Facts about any file of odd rows: each row gives its stated meaning or a counted refusal with its line."""

from __future__ import annotations

import csv
import json
import math
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from odd_rows import Said, comparisons, demonstrations, more, odd
from reader_rows import C, D, Load, P, read, tiers, turns

from assent.core.errors import DataError
from assent.core.types import Comparison

QUICK = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def written(folder: str, rows: list[dict[str, Any]], kind: str) -> tuple[Path, list[int]]:
    """The rows as a file of a kind that can hold them, and the lines they stand on."""
    if kind == "parquet":
        path = Path(folder) / "x.parquet"
        names = {name: None for row in rows for name in row}
        try:
            pq.write_table(pa.table({name: [row.get(name) for row in rows] for name in names}), path)
            return path, list(range(1, len(rows) + 1))
        except (pa.ArrowException, UnicodeEncodeError, TypeError, OverflowError):
            pass  # no table can hold these rows
    if kind == "csv" and all(_is_flat(row) for row in rows):
        path = Path(folder) / "x.csv"
        names = {name: None for row in rows for name in row}
        lines = []
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, list(names))
            writer.writeheader()
            for row in rows:
                stream.flush()
                lines.append(path.read_text(encoding="utf-8").count("\n") + 1)
                writer.writerow(row)
        return path, lines
    path = Path(folder) / "x.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path, list(range(1, len(rows) + 1))


def _is_flat(row: dict[str, Any]) -> bool:
    return all(
        isinstance(value, str) and value and "\ud83d" not in value and "\r" not in value for value in row.values()
    )


def means(load: Load, drawn: list[Said], kind: str) -> None:
    """Compare what the readers make of a file with what its rows mean."""
    with tempfile.TemporaryDirectory() as folder:
        path, lines = written(folder, [said.row for said in drawn], kind)
        wrong = [line for line, said in zip(lines, drawn, strict=True) if said.turns is None]
        try:
            items, report = read(load, path, skip_bad=True)
        except DataError as error:
            assert len(wrong) == len(drawn), error
            assert str(path) in str(error)
            return
        right = [said for said in drawn if said.turns is not None]
        assert [row.error.line for row in report.parts[0].bad] == wrong, [row.reason for row in report.parts[0].bad]
        assert [whole(item) for item in items] == [said.turns for said in right]
        assert [bool(holder(item).tools) for item in items] == [isinstance(one.row.get("tools"), list) for one in right]
        if load is D:
            assert [item.meta.get("learn") for item in items] == [said.learn for said in right]
        else:
            assert [tiers(item) for item in items] == [said.tiers for said in right]


def holder(item: Any) -> Any:
    """What holds the turns and tools of an item."""
    return item.prompt if isinstance(item, Comparison) else item


def whole(item: Any) -> list[tuple[str, str]]:
    """(role, everything that a turn holds) of every turn, as the rows mean it."""
    found = []
    for turn in holder(item).messages:
        calls = [(call.name, call.arguments) for call in turn.tool_calls]
        found.append((turn.role, more(turn.content, reasoning=turn.reasoning, calls=calls)))
    return found


KINDS = st.sampled_from(["jsonl", "parquet", "csv"])


@QUICK
@given(st.lists(demonstrations().flatmap(odd), min_size=1, max_size=4), KINDS)
def test_demonstrations_mean_what_they_say(drawn, kind):
    means(D, drawn, kind)


@QUICK
@given(st.lists(comparisons().flatmap(odd), min_size=1, max_size=4), KINDS)
def test_comparisons_mean_what_they_say(drawn, kind):
    means(C, drawn, kind)


COLUMNS = """prompt chosen rejected completion text messages conversations role content from value system history
answers ranks ranking scores label question answer response instruction input output context tools id conversation_a
conversation_b winner parent_id message_id replies fields responses data annotations weight aside tool_calls name
function_call function arguments tool_call_id reasoning functions"""
NAMES = st.sampled_from(COLUMNS.split())
LEAVES = st.sampled_from(
    [None, True, False, 0, 1, -3, 2.5, math.nan, "", " ", "x", "one two", "\n\nHuman: a b\n\nAssistant: c d", "user",
     "assistant", "system", "a > b", '[{"role": "user", "content": "e f"}]', "half \ud83d", "model_a", "\x00", "tool",
     "function_call", '[{"name": "g h", "arguments": {"i j": "k l"}}]']
)  # fmt: skip
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=8
)
ROWS = st.lists(st.dictionaries(NAMES, VALUES, max_size=6), min_size=1, max_size=4)


@settings(QUICK, max_examples=400)
@given(ROWS, st.sampled_from([D, C, P]), st.sampled_from(["jsonl", "parquet"]))
def test_whatever_stands_in_a_file_nothing_is_lost_or_made_up(rows, load, kind):
    """No error but one of data; no text that no row holds; no column of words that is neither read nor counted."""
    with tempfile.TemporaryDirectory() as folder:
        path, _ = written(folder, rows, kind)
        try:
            items, report = read(load, path, skip_bad=True)
        except DataError as error:
            assert str(path) in str(error)
            return
    assert all(row.error.line is not None and row.reason for row in report.parts[0].bad)
    held = "\n".join(leaf for row in rows for leaf in leaves(row))
    for text in (text for item in items for text in texts(item)):
        assert all(line.strip() in held for line in text.splitlines())
    census = report.census
    bad = [row.error.line for row in report.parts[0].bad]
    for number, row in enumerate(rows, start=1):
        for name, value in row.items():
            if number not in bad and isinstance(value, str) and " " in value.strip():
                assert name in census.used or name in census.kept or name in census.ignored, (name, value)


def leaves(value: Any) -> list[str]:
    """Every text inside a value, and the texts inside those that are JSON."""
    if isinstance(value, dict):
        return [leaf for inner in value.values() for leaf in leaves(inner)]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in leaves(inner)]
    if isinstance(value, str) and value.startswith("[{"):
        return [*leaves(json.loads(value)), value]
    return [value] if isinstance(value, str) else []


def texts(item: Any) -> list[str]:
    """Every text of an item."""
    answers = [answer.text for answer in item.completions] if isinstance(item, Comparison) else []
    more = [
        leaf
        for turn in holder(item).messages
        for call in turn.tool_calls
        for leaf in (call.name, *leaves(call.arguments))
    ]
    more += [text for turn in holder(item).messages for text in (turn.reasoning, turn.name, turn.tool_call_id)]
    return [text for _, text in turns(item)] + answers + more + leaves(list(holder(item).tools))
