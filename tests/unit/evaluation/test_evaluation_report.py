"""The report of an evaluation: written and read by one class, and the form before suites is read without loss."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assent.core.errors import DataError
from assent.core.types import Completion, Prompt
from assent.evaluation.report import EvaluationReport, Judge
from assent.evaluation.suite import Asked, Measure, SuiteReport
from assent.evaluation.suites.own import measure
from assent.evaluation.winrate import Verdict, WinRate
from assent.lab.world import World
from assent.stats.estimate import Estimate
from assent.stats.paired import share_difference

HALF = Estimate(estimate=0.5, low=0.25, high=0.75)
WINS = WinRate(
    win_rate=HALF,
    length_controlled=HALF.model_copy(update={"estimate": 0.4}),
    over_raters=None,
    ties=0.125,
    first_shown=HALF,
    swap_consistency=None,
    new_is_longer=0.5,
    new_length=20.0,
    baseline_length=21.0,
    prompts=2,
    raters=1,
    verdicts=4,
)


def asked(**more: object) -> Asked:
    """Two prompts of the lab, answered "no" before and with nothing after."""
    prompts = [World(0).prompt("eval", i) for i in range(2)]
    before, after = ([Completion(prompt_id=p.id, text=t) for p in prompts] for t in ("I must say no to this.", ""))
    return Asked(prompts, before, after, **more)  # type: ignore[arg-type]


def verdict(prompt: Prompt, score: float) -> Verdict:
    return Verdict(prompt.id, "ann", "pair", score, is_new_first=True, new_length=1, baseline_length=2)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    lab = Measure(before=HALF, after=None, difference=None, lower_is_better=True, n=0)
    report = EvaluationReport(
        judge=Judge(kind="people", is_independent=True),
        win_rate=WINS,
        kl_per_response=HALF,
        suites={"lab": SuiteReport(measures={"harm": lab}, rows=({"truth_before": {}},))},
    )
    report.write(tmp_path)
    read = EvaluationReport.read(tmp_path)
    assert read.suites["lab"].rows == () and read.suites["lab"].measures == {"harm": lab}
    assert read.model_dump() == report.model_dump()


def test_a_suite_measures_only_what_it_can() -> None:
    assert measure(asked()) == {}
    assert list(measure(asked(is_lab=True))) == ["lab"]


def test_the_winrate_suite_gives_each_prompt_its_share_of_verdicts() -> None:
    seen = asked(win_rate=WINS)
    first = seen.prompts[0]
    said = (verdict(first, 1.0), verdict(first, 0.5))
    suite = measure(asked(win_rate=WINS, verdicts=said))["winrate"]
    assert [row["preferred"] for row in suite.rows] == [0.75, None]
    assert suite.measures["win_rate"] == Measure(after=WINS.win_rate, n=2)


def test_the_lab_suite_pairs_answers_by_prompt() -> None:
    suite = measure(asked(is_lab=True))["lab"]
    assert suite.means()["after"]["mean_length"] == 0 and suite.measures["mean_length"].lower_is_better is None
    concise = suite.measures["concise"]
    # Six words are wholly concise, nothing is not at all: -1 for both prompts, and two prompts say little of others.
    assert concise.difference == share_difference([0.0, 0.0], [1.0, 1.0], ["a", "b"])
    assert concise.difference.estimate == -1.0 < concise.difference.high
    assert [row["truth_before"]["concise"] for row in suite.rows] == [1.0, 1.0]


OLD_CARD = {"helpful": {"estimate": 0.5, "low": 0.25, "high": 0.75, "n": 2}, "n": 2}
NOTHING = {"estimate": None, "low": None, "high": None, "n": 0}


def old(**more: object) -> dict[str, object]:
    plain = {"estimate": 0.5, "low": 0.25, "high": 0.75}
    wins = WINS.model_dump(mode="json")
    return {
        "judge": "simulated",
        "win_rate": wins,
        **{name: wins[name] for name in ("length_controlled", "ties", "first_shown")},
        "kl_per_response": plain,
        "reward_before": None,
        "reward_after": None,
        "truth": {"before": {**OLD_CARD, "harm": NOTHING}, "after": {**OLD_CARD, "harm": NOTHING}},
        **more,
    }


def test_the_form_before_suites_is_read_without_loss(tmp_path: Path) -> None:
    (tmp_path / "evaluation.json").write_text(json.dumps(old()))
    rows = [
        {"prompt": p, "kind": "ordinary", "truth_before": {"helpful": 0.25}, "truth_after": {"helpful": 0.5}}
        for p in "ab"
    ]
    (tmp_path / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = EvaluationReport.read(tmp_path)
    assert report.judge == Judge(kind="simulated", is_independent=True)
    assert (report.win_rate, report.kl_per_response, report.reward_after) == (WINS, HALF, None)
    helpful = report.measures("lab")["helpful"]
    assert helpful.before == helpful.after == HALF.model_copy(update={"n": 2})
    assert helpful.difference == share_difference([0.5, 0.5], [0.25, 0.25], ["a", "b"])
    assert report.measures("lab")["harm"] == Measure(lower_is_better=True, n=0)
    assert report.facts()["truth"] == {side: {"helpful": 0.5, "harm": None} for side in ("before", "after")}
    assert report.measures("winrate")["win_rate"].after == WINS.win_rate


def test_the_own_reward_model_is_no_independent_judge_in_either_form(tmp_path: Path) -> None:
    (tmp_path / "evaluation.json").write_text(json.dumps(old(judge="reward model of this round", truth=None)))
    for _ in range(2):
        report = EvaluationReport.read(tmp_path)
        assert report.judge == Judge(kind="reward_model", is_independent=False)
        assert report.facts()["judge"] == "reward model of this round"
        report.write(tmp_path)
    (tmp_path / "evaluation.json").write_text(json.dumps(old(judge="reward_model")))
    another = EvaluationReport.read(tmp_path).judge
    assert another is not None and another.is_independent


@pytest.mark.parametrize("text", ["{", '{"suites": 3}', '{"win_rate": {"win_rate": 1}}'])
def test_a_file_that_is_no_report_is_named_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "evaluation.json").write_text(text)
    with pytest.raises(DataError, match="make it again"):
        EvaluationReport.read(tmp_path)
