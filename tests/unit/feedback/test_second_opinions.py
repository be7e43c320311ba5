"""A second opinion goes where it tells most: to contradicted pairs, and to those that only a careless rater judged."""

from __future__ import annotations

import math

import pytest

from assent.core import seeds
from assent.core.types import Judgment, Ranking
from assent.feedback.quality.opinions import PRIOR, information, opinions, second_opinions


def _said(task: str, rater: str, better: str, worse: str) -> Judgment:
    return Judgment(task_id=task, rater_id=rater, ranking=Ranking(tiers=((better,), (worse,))))


def _entropy(p: float) -> float:
    return -p * math.log2(p) - (1 - p) * math.log2(1 - p)


def test_information_is_that_of_a_noisy_channel() -> None:
    # An open pair: 1 bit less the noise of a rater who is right in three of four.
    assert information(0.5, 0.75) == pytest.approx(1 - _entropy(0.75))
    # At q = 0.9 the vote agrees with chance 0.9 · 0.75 + 0.1 · 0.25 = 0.7.
    assert information(0.9, 0.75) == pytest.approx(_entropy(0.7) - _entropy(0.75))
    assert information(1.0, 0.75) == 0 and information(0.5, 0.5) == 0
    assert information(0.5, 0.75) > information(0.75, 0.75) > information(0.9, 0.75)


def test_pairs_that_raters_contradict_each_other_on_come_first_and_tied_ones_never() -> None:
    judgments = [
        _said("agreed", "anna", "x", "y"),
        _said("agreed", "ben", "x", "y"),
        _said("split", "anna", "x", "y"),
        _said("split", "ben", "y", "x"),
        _said("once", "anna", "x", "y"),
        Judgment(task_id="tied", rater_id="ben", ranking=Ranking(tiers=(("x", "y"),))),
        Judgment(task_id="skipped", rater_id="ben", skip_reason="unclear"),
    ]
    assert second_opinions(judgments, labels=9) == ["split", "once", "agreed"]
    assert second_opinions(judgments, labels=1) == ["split"]
    assert second_opinions(judgments, labels=0) == [] and second_opinions([], labels=3) == []


def test_who_was_never_met_keeps_the_prior_and_who_contradicts_everybody_falls_below() -> None:
    judgments = [_said("alone", "cleo", "x", "y")]
    judgments += [_said(f"t{n}", rater, "x", "y") for n in range(30) for rater in ("anna", "ben")]
    judgments += [_said(f"t{n}", "dan", "y", "x") for n in range(30)]
    known = opinions(judgments)
    assert known.right["cleo"] == pytest.approx(PRIOR[0] / sum(PRIOR), abs=1e-3)
    assert known.right["anna"] > 0.9 and known.right["dan"] < 0.2


def test_the_tasks_of_careless_raters_come_before_those_of_careful_ones() -> None:
    rng = seeds.stream(0, "votes")
    raters = {"anna": 0.95, "ben": 0.95, "cleo": 0.95, "dan": 0.5}
    judgments = []
    for n in range(60):  # everybody judges these
        for rater, right in raters.items():
            first = rng.random() < right
            judgments.append(_said(f"shared{n}", rater, *(("x", "y") if first else ("y", "x"))))
    judgments += [_said(f"{rater}{n}", rater, "x", "y") for n in range(20) for rater in ("anna", "dan")]
    known = opinions(judgments)
    assert known.right["dan"] == pytest.approx(0.5, abs=0.15) and known.right["anna"] > 0.85
    once = [judgment for judgment in judgments if not judgment.task_id.startswith("shared")]
    chosen = [task for task in second_opinions(judgments, labels=500) if task in {one.task_id for one in once}]
    assert {task[:3] for task in chosen[:20]} == {"dan"}
