"""result.json: the numbers of a run, per round and at the end, for machines and for the report."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import torch

import assent
from assent.artifacts.store import Artifact
from assent.core import files
from assent.pipeline.config import RunConfig
from assent.pipeline.rounds import RoundResult, RunResult

TRUTH_AXES = ("helpful", "honest", "harmless", "over_refusal", "mean_length")


def write_result(folder: Path, config: RunConfig, result: RunResult) -> dict[str, Any]:
    """Write folder/result.json and return its values."""
    values = {
        "name": config.name,
        "seed": config.seed,
        "version": assent.__version__,
        "seconds": round(sum(a.manifest.seconds for a in stages_of(result).values()), 1),
        "setup": {"seconds": {name: a.manifest.seconds for name, a in start_stages(result).items()}},
        "rounds": [round_values(r) for r in result.rounds],
        "final": None if result.final is None else {"artifact": result.final.name, **policy_values(result.final)},
        "machine": machine(),
    }
    files.write_json(folder / "result.json", values)
    return values


def machine() -> str:
    """Processor, cores and system, for the page and the table of results."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        name = models[0].partition(":")[2].strip() if models else name
    versions = f"Python {platform.python_version()}, torch {torch.__version__}"
    return f"{name}, {os.cpu_count()} cores, {platform.system()}, {versions}"


def round_values(result: RoundResult) -> dict[str, Any]:
    """The numbers of one round."""
    return {
        "round": result.number,
        "seconds": {name: a.manifest.seconds for name, a in round_stages(result).items()},
        "artifacts": {name: a.name for name, a in round_stages(result).items()},
        "judgments": result.judgments.notes.get("judgments"),
        "reward": reward_values(result.reward),
        **policy_values(result.evaluation),
    }


def reward_values(reward: Artifact | None) -> dict[str, Any] | None:
    """What the reward model reached on held-out prompts, beside its bounds."""
    if reward is None:
        return None
    notes = reward.notes
    return {
        "heldout_accuracy": notes.get("heldout_accuracy"),
        **plain("rater_ceiling", notes.get("rater_ceiling")),
        **plain("longer_wins", notes.get("longer_wins")),
        **plain("relevance", notes.get("relevance")),
        "ece": notes.get("ece"),
        "comparisons": notes.get("comparisons"),
    }


def policy_values(evaluation: Artifact) -> dict[str, Any]:
    """Win rate, KL and truth of a blind evaluation."""
    notes = evaluation.notes
    return {
        "policy": {
            "win_rate": notes.get("win_rate"),
            "length_controlled": notes.get("length_controlled"),
            "ties": notes.get("ties"),
            "judge": notes.get("judge"),
            **plain("kl_per_response", notes.get("kl_per_response")),
            **plain("reward_before", notes.get("reward_before")),
            **plain("reward_after", notes.get("reward_after")),
        },
        "truth": notes.get("truth"),
    }


def plain(name: str, estimate: dict[str, float] | None) -> dict[str, Any]:
    """The number under its name, its interval beside it."""
    if estimate is None:
        return {name: None}
    return {name: estimate["estimate"], f"{name}_interval": [estimate["low"], estimate["high"]]}


def round_stages(result: RoundResult) -> dict[str, Artifact]:
    """The artifacts of a round by stage, in order."""
    found = {
        "sample": result.samples,
        "collect": result.judgments,
        "reward": result.reward,
        "optimize": result.policy,
        "evaluate": result.evaluation,
    }
    return {name: artifact for name, artifact in found.items() if artifact is not None}


def start_stages(result: RunResult) -> dict[str, Artifact]:
    """The artifacts before the first round by stage; a run without SFT has none of that name."""
    start = result.start
    found = {f"gather {part}": artifact for part, artifact in start.data.items()} | {"base": start.base}
    return found if start.policy is start.base else found | {"sft": start.policy}


def stages_of(result: RunResult) -> dict[str, Artifact]:
    """Every artifact of a run by stage."""
    found = start_stages(result)
    for r in result.rounds:
        found |= {f"round {r.number} {name}": artifact for name, artifact in round_stages(r).items()}
    return found | ({"final": result.final} if result.final is not None else {})
