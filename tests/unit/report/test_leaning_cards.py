"""Cards on leans and drift: what is alarming is said in words, and nothing is shown where nothing was measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from made_run import REPORT, MadeRun

from assent.evaluation.inheritance import Debias, GroupInfluence, Inheritance
from assent.report.leaning import counterfactuals, diversity_over_rounds, inherited, taken_out
from assent.report.run_folder import Run, read_run
from assent.stats.estimate import Estimate


def level(value: float) -> Estimate:
    return Estimate(estimate=value, low=value - 0.1, high=value + 0.1)


def with_suites(tmp_path: Path, suites: dict[str, Any], drift: list[str]) -> Run:
    folder = MadeRun(tmp_path).write()
    values = json.loads((folder / "result.json").read_text())
    for one in values["rounds"]:
        one["suites"], one["drift"] = suites, drift
    (folder / "result.json").write_text(json.dumps(values))
    return read_run(folder)


def test_a_group_that_leans_is_shown_with_what_it_does_to_the_reward() -> None:
    group = GroupInfluence(
        attribute="region",
        group="south",
        raters=8,
        votes=300,
        leans={"length": level(0.9)},
        influence={"length": level(0.3)},
    )
    alarm = "the 8 raters of region 'south' like longer answers 0.90 logits more than the others"
    found = Inheritance(leans={"length": level(0.5)}, groups=(group,), too_small=("region=east",), alarms=(alarm,))
    cards = inherited(REPORT.model_copy(update={"inheritance": found}))
    assert [one.title for one in cards] == [
        "What the reward leans on",
        "Leans of rater groups",
        "What each group does to the reward",
    ]
    assert f"Look into this: {alarm}." in cards[1].note and "south · length" in cards[1].svg
    assert "Too few raters to tell: region=east" in cards[2].note


def test_what_was_taken_out_is_shown_with_what_it_cost() -> None:
    found = Debias(
        terms=("length",), leans_before={"length": 0.4}, leans_after={"length": 0.0}, accuracy_difference=level(-0.01)
    )
    [card] = taken_out(REPORT.model_copy(update={"debias": found}))
    assert "moved by -0.010 [-0.110, +0.090]" in card.note and "+0.40 → +0.00" in card.svg


def test_nothing_measured_makes_no_card(tmp_path: Path) -> None:
    run = read_run(MadeRun(tmp_path).write())
    assert inherited(REPORT) == [] and taken_out(REPORT) == []
    assert counterfactuals(run) == [] and diversity_over_rounds(run) == []


def test_gaps_and_diversity_come_from_the_suites_of_the_rounds(tmp_path: Path) -> None:
    def measure(before: float, after: float) -> dict[str, Any]:
        return {"before": level(before).model_dump(), "after": level(after).model_dump()}

    suites = {
        "counterfactual": {"refusal_gap": measure(0, 0.2), "refusal_swap": measure(0, 0.3)},
        "diversity": {name: measure(0.8, 0.4) for name in ("ead", "opener_entropy", "words")},
    }
    alarm = "Answers have become more alike than the first policy's: EAD 0.80 → 0.40 [-0.50, -0.30]."
    run = with_suites(tmp_path, suites, [alarm])
    [gaps] = counterfactuals(run)
    assert "refusal gap" in gaps.svg and "refusal swap" not in gaps.svg
    cards = {one.title: one.note for one in diversity_over_rounds(run)}
    assert set(cards) == {"diversity: EAD", "diversity: opener entropy", "diversity: words"}
    assert "Look into this: Answers have become more alike" in cards["diversity: EAD"]
    assert "Look into this" not in cards["diversity: words"]
