"""Tables for spreadsheets: no cell begins a formula, and what was written can be read."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.core.types import Comparison, Completion, Judgment, Prompt, Ranking
from assent.data import cells
from assent.data.exports import encode


@pytest.mark.parametrize("text", ["=1+2", "+49 30", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "'=1", "''@x"])
def test_what_a_spreadsheet_would_run_gets_an_apostrophe(text: str) -> None:
    assert cells.harmless(text) == "'" + text
    assert cells.read(cells.harmless(text)) == text


@pytest.mark.parametrize("text", ["", "a=b", "'tis", "1-2", "“=1”"])
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert cells.harmless(text) == text == cells.read(text)


@given(st.text(alphabet="'=+-@\t\r\na1 ", max_size=6) | st.text(max_size=20))
def test_reading_gives_back_what_was_written(text: str) -> None:
    assert cells.read(cells.harmless(text)) == text
    assert not cells.harmless(text).startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


def test_a_judgment_is_a_row() -> None:
    prompt = Prompt.of("=HYPERLINK(1)")
    answers = tuple(Completion(prompt_id=prompt.id, text=t, id=t) for t in ("one", "two,\nthree"))
    said = Judgment(
        task_id="t", rater_id="anna", id="j", ranking=Ranking(tiers=(("two,\nthree",), ("one",)), strengths=(3,)),
        flags={"one": ("unsafe",)}, critique="-1", seconds=4.5,
    )  # fmt: skip
    comparison = Comparison(prompt=prompt, completions=answers, judgments=(said,))
    content, report = encode([comparison], "csv", "out.csv")
    [row] = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""))
    assert row["prompt"] == "'=HYPERLINK(1)" and row["critique"] == "'-1"
    assert (row["rater"], row["order"], row["strengths"], row["flags"]) == ("anna", "B > A", "3", "A:unsafe")
    assert (row["answer A"], row["answer B"], row["seconds"]) == ("one", "two,\nthree", "4.5")
    assert report.rows == 1
