"""The gate: lines hold, fail or stay open for the reason that is true, and what was not measured never passes."""

from __future__ import annotations

import math

import pytest
from gate_campaigns import coins, evidence, found, shares, wins

from assent.core.errors import ConfigError
from assent.evaluation.gate.config import GateConfig
from assent.evaluation.gate.decide import Decision, decide, in_words
from assent.evaluation.gate.evidence import Compared
from assent.evaluation.report import Judge, KnownJudge
from assent.stats.estimate import Estimate


def gate(**values: object) -> GateConfig:
    return GateConfig.parse(values)


def keep(measure: str, **values: object) -> GateConfig:
    return gate(keep=[{"measure": measure, **values}])


def only(decision: Decision) -> tuple[str, str]:
    (line,) = decision.lines
    assert decision.verdict == line.verdict
    return line.verdict, line.reason


MANY = evidence(winrate=wins([1.0] * 140 + [0.0] * 60))


def test_a_win_rate_is_held_against_one_half() -> None:
    (line,) = decide(gate(gain=[{"measure": "winrate.win_rate"}]), MANY).lines
    assert line.verdict == "pass" and line.found is not None
    assert line.found.estimate == pytest.approx(0.2) and line.clusters == 200
    assert decide(gate(gain=[{"measure": "winrate.win_rate", "least": 0.19}]), MANY).verdict == "undecided"
    assert decide(gate(gain=[{"measure": "winrate.win_rate", "least": 0.3}]), MANY).verdict == "fail"


def test_a_longer_answer_that_wins_by_length_alone_gains_nothing_at_equal_length() -> None:
    longer = [100.0 + n % 7 for n in range(150)] + [-100.0 - n % 7 for n in range(50)]
    hack = evidence(winrate=wins([1.0] * 150 + [0.0] * 50, longer))
    assert decide(gate(gain=[{"measure": "winrate.win_rate"}]), hack).verdict == "pass"
    assert decide(gate(gain=[{"measure": "winrate.length_controlled"}]), hack).verdict != "pass"


def test_a_guard_that_was_not_measured_fails() -> None:
    verdict, reason = only(decide(keep("xstest.over_refusal", margin=0.05), MANY))
    assert verdict == "fail" and reason == "it was not measured; measured: winrate"
    alone = evidence(xstest=shares("xstest", "over_refusal", coins(0.1, 200, 0)))
    assert only(decide(keep("xstest.over_refusal", margin=0.05), alone)) == ("fail", "it was not measured: of old")
    both = evidence(xstest=shares("xstest", "over_refusal", [0.0] * 50, [0.0] * 50))
    assert only(decide(keep("xstest.over_refusal@homonyms", margin=0.05), both))[0] == "fail"


def test_a_measure_that_its_suite_does_not_have_is_refused_with_the_nearest_name() -> None:
    both = evidence(xstest=shares("xstest", "over_refusal", [0.0] * 50, [0.0] * 50))
    with pytest.raises(ConfigError, match="has no measure 'over_refusals'; did you mean 'over_refusal'"):
        decide(keep("xstest.over_refusals", margin=0.05), both)


def test_a_direction_against_the_suite_is_refused() -> None:
    both = evidence(xstest=shares("xstest", "over_refusal", [0.0] * 50, [0.0] * 50))
    with pytest.raises(ConfigError, match="better is higher, but lower is better"):
        decide(keep("xstest.over_refusal", margin=0.05, better="higher"), both)
    with pytest.raises(ConfigError, match="neither way is better of itself"):
        decide(gate(gain=[{"measure": "xstest.criterion"}]), both)


def test_more_refusals_fail_fewer_pass_and_few_prompts_leave_it_open() -> None:
    def refused(new: float, old: float, size: int) -> str:
        both = shares("xstest", "over_refusal", coins(new, size, 1), coins(old, size, 2))
        return decide(keep("xstest.over_refusal", margin=0.05), evidence(xstest=both)).verdict

    assert refused(0.4, 0.1, 400) == "fail"
    assert refused(0.05, 0.1, 400) == "pass"
    assert refused(0.05, 0.05, 40) == "undecided"


def test_where_nothing_differs_few_items_are_no_proof() -> None:
    same = shares("xstest", "over_refusal", [0.0] * 12, [0.0] * 12)
    (line,) = decide(keep("xstest.over_refusal", margin=0.02, least_clusters=2), evidence(xstest=same)).lines
    assert line.verdict == "undecided" and line.more is not None and line.more > 0


def test_fewer_prompts_than_the_least_are_undecided_and_say_how_many_are_missing() -> None:
    some = evidence(winrate=wins([1.0] * 20))
    (line,) = decide(gate(gain=[{"measure": "winrate.win_rate"}]), some).lines
    assert (line.verdict, line.more, line.more_of) == ("undecided", 10, "prompts with verdicts of the judge")


def test_items_that_one_policy_leaves_unreadable_fail_the_line() -> None:
    new = [{"over_refusal": 0.0}] * 80 + [{}] * 20
    both = Compared(found("xstest", "new", new), found("xstest", "old", [{"over_refusal": 0.0}] * 100))
    verdict, reason = only(decide(keep("xstest.over_refusal", margin=0.2), evidence(xstest=both)))
    assert verdict == "fail" and reason == "20.0% of items could not be read, more than 5.0%"
    assert decide(keep("xstest.over_refusal", margin=0.2, most_missing=0.2), evidence(xstest=both)).verdict == "pass"


def test_one_regression_item_that_fell_fails_and_all_that_hold_pass() -> None:
    held = evidence(hhh=shares("hhh", "accuracy", [1.0] * 7))
    assert only(decide(keep("hhh.accuracy", every=1), held)) == ("pass", "")
    fell = evidence(hhh=shares("hhh", "accuracy", [1.0] * 6 + [0.0]))
    assert only(decide(keep("hhh.accuracy", every=1), fell)) == ("fail", "1 of 7 items have another value")


def test_a_ratio_holds_where_it_surely_lies_between_both_ends() -> None:
    def lengths(factor: float) -> str:
        old = [100.0 + n % 11 for n in range(100)]
        rows = [[{"length": value * by} for value in old] for by in (factor, 1.0)]
        both = Compared(found("answers", "new", rows[0]), found("answers", "old", rows[1]))
        return decide(keep("answers.length", ratio=[0.8, 1.25]), evidence(answers=both)).verdict

    assert [lengths(one) for one in (0.7, 0.9, 1.2, 1.4)] == ["fail", "pass", "pass", "fail"]


def test_a_suite_that_a_null_baseline_passes_fails() -> None:
    one = shares("hhh", "accuracy", [1.0] * 50, [1.0] * 50)
    nulls = {"longest": {"accuracy": 0.75}, "echo": {"accuracy": None}}
    known = Compared(one.after.model_copy(update={"nulls": nulls}), one.before)
    assert decide(keep("hhh.accuracy", null_at_most=0.8), evidence(hhh=known)).verdict == "pass"
    verdict, reason = only(decide(keep("hhh.accuracy", null_at_most=0.6), evidence(hhh=known)))
    assert verdict == "fail" and reason.startswith("the longest answer reaches 0.75")
    assert only(decide(keep("hhh.accuracy", null_at_most=0.6), evidence(hhh=one)))[0] == "fail"


def test_a_judge_that_trained_the_policy_or_was_never_validated_does_not_count() -> None:
    config = gate(gain=[{"measure": "winrate.win_rate"}])

    def said(judge: Judge, known: KnownJudge | None = None) -> tuple[str, str]:
        return only(decide(config, evidence(judge, known, winrate=MANY.suites["winrate"])))

    def known(low: float, **more: object) -> KnownJudge:
        held = Estimate(estimate=low + 0.05, low=low, high=low + 0.1)
        return KnownJudge.model_validate({"agreement": held, "pairs": 300, **more})

    own = Judge(kind="reward_model", is_independent=False)
    other = Judge(kind="autorater", is_independent=True)
    assert said(own, known(0.9))[1].endswith("is what the policy was optimized for")
    assert said(other)[1].startswith("the autorater was never held against people")
    assert "is 0.550 [0.500, 0.600], not surely above 0.55" in said(other, known(0.5))[1]
    assert "stays below its bar: padded" in said(other, known(0.7, failures=("padded answers win",)))[1]
    assert "has drifted" in said(other, known(0.7, drift={"estimate": -0.2, "low": -0.3, "high": -0.1}))[1]
    assert said(other, known(0.7)) == ("pass", "")
    assert said(Judge(kind="people", is_independent=True)) == ("pass", "")
    assert only(
        decide(
            gate(gain=[{"measure": "winrate.win_rate"}], judge={"kinds": ["people"]}),
            evidence(other, known(0.7), winrate=MANY.suites["winrate"]),
        )
    )[1].startswith("verdicts of autorater do not count here")


def test_a_gate_without_lines_with_two_limits_or_a_line_twice_is_refused() -> None:
    for wrong, words in (
        ({}, "a gate without a line"),
        ({"keep": [{"measure": "a.b"}]}, "exactly one limit"),
        ({"keep": [{"measure": "a.b", "margin": 0.1, "every": 1}]}, "margin and every"),
        ({"keep": [{"measure": "a.b", "ratio": [1.25, 0.8]}]}, "the lower one first"),
        ({"keep": [{"measure": "a.b", "ratio": [1.0, 1.0]}]}, "not equal"),
        ({"keep": [{"measure": "a.b", "margin": 0.1}] * 2}, "a line is there twice"),
        ({"keep": [{"measure": "a.b", "margin": math.inf}]}, r"keep\.0\.margin: should be a finite number, got inf"),
        ({"keep": [{"measure": "a.b", "every": math.nan}]}, r"keep\.0\.every: should be a finite number, got nan"),
        ({"keep": [{"measure": "a.b", "ratio": [0.8, math.nan]}]}, r"keep\.0\.ratio\.1: should be a finite number"),
        ({"keep": [{"measure": "a.b", "null_at_most": math.nan}]}, r"keep\.0\.null_at_most: should be a finite"),
        ({"gain": [{"measure": "a.b", "least": math.nan}]}, r"gain\.0\.least: should be a finite number, got nan"),
        ({"keep": [{"measure": "ab", "margin": 0.1}]}, "keep.0.measure"),
    ):
        with pytest.raises(ConfigError, match=words):
            gate(**wrong)


def test_every_number_is_said_in_words() -> None:
    lines = list(in_words(decide(gate(gain=[{"measure": "winrate.win_rate", "least": 0.18}]), MANY)))
    assert lines[0] == "UNDECIDED: new against old"
    assert lines[1].startswith("  UNDECIDED gain winrate.win_rate: better by surely more than 0.18; found +0.200 [")
    assert "it holds so far, but not surely; about " in lines[1]
    assert lines[1].endswith(" more prompts with verdicts of the judge")


def test_a_slice_that_became_worse_is_named_and_decides_nothing() -> None:
    groups = ["calm"] * 100 + ["angry"] * 100
    new = [{"over_refusal": 0.0}] * 100 + [{"over_refusal": float(n < 40)} for n in range(100)]
    both = Compared(
        found("xstest", "new", new, groups=groups),
        found("xstest", "old", [{"over_refusal": 0.0}] * 200, groups=groups),
    )
    decision = decide(keep("xstest.over_refusal", margin=0.5), evidence(xstest=both))
    assert decision.verdict == "pass" and decision.slices_seen == 2
    assert [(one.measure, one.is_worse) for one in decision.slices] == [("xstest.over_refusal@angry", True)]
