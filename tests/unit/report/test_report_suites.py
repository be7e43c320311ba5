"""Suites on the report page: every number with its interval, what came out better, and nothing that can harm."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from made_run import MadeRun

from assent.core.errors import DataError
from assent.evaluation.suite import Measure, SuiteReport
from assent.report.run import report_of
from assent.report.run_folder import read_run
from assent.report.suites import suite_tables
from assent.stats.estimate import Estimate

HOSTILE = "<script>alert(1)</script>"


def estimate(value: float, low: float, high: float) -> Estimate:
    return Estimate(estimate=value, low=low, high=high)


REFUSED = Measure(
    before=estimate(0.4, 0.3, 0.5), after=estimate(0.1, 0.05, 0.2), difference=estimate(-0.3, -0.4, -0.2),
    lower_is_better=True, n=250,
)  # fmt: skip
APART = Measure(before=None, after=estimate(4.0, 3.0, math.inf), difference=None, n=450)
FOUND = SuiteReport(
    measures={"over_refusal": REFUSED, "d_prime": APART},
    slices={HOSTILE: {"over_refusal": REFUSED}, "homonyms": {"over_refusal": REFUSED}},
    nulls={"constant": {"over_refusal": 0.0, "d_prime": None}},
    notes={"items": 450, "empty answers": 0, "classifier": "rules"},
)


def written(folder: Path, found: dict[str, SuiteReport], **changed: Any) -> Path:
    MadeRun(folder).write()
    path = folder / "result.json"
    result = json.loads(path.read_text(encoding="utf-8"))
    dumped = {title: one.model_dump(mode="json") for title, one in found.items()}
    result["rounds"][-1] |= {
        "suites": {title: one.pop("measures") for title, one in dumped.items()},
        "suite_details": dumped,
        **changed,
    }
    path.write_text(json.dumps(result), encoding="utf-8")
    return folder


def test_a_suite_is_a_table_with_intervals_baselines_and_slices_behind_a_fold(tmp_path: Path) -> None:
    folder = written(tmp_path, {"xstest": FOUND})
    [table] = suite_tables(read_run(folder))
    first, second = table.lines
    assert (first.name, first.before, first.difference) == (
        "↓ over refusal",
        "0.400 [0.300, 0.500]",
        "-0.300 [-0.400, -0.200]",
    )
    assert first.tone == "good" and first.nulls == "constant 0.000"  # fewer needless refusals
    assert (second.before, second.after, second.difference, second.tone) == ("—", "4.000 [3.000, ∞]", "—", "")
    report_of(folder)
    page = (folder / "report.html").read_text(encoding="utf-8")
    head, _, fold = page.partition('<section id="suites">')[2].partition("<details>")
    assert "0.100 [0.050, 0.200]" in head and "homonyms" not in head and "homonyms" in fold
    assert HOSTILE not in page and "&lt;script&gt;" in fold
    assert '<a href="#suites">' in page and "classifier: rules" in head


def test_a_difference_that_may_be_none_has_no_colour(tmp_path: Path) -> None:
    unsure = REFUSED.model_copy(update={"difference": estimate(-0.1, -0.3, 0.1)})
    neither = REFUSED.model_copy(update={"lower_is_better": None})
    found = SuiteReport(measures={"unsure": unsure, "neither": neither})
    [table] = suite_tables(read_run(written(tmp_path, {"x": found})))
    assert [line.tone for line in table.lines] == ["", ""]


def test_a_run_without_suites_has_no_such_section(tmp_path: Path) -> None:
    report_of(MadeRun(tmp_path).write())
    assert 'id="suites"' not in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_suite_that_cannot_be_read_is_named_in_one_line(tmp_path: Path) -> None:
    folder = written(tmp_path, {}, suites={"x": {"m": {"n": "many"}}}, suite_details={"x": {}})
    with pytest.raises(DataError, match=r"result\.json.*measures\.m\.n"):
        report_of(folder)
