"""Judges by principles: margins by hand, who is drawn, what is silent, and that a model is asked as by a rubric."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from judge_model import asked, open_judge, save_judge

from assent.core.errors import FunctionError
from assent.core.types import Judgment, Prompt
from assent.feedback.queue.assign import draw
from assent.models.config import ModelConfig
from assent.pipeline.autoraters import open_constitution
from assent.pipeline.backends import Backends
from assent.pipeline.config import ComputeConfig
from assent.raters.config import ConstitutionConfig
from assent.raters.constitution import Constitution
from assent.raters.margins import pairs_in
from assent.raters.panel import Panel

TWO = {
    "name": "two",
    "version": "3",
    "principles": [
        {"id": n, "critique": "c", "revision": "r", "preference": f"It is {n}.", "weight": w}
        for n, w in (("short", 3), ("loud", 1))
    ],
}


def score(principle: str, prompts: Sequence[Prompt], answers: Sequence[str]) -> list[float]:
    """short: minus the letters. loud: the exclamation marks."""
    assert len(prompts) == len(answers)
    return [-float(len(a)) if principle == "short" else float(a.count("!")) for a in answers]


def broken(principle: str, prompts: Sequence[Prompt], answers: Sequence[str]) -> list[float]:
    """No finite number for the last."""
    return [0.0] * (len(answers) - 1) + [math.nan]


def panel(folder: Path, *, abstains: bool = True, target: str = "score", **settings: Any) -> Panel:
    (folder / "two.yaml").write_text(yaml.safe_dump(TWO))
    backend = {"kind": "python", "target": f"{__name__}:{target}"}
    given = {"constitution": str(folder / "two.yaml"), "backend": backend, **settings}
    backends = Backends(ModelConfig(), ComputeConfig())
    return open_constitution(ConstitutionConfig.parse(given), backends, seed=0, abstains=abstains)


def by_principle(found: Panel, *texts: str) -> dict[str, Judgment]:
    task = asked("t", *texts)
    return {one.record.id.partition("@")[0]: one.judge([task])[0] for one in found.members}


def test_margins_are_differences_of_scores_and_details_say_by_which_principle(tmp_path: Path) -> None:
    said = by_principle(panel(tmp_path), "No!", "No", "Never!!")
    short, loud = said["constitution/short"], said["constitution/loud"]
    assert [(p.first, p.second, p.margin) for p in pairs_in(short)] == [
        ("t0", "t1", -1),
        ("t0", "t2", 4),
        ("t1", "t2", 5),
    ]
    assert short.ranking is not None and short.ranking.tiers == (("t1",), ("t0",), ("t2",))
    assert loud.ranking is not None and loud.ranking.tiers == (("t2",), ("t0",), ("t1",))
    mark = {"name": "two", "version": "3", "hash": Constitution.load(str(tmp_path / "two.yaml")).hash[:12]}
    assert short.details["principle"] == "short" and short.details["constitution"] == mark


def test_the_judgment_by_all_is_the_weighted_mean_and_keeps_each(tmp_path: Path) -> None:
    [mean] = by_principle(panel(tmp_path, ask="all"), "No!", "No").values()
    [pair] = pairs_in(mean)
    assert pair.margin == pytest.approx((3 * -1 + 1 * 1) / 4) and mean.ranking is not None
    assert mean.ranking.tiers == (("t1",), ("t0",))
    assert mean.details["principle"] == "mean"
    assert {name: said[0]["margin"] for name, said in mean.details["principles"].items()} == {"short": -1, "loud": 1}


def test_who_sees_no_difference_says_nothing_to_learn_from_and_a_tie_in_an_evaluation(tmp_path: Path) -> None:
    silent = by_principle(panel(tmp_path), "Yes", "Now")["constitution/loud"]
    assert (
        silent.ranking is None and silent.skip_reason == "loud sees no difference" and pairs_in(silent)[0].margin == 0
    )
    tied = by_principle(panel(tmp_path, abstains=False), "Yes", "Now")["constitution/loud"]
    assert tied.ranking is not None and tied.ranking.tiers == (("t0", "t1"),) and tied.skip_reason is None
    [mean] = by_principle(panel(tmp_path, ask="all"), "Yes", "Now").values()
    assert mean.ranking is None and "principles" in mean.details


def test_a_program_without_a_number_is_named_with_its_principle(tmp_path: Path) -> None:
    with pytest.raises(FunctionError, match="broken by short returned nan at index 1"):
        by_principle(panel(tmp_path, target="broken"), "a", "b")


def test_principles_are_drawn_by_weight_and_equal_weights_draw_as_none(tmp_path: Path) -> None:
    tasks = {f"t{n}": 1 for n in range(4000)}
    shares = {name.partition("@")[0]: len(own) for name, own in panel(tmp_path).shares(tasks).items()}
    # Binomial(4000, 3/4): 3000 ± 4 · 27.4
    assert abs(shares["constitution/short"] - 3000) < 110 and sum(shares.values()) == 4000
    ids = ["a", "b", "c"]
    for task in map(str, range(50)):
        plain = draw(task, ids, count=3, seed=1)
        assert draw(task, ids, count=3, seed=1, weights=dict.fromkeys(ids, 2.0)) == plain


def test_a_model_says_by_a_principle_what_it_says_by_a_rubric_of_the_same_words(tmp_path: Path) -> None:
    folder = save_judge(tmp_path / "judge")
    principle = Constitution.load("hhh").named("honest")
    rubric = {"criteria": {"honest": principle.rubric.criteria["honest"].model_dump(mode="json")}}
    (tmp_path / "rubric.yaml").write_text(yaml.safe_dump(rubric))
    task = asked("q", "It rains.", "Perhaps it rains.")
    [by_rubric] = open_judge(folder, rubric=str(tmp_path / "rubric.yaml")).judge([task])
    config = ConstitutionConfig.parse({"principles": ["honest"], "backend": {"kind": "local", "path": str(folder)}})
    [member] = open_constitution(config, Backends(ModelConfig(), ComputeConfig()), seed=0).members
    [by_principle] = member.judge([task])
    assert pairs_in(by_principle) == pairs_in(by_rubric) and by_principle.ranking == by_rubric.ranking
    assert member.record.kind == "autorater" and by_principle.details["principle"] == "honest"
