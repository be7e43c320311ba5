"""result.json: the numbers of a run, per round and at the end, for machines and for the report."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

import assent
from assent.artifacts.store import Artifact
from assent.core import files
from assent.core.runlog import read_metrics
from assent.evaluation.collapse import collapse_alarms, sampler_alarm
from assent.evaluation.doubts import doubts
from assent.evaluation.gate.decide import line_in_words
from assent.evaluation.report import EvaluationReport
from assent.evaluation.suites.config import DiversityConfig
from assent.pipeline.config import RunConfig
from assent.pipeline.rounds import RoundResult, RunResult
from assent.pipeline.stages.gate import decision_of
from assent.pipeline.stages.measure import suite_reports
from assent.pipeline.stages.settings import MeasureStage
from assent.stats.estimate import Estimate
from assent.training.alarms import Alarm

NOT_AS_GIVEN = {
    "bad_rows": "bad rows",
    "repeated": "prompts asked again",
    "renamed": "prompts named by their content",
    "unnamed_again": "votes of unnamed raters on the same answers",
    "given_back": "drawn for evaluation and given back",
    "taken_out": "prompts equal or near to given evaluation prompts",
    "held_out_equal": "ask an evaluation prompt",
    "held_out_near": "ask nearly one",
    "held_out_quoted": "hold one inside a longer text",
    "decided": "tasks whose judgments give way to an adjudicator's decision",
    "stood_for": "judgments for which such a decision stands",
    "empty_answers": "answers without a word, which were not revised",
    "not_revised": "revisions that could not be taken",
    "unfinished_answers": "answers cut at their longest and not mended, which are not learned from",
    "no_room": "prompts that leave no room for an answer",
    "too_long": "too long",
    "shortened": "lost first exchanges",
    "truncated": "lost the beginning of their prompt",
    "used_by_neither": "judgments of a rater of one part on a prompt of the other (guards)",
    "rewards_cut": "prompts that the reward model read without their beginning",
}
"""Notes of stages that count what was left out, cut or named anew, and their words."""
TRUTH_AXES = ("helpful", "honest", "harmless", "over_refusal", "mean_length")


def write_result(folder: Path, config: RunConfig, result: RunResult) -> dict[str, Any]:
    """Write folder/result.json and return its values."""
    values = {
        "name": config.name,
        "seed": config.seed,
        "version": assent.__version__,
        "seconds": round(sum(a.manifest.seconds for a in stages_of(result).values()), 1),
        "not_as_given": not_as_given(stages_of(result)),
        "setup": {
            "seconds": {name: a.manifest.seconds for name, a in start_stages(result).items()},
            "artifacts": {name: a.name for name, a in start_stages(result).items()},
            "sft": sft_values(result.start.tuned.get("sft")),
        },
        "rounds": [round_values(config, r, result.start.measured) for r in result.rounds],
        "final": None if result.final is None else final_values(config, result),
        "machine": this_machine(),
    }
    files.write_json(folder / "result.json", values)
    return values


def not_as_given(stages: Mapping[str, Artifact]) -> dict[str, dict[str, int]]:
    """What stages left out, cut or named anew, by stage; those that took everything as it was are missing."""
    counts = {
        stage: {words: int(artifact.notes[note]) for note, words in NOT_AS_GIVEN.items() if artifact.notes.get(note)}
        for stage, artifact in stages.items()
    }
    return {stage: found for stage, found in counts.items() if found}


def final_values(config: RunConfig, result: RunResult) -> dict[str, Any]:
    """The numbers of the last comparison, with the reward model of the last round."""
    assert result.final is not None
    last = result.promoted[-1]
    values = with_suites(policy_values(result.final, last.reward), config, last.measured, result.start.measured)
    return {"artifact": result.final.name, **values}


def this_machine() -> str:
    """Processor, cores and system, for the page and the table of results."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        name = models[0].partition(":")[2].strip() if models else name
    versions = f"Python {platform.python_version()}, torch {torch.__version__}"
    return f"{name}, {os.cpu_count()} cores, {platform.system()}, {versions}"


def round_values(config: RunConfig, result: RoundResult, first: Mapping[str, Artifact]) -> dict[str, Any]:
    """The numbers of one round; `first` is what suites found of the run's first policy."""
    return {
        "round": result.number,
        "seconds": {name: a.manifest.seconds for name, a in result.stages.items()},
        "artifacts": {name: a.name for name, a in result.stages.items()},
        "judgments": None if result.judgments is None else result.judgments.notes.get("judgments"),
        "reward": reward_values(result.reward),
        **with_suites(policy_values(result.evaluation, result.reward), config, result.measured, result.measured_before),
        "drift": drift(config, result, first),
        "guards": guard_values(result.policy),
        "gate": gate_values(result),
    }


def guard_values(policy: Artifact) -> dict[str, Any] | None:
    """What guards said while the policy was trained, and whether they ended it; None where nothing was alarming."""
    notes = policy.notes
    alarms = [str(Alarm(**one)) for one in notes.get("alarms", ())]
    found = {name: one for name, one in notes.get("guards", {}).items() if one is not None}
    if not alarms and not found:
        return None
    return {"alarms": alarms, "ended": notes.get("ended"), "steps": notes.get("steps"), **found}


def gate_values(result: RoundResult) -> dict[str, Any] | None:
    """What the gate said of a round's policy, and whether it is promoted; None without a gate."""
    if result.gate is None:
        return None
    decision = decision_of(result.gate)
    return {
        "promoted": result.is_promoted,
        "verdict": decision.verdict,
        "lines": [line_in_words(one) for one in decision.lines],
    }


def drift(config: RunConfig, result: RoundResult, first: Mapping[str, Artifact]) -> list[str]:
    """Alarms: answers that have become alike, held against the run's first policy; a sampler that is another policy."""
    stages, measured = MeasureStage.all_of(config), result.measured
    gaps = [row["sampler_gap_mean"] for row in read_metrics(result.policy.folder) if "sampler_gap_mean" in row]
    sampler = sampler_alarm(max(gaps, default=None))
    titles = [title for title, stage in stages.items() if isinstance(stage.suite, DiversityConfig) and title in first]
    found = suite_reports({title: measured[title] for title in titles if title in measured}, first, stages)
    alarms = [alarm for one in found.values() for alarm in collapse_alarms(one.measures)]
    return alarms if sampler is None else [*alarms, sampler]


def sft_values(policy: Artifact | None) -> dict[str, Any] | None:
    """What fine-tuning reached on held-out demonstrations, in nats per token; None where there was none."""
    if policy is None:
        return None
    return {name: policy.notes.get(name) for name in ("steps", "first_eval_loss", "best_eval_loss")}


def with_suites(
    values: dict[str, Any], config: RunConfig, after: Mapping[str, Artifact], before: Mapping[str, Artifact]
) -> dict[str, Any]:
    """The numbers of a comparison and beside them those of suites with questions of their own."""
    found = suite_reports(after, before, MeasureStage.all_of(config))
    dumped = {name: one.model_dump(mode="json") for name, one in found.items()}
    return {
        **values,
        "suites": values["suites"] | {name: one["measures"] for name, one in dumped.items()},
        "suite_details": {name: {k: v for k, v in one.items() if k != "measures"} for name, one in dumped.items()},
    }


def reward_values(reward: Artifact | None) -> dict[str, Any] | None:
    """What the reward model reached on held-out prompts, beside its bounds."""
    if reward is None:
        return None
    notes = reward.notes
    return {
        "heldout_accuracy": notes.get("heldout_accuracy"),
        **plain("rater_agreement", noted(reward, "rater_agreement")),
        **plain("ceiling", noted(reward, "ceiling")),
        **plain("longer_wins", noted(reward, "longer_wins")),
        **plain("relevance", noted(reward, "relevance")),
        "ece": notes.get("ece"),
        "comparisons": notes.get("comparisons"),
    }


def noted(artifact: Artifact | None, name: str) -> Estimate | None:
    """An estimate from the notes of an artifact."""
    return None if artifact is None else Estimate.of(artifact.notes.get(name))


def policy_values(evaluation: Artifact | None, reward: Artifact | None) -> dict[str, Any]:
    """Win rate, KL, truth and every suite of a blind evaluation, and what speaks against it.

    Without an evaluation `policy` is null, and what speaks against the reward model is left.
    """
    report = EvaluationReport() if evaluation is None else EvaluationReport.read(evaluation.folder)
    wins = report.win_rate
    return {
        "policy": None
        if evaluation is None
        else {
            "win_rate": None if wins is None else wins.headline.model_dump(),
            "win_rate_of_these_raters": None if wins is None else wins.win_rate.model_dump(),
            "raters": None if wins is None else wins.raters,
            "length_controlled": None if wins is None else wins.length_controlled.model_dump(),
            "ties": None if wins is None else wins.ties,
            "judge": None if report.judge is None else str(report.judge),
            **plain("kl_per_response", report.kl_per_response),
            "best_of": None if report.best_of is None else report.best_of.model_dump(),
            **plain("reward_before", report.reward_before),
            **plain("reward_after", report.reward_after),
            "weights_moved": report.weights_moved,
            "trainers": None if report.trainers is None else report.trainers.model_dump(),
        },
        "warnings": list(
            doubts(report, accuracy=noted(reward, "heldout_accuracy"), longer_wins=noted(reward, "longer_wins"))
        ),
        "truth": report.truth(),
        "suites": {name: suite.model_dump(mode="json")["measures"] for name, suite in report.suites.items()},
    }


def plain(name: str, estimate: Estimate | None) -> dict[str, Any]:
    """The number under its name, its interval beside it."""
    if estimate is None:
        return {name: None}
    return {name: estimate.estimate, f"{name}_interval": [estimate.low, estimate.high]}


def start_stages(result: RunResult) -> dict[str, Artifact]:
    """The artifacts before the first round by stage; a run without SFT has none of that name."""
    start = result.start
    found = {f"gather {part}": artifact for part, artifact in start.data.items()} | {"base": start.base}
    return found | dict(start.tuned)


def stages_of(result: RunResult) -> dict[str, Artifact]:
    """Every artifact of a run by stage."""
    found = start_stages(result)
    for r in result.rounds:
        found |= {f"round {r.number} {name}": artifact for name, artifact in r.stages.items()}
    return found | ({"final": result.final} if result.final is not None else {})
