"""The report on raters and groups: means, intervals and alarms on fits small enough to count by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from assent.core.types import Comparison, Completion, Judgment, Prompt, Ranking
from assent.evaluation.rater_report import NOT_TOLD, rater_report
from assent.training.rater_fit import RaterFit


def fit(sharpness: list[float], group: list[int], *, names: tuple[str, ...] = ("north", "south")) -> RaterFit:
    n = len(sharpness)
    shares = np.bincount(np.array(group) + 1, minlength=len(names) + 1)[1:] / max(sum(g >= 0 for g in group), 1)
    return RaterFit(
        raters=tuple(f"r{i}" for i in range(n)),
        judgments=tuple(range(10, 10 + n)),
        sharpness=np.array(sharpness),
        errors=np.full(n, 0.1),
        position=np.zeros(n),
        length=np.zeros(n),
        cuts=np.tile([0.1, 1.0, 2.0, 3.0], (n, 1)),
        group_by="region" if names else None,
        groups=names,
        group=np.array(group),
        shares=shares,
        offsets=torch.zeros(len(names), 2),
        scale=1.0,
    )


def said(question: str, rater: str, order: str) -> Comparison:
    prompt = Prompt.of(question)
    answers = tuple(Completion(prompt_id=prompt.id, text=n, id=n) for n in "ab")
    judgment = Judgment(task_id="t", rater_id=rater, ranking=Ranking(tiers=tuple((c,) for c in order)))
    return Comparison(prompt=prompt, completions=answers, judgments=(judgment,))


NOTHING = np.zeros((0, 2), dtype=np.float32)


def test_groups_by_hand() -> None:
    report = rater_report(fit([1.0, 1.2, 0.8, 1.1, 0.9], [0, 0, 0, 1, -1]), [], [], NOTHING)
    by = {g.group: g for g in report.groups}
    assert list(by) == ["north", "south", NOT_TOLD]
    assert by["north"].sharpness.estimate == pytest.approx(1.0) and by["north"].raters == 3
    assert by["north"].judgments == 10 + 11 + 12
    # Around the means of the groups: (0 + 0.04 + 0.04) / 2 degrees of freedom + 0.1² = 0.05, over three raters.
    assert by["north"].sharpness.half_width == pytest.approx(4.302653 * (0.05 / 3) ** 0.5, rel=1e-4)
    assert (by["north"].share, by["south"].share, by[NOT_TOLD].share) == (0.75, 0.25, 0.0)
    assert report.alarms == () and report.group_by == "region"
    assert [row.rater for row in report.raters] == ["r2", "r4", "r0", "r3", "r1"]


def test_no_groups_is_one_group_of_everybody() -> None:
    report = rater_report(fit([1.0, 0.1, -0.9], [-1, -1, -1], names=()), [], [], np.zeros((0, 0), dtype=np.float32))
    assert [(g.group, g.share, g.own_accuracy) for g in report.groups] == [("everybody", 1.0, None)]
    assert (report.inverted, report.careless) == (1, 1)


def test_a_group_that_drops_and_one_that_is_inverted_are_alarming() -> None:
    north = [1.0, 1.1, 0.9, 1.0, 1.05, 0.95]
    fine = rater_report(fit([*north, 0.9, 0.95, 1.0], [0] * 6 + [1] * 3), [], [], NOTHING)
    assert fine.alarms == ()
    dropped = rater_report(fit([*north, 0.4, 0.5, 0.6], [0] * 6 + [1] * 3), [], [], NOTHING)
    assert len(dropped.alarms) == 1 and "region 'south'" in dropped.alarms[0] and "translation" in dropped.alarms[0]
    inverted = rater_report(fit([*north, -0.9, -0.8, -1.0], [0] * 6 + [1] * 3), [], [], NOTHING)
    assert len(inverted.alarms) == 1 and "wrong way round" in inverted.alarms[0]
    # One careless person among few says nothing about the group.
    single = rater_report(fit([*north[:5], 0.0, 1.0, 1.0, 0.1], [0] * 6 + [1] * 3), [], [], NOTHING)
    assert single.alarms == ()


def test_accuracy_with_and_without_the_taste_of_the_group() -> None:
    # The score likes a in both prompts; the south likes b by its taste, and says so in one of two.
    held_out = [said("q1", "r0", "ab"), said("q2", "r0", "ab"), said("q3", "r3", "ba"), said("q4", "r3", "ab")]
    tastes = np.array([[0, -1], [0, 1]] * 4, dtype=np.float32)
    report = rater_report(fit([1.0, 1.0, 1.0, 1.0], [0, 0, 0, 1]), held_out, [1.0, 0.0] * 4, tastes)
    north, south = report.groups
    assert north.accuracy is not None and north.accuracy.estimate == 1.0 and north.own_accuracy is not None
    assert south.accuracy is not None and south.accuracy.estimate == 0.5
    assert south.own_accuracy is not None and south.own_accuracy.estimate == 0.5
    only = rater_report(fit([1.0] * 4, [0, 0, 0, 1]), [*held_out[:3], said("q4", "r3", "ba")], [1.0, 0.0] * 4, tastes)
    assert [g.accuracy.estimate for g in only.groups if g.accuracy] == [1.0, 0.0]
    assert [g.own_accuracy.estimate for g in only.groups if g.own_accuracy] == [1.0, 1.0]
