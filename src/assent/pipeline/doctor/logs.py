"""`assent doctor RUN`: what the logs of a run say went wrong, finished stages and the one that is under way."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from assent.artifacts.layout import LOGS, RUN_SETTINGS
from assent.artifacts.mishaps import SPOILED
from assent.artifacts.project import RunFolder
from assent.artifacts.round import ROUND, read_round
from assent.artifacts.store import Artifact
from assent.core.config import read_yaml
from assent.core.errors import UserError
from assent.core.findings import Finding, note, ok, warning
from assent.core.runlog import METRICS, read_metrics
from assent.evaluation.report import EVALUATION, EvaluationReport
from assent.pipeline.doctor.judged_symptoms import LABELS, PREFERENCE, WITHOUT_REFERENCE
from assent.pipeline.doctor.symptoms import BEST_OF_N, ON_POLICY, REWARD, SFT, Log, Symptom, symptoms

_OF_METHODS = {"best_of_n": BEST_OF_N, "kto": LABELS, "orpo": WITHOUT_REFERENCE, "simpo": WITHOUT_REFERENCE}
"""Of methods that log other things than those that sample, or than those that compare pairs with a reference."""


def examine_logs(folder: Path) -> list[Finding]:
    """What every stage of a run that logs says of itself. Raises UserError for a folder that is no run."""
    if not (folder / RUN_SETTINGS).is_file():
        raise UserError(f"{folder} is no run: it has no {RUN_SETTINGS}; name a folder below runs/, or a YAML")
    run = RunFolder(folder)
    made = {artifact.name: artifact for artifact in run.artifacts()}
    others = {artifact.name for artifact in run.store().all()} - set(made)  # such as of earlier settings
    rounds = _rounds(folder)
    preferred = {str(a.manifest.inputs.get("policy")): a for a in made.values() if a.manifest.stage == "evaluate"}
    settings = read_yaml(folder / RUN_SETTINGS)
    findings: list[Finding] = []
    looked_at = 0
    for place in sorted((run.newest / LOGS).glob(f"*/{METRICS}"), key=lambda path: (path.stat().st_mtime, path)):
        name = place.parent.name
        if name in others or (run.version is not None and name not in made):
            continue
        log = _log(name, read_metrics(place.parent), made.get(name), settings)
        if log is None:
            continue
        looked_at += 1
        if (judged := preferred.get(made[name].key if name in made else "")) is not None:
            log = replace(log, found={**log.found, **_preferred(judged)})
        where = rounds.get(name, "" if name in made else "not finished")
        ended = () if name in made else _ended(place, log.key)
        findings += [_at(where, finding) for finding in (*ended, *symptoms(log, _symptoms(log)))]
    if not looked_at:
        return [note("logs", f"{folder} has logged nothing yet", "run it first: assent run")]
    return findings or [ok("logs", f"{looked_at} logs were read, and none shows a known failure")]


def _ended(log: Path, key: str) -> Iterator[Finding]:
    """What a stage that is not finished was ended by; a batch that was kept before its last step is an old one."""
    spoiled = log.parent / SPOILED
    if spoiled.is_file() and spoiled.stat().st_mtime >= log.stat().st_mtime:
        with contextlib.suppress(ValueError, KeyError):
            said, _, fix = json.loads(spoiled.read_text(encoding="utf-8"))["error"].rpartition(": ")
            yield warning(key, f"it was ended: {said}", fix)


def _log(
    place: str, metrics: list[dict[str, Any]], artifact: Artifact | None, settings: Mapping[str, Any]
) -> Log | None:
    """A stage's log with its settings; of a stage that is not finished, those of the run."""
    if not metrics:
        return None
    if artifact is None:
        key = _stage_of(place, metrics)
        return Log(key, metrics, settings.get(key) or {})
    named = {"base": "base.pretrain", "sft": "sft", "fit reward": "reward", "optimize": "optimize"}
    if artifact.manifest.stage not in named:
        return None
    key = named[artifact.manifest.stage]
    config = artifact.manifest.config
    return Log(key, metrics, config.get(key, config) if isinstance(config, Mapping) else {}, _found(artifact))


def _stage_of(artifact: str, metrics: list[dict[str, Any]]) -> str:
    """The stage that logged this, of an artifact that is not finished: by the kind in its name, and what it logged."""
    if artifact.startswith("reward-"):
        return "reward"
    names = {name for line in metrics[:20] for name in line}
    return "optimize" if names & {"reward", "margin", "good_gain"} else "sft"


def _symptoms(log: Log) -> tuple[Symptom, ...]:
    """What to look for: told by the settings of a stage, and of a method by what it logs."""
    match log.key:
        case "optimize":
            known = _OF_METHODS.get(str(log.settings.get("kind")))
            return known or (ON_POLICY if log.series("reward") else PREFERENCE)
        case "reward":
            return REWARD
        case _:
            return SFT


def _found(artifact: Artifact) -> dict[str, float]:
    """What a reward model's own report says of held-out pairs."""
    path = artifact.folder / "report.json"
    if artifact.manifest.stage != "fit reward" or not path.is_file():
        return {}
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    found = {"ece": report.get("ece")}
    for name in ("accuracy", "longer_wins", "rater_agreement"):
        one = report.get(name)
        if isinstance(one, Mapping):
            found |= {name: one.get("estimate"), f"{name}_low": one.get("low"), f"{name}_high": one.get("high")}
    return {name: float(value) for name, value in found.items() if value is not None}


def _preferred(evaluation: Artifact) -> dict[str, float]:
    """How often its answers were preferred."""
    if EVALUATION not in evaluation.manifest.files:
        return {}
    report = EvaluationReport.read(evaluation.folder)
    if report.win_rate is None:
        return {}
    share = report.win_rate.headline
    return {"preferred": share.estimate, "preferred_high": share.high}


def _rounds(folder: Path) -> dict[str, str]:
    """Artifact -> the round that made it."""
    return {
        one.artifact: f"round {place.parent.name.removeprefix('round-')}"
        for place in sorted(folder.glob(f"round-*/{ROUND}"))
        for one in read_round(place.parent)
        if place.parent.name != "round-0"
    }


def _at(where: str, finding: Finding) -> Finding:
    return replace(finding, key=f"{where}, {finding.key}") if where else finding


def lines(findings: list[Finding]) -> Iterator[str]:
    """What to say of them at the end of a run: warnings only."""
    return (str(finding) for finding in findings if finding.level in ("warning", "error"))
