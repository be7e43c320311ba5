"""Dossiers: the same verdict from the folder alone, looks that count, and nothing half-written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from gate_campaigns import coins, evidence, found, shares, wins

from assent.core.errors import DataError, RunError, UserError
from assent.core.hashing import hash_file
from assent.evaluation.gate.config import GateConfig, read_gate
from assent.evaluation.gate.decide import decide
from assent.evaluation.gate.dossier import EVIDENCE, PAGE, VERDICT, ask, replay
from assent.evaluation.gate.evidence import Evidence, of_evaluation
from assent.evaluation.outcomes import Found
from assent.evaluation.report import EvaluationReport, Judge, KnownJudge
from assent.evaluation.winrate import Verdict, win_rate, write_verdicts
from assent.stats.estimate import Estimate

SCORES = coins(0.75, 400, 3)
BOTH = shares("xstest", "over_refusal", coins(0.05, 300, 1), coins(0.06, 300, 2))


def gate(**more: object) -> GateConfig:
    keep = [{"measure": "xstest.over_refusal", "margin": 0.08}]
    return GateConfig.parse({"gain": [{"measure": "winrate.win_rate"}], "keep": keep, **more})


def shown(size: int) -> Evidence:
    return evidence(winrate=wins(SCORES[:size]), xstest=BOTH)


def test_a_dossier_gives_the_same_verdict_from_its_folder_alone(tmp_path: Path) -> None:
    decision = ask(tmp_path / "gate", gate(), shown(200))
    moved = (tmp_path / "gate").rename(tmp_path / "elsewhere")
    assert replay(moved) == decision and decision.verdict == "pass"
    page = (moved / PAGE).read_text()
    assert "# PASS: `new` against `old`" in page and "assent gate --replay" in page
    assert (
        Found.read(next(moved.glob("evidence/winrate-*/after"))).outcomes == shown(200).suites["winrate"].after.outcomes
    )


def test_what_is_known_of_a_judge_is_part_of_the_dossier(tmp_path: Path) -> None:
    known = KnownJudge(agreement=Estimate(estimate=0.8, low=0.75, high=0.85), pairs=200)
    judged = evidence(Judge(kind="autorater", is_independent=True), known, **shown(200).suites)
    assert ask(tmp_path / "gate", gate(), judged).verdict == "pass"
    assert replay(tmp_path / "gate").verdict == "pass"


def test_a_changed_or_missing_outcome_is_seen(tmp_path: Path) -> None:
    ask(tmp_path / "gate", gate(), shown(200))
    outcomes = next((tmp_path / "gate").glob("evidence/winrate-*/after/outcomes.jsonl"))
    whole = outcomes.read_text()
    outcomes.write_text(whole.replace('"win_rate":0.0', '"win_rate":1.0'))
    with pytest.raises(DataError, match="was changed since the verdict"):
        replay(tmp_path / "gate")
    outcomes.unlink()
    with pytest.raises(DataError, match="or is gone"):
        replay(tmp_path / "gate")


def test_a_verdict_that_its_evidence_does_not_give_is_seen(tmp_path: Path) -> None:
    ask(tmp_path / "gate", gate(), shown(20))
    verdict, kept = tmp_path / "gate" / VERDICT, tmp_path / "gate" / EVIDENCE
    verdict.write_text(verdict.read_text().replace('"verdict": "undecided"', '"verdict": "pass"'))
    values = json.loads(kept.read_text())
    values["files"][VERDICT] = hash_file(verdict)
    kept.write_text(json.dumps(values))
    with pytest.raises(RunError, match="says PASS, and its evidence gives UNDECIDED"):
        replay(tmp_path / "gate")


def test_one_look_is_one_look_and_the_same_evidence_again_is_none(tmp_path: Path) -> None:
    first = ask(tmp_path / "gate", gate(), shown(100))
    assert ask(tmp_path / "gate", gate(), shown(100)) == first
    with pytest.raises(UserError, match="allows one look, and it was taken"):
        ask(tmp_path / "gate", gate(), shown(200))
    assert replay(tmp_path / "gate") == first


def test_looks_at_a_growing_evaluation_are_counted_and_replay(tmp_path: Path) -> None:
    config = gate(looks="anytime")
    looks = [ask(tmp_path / "gate", config, shown(size)) for size in (50, 100, 100, 400)]
    assert [one.look for one in looks] == [1, 2, 2, 3]
    assert replay(tmp_path / "gate") == looks[-1]
    widths = [one.lines[0].found.half_width for one in looks if one.lines[0].found]
    assert widths == sorted(widths, reverse=True)


def test_items_of_an_earlier_look_may_not_change_or_go(tmp_path: Path) -> None:
    config = gate(looks="anytime")
    ask(tmp_path / "gate", config, shown(100))
    other = evidence(winrate=wins([1 - SCORES[0], *SCORES[1:99]]), xstest=BOTH)
    with pytest.raises(UserError, match="1 are gone and 1 read otherwise now"):
        ask(tmp_path / "gate", config, other)
    with pytest.raises(UserError, match="the gate was changed after 1 looks"):
        ask(tmp_path / "gate", gate(looks="anytime", alpha=0.2), shown(200))


def test_another_order_of_items_changes_no_look(tmp_path: Path) -> None:
    config = gate(looks="anytime")
    ask(tmp_path / "a", config, shown(100))
    turned = shown(200).suites["winrate"].after
    turned = turned.model_copy(update={"outcomes": tuple(reversed(turned.outcomes))})
    mixed = evidence(winrate=type(BOTH)(turned), xstest=BOTH)
    ask(tmp_path / "a", config, mixed)
    first = Found.read(next((tmp_path / "a").glob("evidence/winrate-*/after"))).outcomes
    assert [one.item for one in first[:100]] == [f"i{n}" for n in range(100)]


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(UserError, match="holds something that is no dossier"):
        ask(tmp_path, gate(), shown(50))
    assert [one.name for one in tmp_path.iterdir()] == ["mine.txt"]
    with pytest.raises(DataError, match="give the folder of a dossier"):
        replay(tmp_path)


def test_numbers_of_an_evaluation_come_from_its_verdicts_and_not_from_its_summary(tmp_path: Path) -> None:
    verdicts = [Verdict(f"p{n}", "anna", f"pair{n}", float(n < 30), n % 2 == 0, 10, 10) for n in range(40)]
    honest = win_rate(verdicts)
    boast = honest.model_copy(update={"win_rate": Estimate(estimate=0.99, low=0.98, high=1.0)})
    EvaluationReport(judge=Judge(kind="people", is_independent=True), win_rate=boast).write(tmp_path)
    write_verdicts(tmp_path, verdicts, are_people=True)
    rows = [{"prompt": f"p{n}", "before": "a b", "after": "a b c"} for n in range(40)]
    (tmp_path / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    suites, report = of_evaluation(tmp_path)
    assert "anna" not in (tmp_path / "verdicts.jsonl").read_text()
    scores = [one.values["win_rate"] for one in suites["winrate"].after.outcomes]
    assert sum(scores) / len(scores) == 0.75 and report.judge is not None
    assert "anna" not in suites["winrate"].after.model_dump_json() + repr(suites["winrate"].after.outcomes)
    repeated = [one.values["repeated"] for one in suites["answers"].after.outcomes]
    assert repeated == [0.0] + [1.0] * 39


def test_gate_files_of_the_package_are_gates() -> None:
    for name in ("default", "lab"):
        assert read_gate(name).gain
    with pytest.raises(UserError, match="there is no file nowhere"):
        read_gate("nowhere")


def test_a_suite_of_unknown_kind_is_refused(tmp_path: Path) -> None:
    odd = evidence(xstest=type(BOTH)(found("strange", "new", [{"x": 1.0}] * 40)))
    with pytest.raises(DataError, match="no suite of this version is of kind 'strange'"):
        ask(tmp_path / "gate", gate(), odd)
    assert not (tmp_path / "gate").exists()


def test_prompts_on_which_every_judge_abstained_are_unreadable_and_not_left_out(tmp_path: Path) -> None:
    verdicts = [Verdict(f"p{n}", "gpt", f"pair{n}", 1.0, n % 2 == 0, 10 + n % 3, 10) for n in range(80)]
    EvaluationReport(judge=Judge(kind="people", is_independent=True), win_rate=win_rate(verdicts)).write(tmp_path)
    write_verdicts(tmp_path, verdicts, are_people=True)
    rows = [{"prompt": f"p{n}", "before": "a", "after": "b"} for n in range(100)]
    (tmp_path / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    suites, report = of_evaluation(tmp_path)
    for name in ("win_rate", "length_controlled"):
        config = GateConfig.parse({"gain": [{"measure": f"winrate.{name}"}]})
        (line,) = decide(config, evidence(report.judge, winrate=suites["winrate"])).lines
        assert (line.verdict, line.missing, line.clusters) == ("fail", pytest.approx(0.2), 80), name
        assert decide(config.model_copy(update={"most_missing": 0.2001}), evidence(**suites)).verdict == "pass"
