"""The card on raters: who is shown, and that an alarm is said in words."""

from __future__ import annotations

from pathlib import Path

import made_run
import pytest
from made_run import REPORT, MadeRun

from assent.evaluation.rater_report import GroupRow, RaterLine, RaterReport
from assent.report.comparisons import LEAST_SHARP, reward_model
from assent.report.run_folder import read_run
from assent.stats.estimate import Estimate


def row(name: str, sharpness: float) -> RaterLine:
    level = Estimate(estimate=sharpness, low=sharpness - 0.3, high=sharpness + 0.3)
    return RaterLine(rater=name, judgments=30, sharpness=level, position=0.1, length=0.0, cuts=(0.1, 1.0, 2.0, 3.0))


def test_groups_and_the_least_sharp_are_shown_and_alarms_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    level = Estimate(estimate=-0.4, low=-0.6, high=-0.2)
    found = RaterReport(
        raters=tuple(row(f"anna {i}", -0.8 + 0.2 * i) for i in range(10)),
        group_by="region",
        groups=(GroupRow(group="north", raters=10, judgments=300, share=1.0, sharpness=level),),
        inverted=2,
        careless=3,
        scale=1.0,
        alarms=("the 10 raters of region 'north' seem to read the scale the wrong way round",),
    )
    monkeypatch.setattr(made_run, "REPORT", REPORT.model_copy(update={"raters": found}))
    section = reward_model(read_run(MadeRun(tmp_path).write()))
    card = next(p for p in section.cards if p.title == "Sharpness of raters")
    assert "10 raters" in card.note and "3 far below the pool, 2 below 0" in card.note
    assert "Look into this: the 10 raters of region 'north'" in card.note
    assert "region · north" in card.svg and f"anna {LEAST_SHARP - 1}" in card.svg
    assert f"anna {LEAST_SHARP}" not in card.svg


def test_without_raters_in_the_loss_there_is_no_such_panel(tmp_path: Path) -> None:
    section = reward_model(read_run(MadeRun(tmp_path).write()))
    assert "Sharpness of raters" not in [p.title for p in section.cards]
