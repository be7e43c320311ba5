"""The gate of a run: what it may name, known before anything is trained, and the evidence that artifacts give it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from assent.artifacts.find import store_at
from assent.artifacts.lineage import with_ancestors
from assent.artifacts.store import Artifact
from assent.core.errors import ConfigError
from assent.evaluation.catalog import suite_of
from assent.evaluation.gate.config import JudgeBar
from assent.evaluation.gate.decide import refuse_line
from assent.evaluation.gate.evidence import ANSWERS, LAB, REWARD, WINRATE, Compared, Evidence, kinds_of, of_evaluation
from assent.evaluation.gate.judge import PEOPLE
from assent.evaluation.outcomes import OF_REWARD, OUTCOMES, Found, Kind
from assent.evaluation.report import EvaluationReport
from assent.pipeline.config import RunConfig
from assent.pipeline.judges import judges_its_own


def refuse_gate(config: RunConfig) -> None:
    """Raise ConfigError where the run's gate could never pass: it names what the run does not measure, or its judge
    does not count."""
    if config.gate is None:
        return
    kinds = measured_kinds(config)
    for line in config.gate.lines:
        if line.suite not in kinds:
            raise ConfigError(
                f"gate: {line.measure}: this run does not measure {line.suite}, and what is not measured fails; it"
                f" measures {', '.join(sorted(kinds)) or 'nothing'}; add the suite to `suites:`, or leave the line out"
            )
        refuse_line(line, *kinds[line.suite])
    if any(line.suite == WINRATE for line in config.gate.lines):
        _refuse_judge(config, config.gate.judge)


def measured_kinds(config: RunConfig) -> dict[str, tuple[str, Mapping[str, Kind]]]:
    """Titles of all suites that a run measures, with their kinds and measures."""
    found = {}
    for one in config.suites:
        suite = suite_of(one)
        if suite.abilities & {"answers", "likelihoods"}:
            found[one.title] = suite.kind, suite.measures(one)
        if config.fits_reward and "scores" in suite.abilities:
            found[one.title + OF_REWARD] = suite.kind, suite.measures(one)
    own = [REWARD] if config.fits_reward else []
    if config.evaluate is not None:
        own += [ANSWERS, *([LAB] if config.lab is not None else [])]
        own += [WINRATE] if config.judges is not None or config.fits_reward else []
    return found | {name: (name, kinds_of(name)) for name in own}


def _refuse_judge(config: RunConfig, bar: JudgeBar) -> None:
    raters = config.judges
    if judges_its_own(raters, config.method):
        raise ConfigError(
            "gate: the run's judge is what its policies are optimized for, so its verdicts do not count; set"
            " evaluate.raters to people or another judge, or leave winrate out of the gate"
        )
    kind = "reward_model" if raters is None else raters.kind
    if kind not in bar.kinds:
        raise ConfigError(f"gate: verdicts of {kind} do not count; judge.kinds is {', '.join(bar.kinds)}")
    if kind not in PEOPLE and (config.evaluate is None or config.evaluate.judge_record is None):
        raise ConfigError(
            f"gate: the {kind} was never held against people, so its verdicts do not count; do so with `assent judge`,"
            " and give its folder as evaluate.judge_record"
        )


def evidence_of(
    policy: Artifact,
    before: Artifact,
    evaluation: Artifact | None,
    reward: Artifact | None,
    measured: Sequence[Artifact],
    measured_before: Sequence[Artifact],
) -> Evidence:
    """What a run found of two of its policies, and of the reward model of the newer.

    Raises DataError where both were not asked the same.
    """
    suites, report = ({}, EvaluationReport()) if evaluation is None else of_evaluation(evaluation.folder)
    old = {title_of(one): one for one in measured_before}
    for one in measured:
        earlier = old.get(title := title_of(one))
        found = with_kind(Found.read(one.folder), one)
        suites[title] = Compared(found, None if earlier is None else with_kind(Found.read(earlier.folder), earlier))
    if reward is not None and (reward.folder / OUTCOMES).is_file():
        suites[REWARD] = Compared(Found.read(reward.folder))
    used = [one for one in (policy, before, evaluation, reward, *measured, *measured_before) if one is not None]
    return Evidence(policy.name, before.name, suites, report.judge, report.known_judge, facts_of(used))


def title_of(measurement: Artifact) -> str:
    """Title of the suite that a measurement is of."""
    suite = measurement.manifest.config["suite"]
    return str(suite["name"] or suite["kind"]) + (OF_REWARD if "reward" in measurement.manifest.parents else "")


def with_kind(found: Found, measurement: Artifact) -> Found:
    """The findings with the kind of their suite, which older ones did not write down."""
    return found.model_copy(update={"kind": str(measurement.manifest.config["suite"]["kind"])})


def facts_of(used: Sequence[Artifact]) -> dict[str, Any]:
    """What a verdict rests on: settings, seeds, and hashes of data and weights of everything that led to it."""
    everything = with_ancestors(used, store_at(used[0].folder.parent).all())
    return {"artifacts": {one.name: _facts(one) for one in everything}}


def _facts(one: Artifact) -> Mapping[str, Any]:
    said = one.manifest
    return {
        "key": said.key,
        "stage": f"{said.title} v{said.version}",
        "seed": said.seed,
        "settings": said.config,
        "inputs": said.parents,
        "from outside": said.extra,
        "files": {name: entry.sha256 for name, entry in said.files.items()},
        "created": said.created,
        "assent": f"{said.package} {said.source[:12]}".strip(),
    }
