"""Reading a finished run from its folder: result.json, settings, and what its artifacts hold."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ConfigDict, ValidationError

from assent.artifacts.lineage import with_ancestors
from assent.artifacts.project import RESULT, RunFolder
from assent.artifacts.round import STAGES
from assent.artifacts.store import Artifact
from assent.artifacts.versions import newest_version
from assent.core.errors import DataError, UserError
from assent.core.problems import first_problem
from assent.core.runlog import read_metrics
from assent.core.types import Record
from assent.evaluation.report import EVALUATION, SAMPLES, EvaluationReport, read_samples
from assent.evaluation.reward_report import RewardReport
from assent.evaluation.suite import SuiteReport

Model = TypeVar("Model", bound=Record)
Metrics = tuple[dict[str, Any], ...]


class Sample(Record):
    """The two answers to one prompt of a blind comparison."""

    model_config = ConfigDict(extra="ignore")

    prompt: str
    kind: str | None = None
    """Kind of the prompt, where its source says one."""
    before: str
    after: str
    truth_before: dict[str, Any] | None = None
    truth_after: dict[str, Any] | None = None
    preferred: float | None = None
    """Share of verdicts for the new answer, ties half; None where nobody compared them."""


@dataclass(frozen=True)
class Evaluation:
    """A policy against another, with the answers themselves."""

    report: EvaluationReport
    samples: tuple[Sample, ...]
    sampling: Mapping[str, Any] = field(default_factory=dict)
    """How the answers were drawn, by the key of `evaluate.sampling`."""

    @property
    def is_independent(self) -> bool:
        """False where the answers were judged by the very reward model that they were optimized for."""
        return self.report.judge is None or self.report.judge.is_independent


@dataclass(frozen=True)
class Round:
    """One round, with the artifacts that are still there by stage."""

    number: int
    judgments: int | None
    artifacts: Mapping[str, Artifact]
    reward: RewardReport | None
    evaluation: Evaluation | None

    def metrics(self, stage: str) -> Metrics:
        """What the stage logged; empty where it is not there."""
        return metrics_of(self.artifacts.get(stage))

    @property
    def is_promoted(self) -> bool:
        """Whether its policy passed the gate; without a gate, always."""
        return "gate" not in self.artifacts or self.artifacts["gate"].notes.get("verdict") == "pass"

    @property
    def method(self) -> dict[str, Any]:
        """Resolved settings of the optimizer of the policy; its `kind` is ppo or dpo."""
        artifact = self.artifacts.get("optimize")
        return dict(artifact.manifest.config.get("optimize", {})) if artifact else {}


@dataclass(frozen=True)
class Run:
    """Everything the report is made of."""

    folder: Path
    result: Mapping[str, Any]
    rounds: tuple[Round, ...]
    final: Evaluation | None
    """The last promoted policy against the fine-tuned one, where more than one was promoted."""
    artifacts: tuple[Artifact, ...]
    """All that the run rests on, in the order it was made."""
    labels: Mapping[str, str]
    """key -> what the artifact is in this run: "data prompts", "round 2 reward"."""
    problems: tuple[str, ...]
    """What could not be read, in words."""
    suites: Mapping[str, SuiteReport] = field(default_factory=dict)
    """What suites with questions of their own found in the comparison that decides, by their titles."""

    @property
    def name(self) -> str:
        """Name of the run."""
        version = RunFolder(self.folder).version
        name = str(self.result.get("name") or RunFolder(self.folder).name)
        return name if version is None else f"{name}@{version}"

    @property
    def has_method(self) -> bool:
        """Whether a method moved the policy after fine-tuning."""
        return any("optimize" in values.get("artifacts", ("optimize",)) for values in self.result.get("rounds") or ())

    @property
    def headline(self) -> Evaluation | None:
        """The evaluation that decides: the final one, else that of the newest promoted round, else of the last."""
        best = sorted(self.rounds, key=lambda one: (one.is_promoted, one.number), reverse=True)
        return self.final or next((r.evaluation for r in best if r.evaluation), None)

    def stage(self, name: str) -> Artifact | None:
        """The artifact of a stage that a run has once (base, sft)."""
        return next((a for a in self.artifacts if a.manifest.stage == name), None)


def find_run(folder: Path) -> Path:
    """`folder` if it is a finished run, else the newest finished run in it. Raises UserError where there is none."""
    if (folder / RESULT).is_file():
        return folder
    runs = sorted(folder.glob(f"*/{RESULT}"), key=lambda path: path.stat().st_mtime)
    if not runs:
        version = newest_version(folder)
        before = "" if version is None else f"; what it was before it changed is {version}"
        raise UserError(f"{folder} holds no finished run ({RESULT} is missing); finish it with: assent run{before}")
    return runs[-1].parent


def read_run(folder: Path) -> Run:
    """Read a finished run. Raises DataError for a file that is not what it should be; missing ones leave gaps."""
    result = _json(folder / RESULT)
    run, said = RunFolder(folder), list[str]()
    everything = run.artifacts(run.store(said.append).all())
    problems = [one for one in said if one.partition(" ")[0] in run.names()]  # others are no business of this run
    by_name = {a.name: a for a in everything}
    rounds = []
    for values in result.get("rounds") or ():
        names = values.get("artifacts") or {}
        found = {stage: by_name[names[stage]] for stage in (s.name for s in STAGES) if names.get(stage) in by_name}
        gone = [f"{name} is no longer there" for name in names.values() if name not in by_name]
        problems.extend(gone)
        rounds.append(_round(values, found))
    is_there = "final" not in result or result["final"] is not None
    final = _final(everything, rounds) if is_there else None
    ends = [a for r in rounds for a in r.artifacts.values()] + ([final] if final else [])
    setup = (result.get("setup") or {}).get("artifacts") or {}
    ends = ends or [by_name[name] for name in setup.values() if name in by_name]
    used = tuple(with_ancestors(ends, everything))
    return Run(
        folder,
        result,
        tuple(rounds),
        None if final is None else read_evaluation(final),
        used,
        _labels(used, rounds, final),
        tuple(dict.fromkeys(problems)),
        _suites(result, folder / RESULT),
    )


def read_evaluation(artifact: Artifact) -> Evaluation | None:
    """What a blind evaluation found; None where the artifact holds none."""
    if not (artifact.folder / EVALUATION).is_file():
        return None
    samples = (_parse(Sample, row, artifact.folder / SAMPLES) for row in read_samples(artifact.folder))
    config = artifact.manifest.config
    evaluate = config.get("evaluate") if isinstance(config, Mapping) else None
    sampling = evaluate.get("sampling") if isinstance(evaluate, Mapping) else None
    return Evaluation(EvaluationReport.read(artifact.folder), tuple(samples), dict(sampling or {}))


def metrics_of(artifact: Artifact | None) -> Metrics:
    """What a stage logged; empty where it is not there."""
    return () if artifact is None else tuple(read_metrics(artifact.folder))


def _round(values: Mapping[str, Any], artifacts: Mapping[str, Artifact]) -> Round:
    reward, evaluation = artifacts.get("reward"), artifacts.get("evaluate")
    report = None
    if reward is not None and (reward.folder / "report.json").is_file():
        path = reward.folder / "report.json"
        report = _parse(RewardReport, _known(RewardReport, _json(path)), path)
    return Round(
        number=int(values.get("round", 1)),
        judgments=values.get("judgments"),
        artifacts=artifacts,
        reward=report,
        evaluation=None if evaluation is None else read_evaluation(evaluation),
    )


def _final(everything: Iterable[Artifact], rounds: list[Round]) -> Artifact | None:
    """The evaluation of the last policy against the one that the first round started from."""
    if len(rounds) < 2 or "optimize" not in rounds[0].artifacts:
        return None
    passed = [one for one in rounds if one.is_promoted]
    if not passed or "optimize" not in passed[-1].artifacts:
        return None
    last = passed[-1].artifacts["optimize"].key
    first = rounds[0].artifacts["optimize"].manifest.parents.get("start")
    fitting = [
        a for a in everything if (a.manifest.parents.get("policy"), a.manifest.parents.get("baseline")) == (last, first)
    ]
    return fitting[-1] if fitting else None


def _suites(result: Mapping[str, Any], path: Path) -> dict[str, SuiteReport]:
    """The measures of result.json with slices, null baselines and notes; of the final comparison, or the last round."""
    rounds: list[Mapping[str, Any]] = list(result.get("rounds") or ())
    values: Mapping[str, Any] = result.get("final") or (rounds[-1] if rounds else {})
    measures = values.get("suites") or {}
    return {
        title: _parse(SuiteReport, {"measures": measures.get(title, {}), **details}, path)
        for title, details in (values.get("suite_details") or {}).items()
    }


def _labels(used: Iterable[Artifact], rounds: list[Round], final: Artifact | None) -> dict[str, str]:
    labels = {}
    for artifact in used:
        labels[artifact.key] = artifact.manifest.title
    for one in rounds:
        labels |= {a.key: f"round {one.number} {stage}" for stage, a in one.artifacts.items()}
    return labels | ({final.key: "final evaluate"} if final else {})


def _known(model: type[Record], values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in model.model_fields if name in values}


def _parse(model: type[Model], values: Any, path: Path) -> Model:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise DataError(f"{first_problem(error, model)}; make it again with: assent run", path=path) from None


def _json(path: Path) -> dict[str, Any]:
    return dict(_loads(path.read_text(encoding="utf-8"), path, None))


def _loads(text: str, path: Path, line: int | None) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"not JSON ({error.msg}); make it again with: assent run", path=path, line=line) from None
