"""A run: gather, base, SFT, then rounds of sample → collect → reward → optimize → evaluate. This file is the map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from assent.artifacts.identity import hash_whole
from assent.artifacts.round import STAGES
from assent.artifacts.stage import Runner
from assent.artifacts.store import Artifact
from assent.data.beside import read_beside
from assent.feedback.records.queue import Queue
from assent.lab.language import language
from assent.pipeline.config import FileData, LabData, RunConfig, ScratchBase
from assent.pipeline.decisions import decisions_identity
from assent.pipeline.erasures import erased_judgments, erased_snapshots, evaluation_project
from assent.pipeline.judges import evaluation_judges, judges_of, queue_now
from assent.pipeline.judging import IMPORTED
from assent.pipeline.places import sources_of
from assent.pipeline.row_check import Template
from assent.pipeline.stages.base import BaseStage, run_base
from assent.pipeline.stages.collect import CollectStage, imported_hash, run_collect
from assent.pipeline.stages.evaluate import EvaluateStage, run_evaluate
from assent.pipeline.stages.fit_reward import RewardStage, run_fit_reward
from assent.pipeline.stages.gather import GatherStage, Part, only, run_gather
from assent.pipeline.stages.optimize import OptimizeStage, run_optimize
from assent.pipeline.stages.sample import SampleStage, run_sample
from assent.pipeline.stages.sft import SFTStage, run_sft
from assent.raters.config import PeopleConfig

FILES_VERSION = "2"
"""Raised where the same files are read or split otherwise than before; the lab's data have the version of the stage."""


@dataclass(frozen=True)
class Start:
    """What every round builds on."""

    data: Mapping[str, Artifact]
    """The parts that were gathered: prompts, and where the run uses them corpus, demonstrations, comparisons."""
    base: Artifact
    policy: Artifact
    """The fine-tuned policy; the base itself in a run without SFT."""


@dataclass(frozen=True)
class RoundResult:
    """The artifacts of one round."""

    number: int
    start: Artifact
    samples: Artifact | None
    judgments: Artifact
    reward: Artifact | None
    policy: Artifact
    evaluation: Artifact

    @property
    def stages(self) -> dict[str, Artifact]:
        """The artifacts by stage, in order; those that the round did without are missing."""
        found = {stage.name: getattr(self, stage.field) for stage in STAGES}
        return {name: artifact for name, artifact in found.items() if artifact is not None}


@dataclass(frozen=True)
class RunResult:
    """The artifacts of a run."""

    start: Start
    rounds: tuple[RoundResult, ...]
    final: Artifact | None
    """The last policy against the fine-tuned one, where a run has more than one round."""


def run_all(run: Runner, config: RunConfig) -> RunResult:
    """Run everything that is not done yet. Raises AwaitingJudgments where a round waits for people."""
    start = prepare(run, config)
    rounds: list[RoundResult] = []
    for number in range(1, config.rounds + 1):
        with run.within("round", number):
            rounds.append(run_round(run, config, start, rounds))
    final = None
    if len(rounds) > 1:
        with run.within("final"):
            last, like = rounds[-1], projects_before(config, rounds)
            final = evaluate(run, config, start, last.policy, start.policy, last.reward, like=like)
    return RunResult(start, tuple(rounds), final)


def prepare(run: Runner, config: RunConfig) -> Start:
    """Gather the data, make the base model, fine-tune it."""
    data = gather_all(run, config)
    base = run(run_base, BaseStage.of(config), corpus=data.get("corpus"))
    policy = base
    if config.sft is not None:
        policy = run(run_sft, SFTStage.of(config, config.sft), base=base, demonstrations=data["demonstrations"])
    return Start(data, base, policy)


def run_round(run: Runner, config: RunConfig, start: Start, earlier: list[RoundResult]) -> RoundResult:
    """One round, from the newest policy."""
    number = len(earlier) + 1
    policy = earlier[-1].policy if earlier else start.policy
    previous = (earlier[-1].start if earlier else None) if config.sample.previous_share else None
    samples = None
    if config.collect is not None:
        asked = start.data["prompts"]
        samples = run(run_sample, SampleStage.of(config, number), policy=policy, prompts=asked, previous=previous)
    judgments = run(
        run_collect,
        CollectStage.of(config, number, like=projects_before(config, earlier)),
        extra=judgments_identity(config, samples, is_first=not earlier),
        samples=samples,
        earlier=earlier[-1].judgments if earlier else None,
        given=start.data.get("comparisons") if not earlier else None,
        advisor=earlier[-1].reward if earlier and asks_people(config) else None,
        held_out=start.data["prompts"] if isinstance(config.data, FileData) and not earlier else None,
    )
    reward = None
    if needs_reward(config):
        fitted = RewardStage.of(config)
        reward = run(run_fit_reward, fitted, extra=fitted.revised(), start=policy, judgments=judgments)
    there = {**start.data, "judgments": judgments, "reward": reward}
    needed: dict[str, Any] = {need: there[need] for need in config.optimize.needs}
    better = run(run_optimize, OptimizeStage.of(config), start=policy, **needed)
    evaluation = evaluate(run, config, start, better, policy, reward, like=projects_before(config, earlier, samples))
    return RoundResult(number, policy, samples, judgments, reward, better, evaluation)


def evaluate(
    run: Runner,
    config: RunConfig,
    start: Start,
    policy: Artifact,
    baseline: Artifact,
    reward: Artifact | None,
    *,
    like: tuple[str, ...] = (),
) -> Artifact:
    """Blind comparison of two policies."""
    stage = EvaluateStage.of(config, like=like)
    asked = Queue(evaluation_project(policy.name, baseline.name), "evaluation")
    judges = evaluation_judges(stage.raters, reward, seed=config.seed)
    queue = queue_now(config.store, asked, judges)
    extra = erased_judgments(config.store, queue) | decisions_identity(config.decisions, config.store, [queue])
    prompts = start.data["prompts"]
    return run(run_evaluate, stage, extra=extra, policy=policy, baseline=baseline, prompts=prompts, reward=reward)


def asks_people(config: RunConfig) -> bool:
    """Whether people rank the answers."""
    return config.collect is not None and isinstance(config.collect.raters, PeopleConfig)


def projects_before(
    config: RunConfig, earlier: Sequence[RoundResult], samples: Artifact | None = None
) -> tuple[str, ...]:
    """Projects of the store that a new one of this run is made like, best first; at last the one of the run's name."""
    newest = [samples, *(r.samples for r in reversed(earlier))]
    return (*(s.name for s in newest if s is not None), config.name)


def needs_reward(config: RunConfig) -> bool:
    """Where the method learns from one, and where evaluation has no other judge."""
    return "reward" in config.optimize.needs or config.collect is None


def gather_all(run: Runner, config: RunConfig) -> dict[str, Artifact]:
    """Freeze the parts of the data that this run uses."""
    wanted: list[Part] = ["prompts"]
    if isinstance(config.base, ScratchBase):
        wanted.append("corpus")
    if config.sft is not None or "demonstrations" in config.optimize.needs:
        wanted.append("demonstrations")
    if isinstance(config.data, FileData) and config.data.comparisons:
        wanted.append("comparisons")
    found: dict[str, Artifact] = {}
    is_lab = isinstance(config.data, LabData)
    for part in wanted:
        data = only(part, config.data)
        asked = config.evaluate.prompts if part == "prompts" and is_lab else 0
        # Plain text for pre-training has no template to pass.
        template = None if part == "corpus" else Template.of(config)
        stage = GatherStage(part=part, data=data, eval_prompts=asked, template=template)
        with run.within(part):
            # The lab's splits are disjoint by construction; of files, every part loses the evaluation prompts.
            held_out = None if is_lab else found.get("prompts")
            known = data_identity(data) | ({} if template is None else template.identity())
            found[part] = run(run_gather, stage, extra=known, held_out=held_out)
    return found


def data_identity(data: LabData | FileData) -> dict[str, str]:
    """Hashes of what no field of the data names: the lab's wordings, and files that a format reads beside the named."""
    match data:
        case LabData():
            return {"lab": language().hash}
        case FileData():
            sources = [one for part in sources_of(data).values() for one in part]
            beside = {str(path): hash_whole(path) for source in sources for path in read_beside(source)}
            return {"reading": FILES_VERSION, **beside}
        case _ as never:
            assert_never(never)


def judgments_identity(config: RunConfig, samples: Artifact | None, *, is_first: bool) -> dict[str, str]:
    """Hashes of what enters from the feedback store: imported judgments, and what was erased of the round's own."""
    imported = {"imported": imported_hash(config.store)} if is_first else {}
    queues = [IMPORTED] if is_first else []
    if samples is None or config.collect is None:
        return imported | decisions_identity(config.decisions, config.store, queues)
    judges = judges_of(config.collect.raters, role="train", seed=config.seed)
    queue = queue_now(config.store, Queue(samples.name), judges)
    decided = decisions_identity(config.decisions, config.store, [*queues, queue])
    return imported | erased_snapshots(config.store, queue) | decided
