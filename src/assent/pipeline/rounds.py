"""A run: gather, base, SFT, revisions, then rounds of sample → collect → reward → optimize → evaluate: the map."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, assert_never

from assent.artifacts.identity import FromOutside, hash_whole, resolved
from assent.artifacts.jsonl import Records, read_records
from assent.artifacts.round import STAGES
from assent.artifacts.stage import Runner
from assent.artifacts.store import Artifact
from assent.core.hashing import hash_json
from assent.core.types import Prompt
from assent.data.beside import read_beside
from assent.data.heldout import FEWEST_PROMPTS
from assent.evaluation.gate.config import GateConfig
from assent.evaluation.outcomes import OF_REWARD
from assent.feedback.records.queue import Queue
from assent.lab.language import language
from assent.pipeline.beforehand import refuse_unread
from assent.pipeline.config import FileData, LabData, RunConfig, ScratchBase
from assent.pipeline.decisions import decisions_identity
from assent.pipeline.erasures import erased_judgments, erased_snapshots, evaluation_project
from assent.pipeline.imported import IMPORTED, imported_marks_hash, imported_now, refuse_unusable
from assent.pipeline.judges import evaluation_judges, judges_of, queue_now
from assent.pipeline.late import late_identity
from assent.pipeline.limits import evaluation_rooms, row_limits, training_rooms
from assent.pipeline.places import sources_of
from assent.pipeline.row_check import RowReader, Template
from assent.pipeline.stages.declared import (
    run_base,
    run_collect,
    run_evaluate,
    run_fit_reward,
    run_gate,
    run_gather,
    run_measure,
    run_optimize,
    run_revise,
    run_sample,
    run_sft,
)
from assent.pipeline.stages.settings import (
    BaseStage,
    CollectStage,
    EvaluateStage,
    GateStage,
    GatherStage,
    MeasureStage,
    OptimizeStage,
    Part,
    ReviseStage,
    RewardStage,
    SampleStage,
    SFTStage,
    only,
)
from assent.raters.config import PeopleConfig

FILES_VERSION = "3"
"""Raised where the same files are read or split otherwise than before; the lab's data have the version of the stage."""


@dataclass(frozen=True)
class Start:
    """What every round builds on."""

    data: Mapping[str, Artifact]
    """The parts that were gathered: prompts, and where the run uses them corpus, demonstrations, comparisons."""
    base: Artifact
    policy: Artifact
    """The fine-tuned policy; the base itself in a run without SFT."""
    measured: Mapping[str, Artifact] = field(default_factory=dict)
    """What suites found of it, by their titles."""
    tuned: Mapping[str, Artifact] = field(default_factory=dict)
    """What was made between base and policy, by stage, in order."""


@dataclass(frozen=True)
class RoundResult:
    """The artifacts of one round."""

    number: int
    start: Artifact
    samples: Artifact | None
    judgments: Artifact | None
    reward: Artifact | None
    policy: Artifact
    evaluation: Artifact | None
    measured: Mapping[str, Artifact] = field(default_factory=dict)
    """What suites found of its policy and of its reward model, by their titles."""
    measured_before: Mapping[str, Artifact] = field(default_factory=dict)
    """The same of what it started from."""
    gate: Artifact | None = None
    """What its gate said, with the dossier."""

    @property
    def is_promoted(self) -> bool:
        """Whether later rounds start from its policy: always without a gate. A plan takes it that gates pass."""
        return self.gate is None or not self.gate.is_made or self.gate.notes["verdict"] == "pass"

    @property
    def stages(self) -> dict[str, Artifact]:
        """The artifacts by stage, in order; those that the round did without are missing."""
        found = {stage.name: getattr(self, stage.field) for stage in STAGES}
        if self.policy.key == self.start.key:  # a run without a method
            found["optimize"] = None
        return {name: artifact for name, artifact in found.items() if artifact is not None}


@dataclass(frozen=True)
class RunResult:
    """The artifacts of a run."""

    start: Start
    rounds: tuple[RoundResult, ...]
    final: Artifact | None
    """The last promoted policy against the fine-tuned one, where more than one was promoted."""

    @property
    def promoted(self) -> tuple[RoundResult, ...]:
        """Rounds whose policy passed its gate; all where there is none."""
        return promoted(self.rounds)


def run_all(run: Runner, config: RunConfig) -> RunResult:
    """Run everything that is not done yet. Raises AwaitingJudgments where a round waits for people."""
    start = prepare(run, config)
    rounds: list[RoundResult] = []
    for number in range(1, config.rounds + 1 if config.has_rounds else 1):
        with run.within("round", number):
            rounds.append(run_round(run, config, start, rounds))
    final = None
    kept = promoted(rounds)
    if len(kept) > 1:
        with run.within("final"):
            stage = EvaluateStage.of(config, None, like=projects_before(config, rounds))
            last = kept[-1]
            final = evaluate(run, stage, start, last.policy, start.policy, last.reward)
    return RunResult(start, tuple(rounds), final)


def promoted(rounds: Sequence[RoundResult]) -> tuple[RoundResult, ...]:
    """Those whose policy passed its gate; all where there is none."""
    return tuple(one for one in rounds if one.is_promoted)


def prepare(run: Runner, config: RunConfig) -> Start:
    """Gather the data, make the base model, fine-tune it."""
    data = gather_all(run, config)
    base = run(run_base, BaseStage.of(config), corpus=data.get("corpus"))
    if not run.planning:
        refuse_no_room(config, Template.at(base.file("policy"), config.model), data["prompts"])
        refuse_unusable(run.root, config, base)
    policy, tuned = base, {}
    if config.sft is not None:
        policy = run(run_sft, SFTStage.of(config, config.sft), base=base, demonstrations=data["demonstrations"])
        tuned["sft"] = policy
    if config.constitution is not None:
        with run.within("constitution"):
            revised = run(
                run_revise, ReviseStage.of(config, config.constitution), policy=policy, prompts=data["prompts"]
            )
            tuned["revise"] = revised
            if config.constitution.sft is not None:
                stage = SFTStage.of(config, config.constitution.sft)
                policy = tuned["sft on revisions"] = run(run_sft, stage, base=policy, demonstrations=revised)
    return Start(data, base, policy, measure_all(run, config, policy, None), tuned)


def measure_all(
    run: Runner, config: RunConfig, policy: Artifact | None, reward: Artifact | None
) -> dict[str, Artifact]:
    """What every suite finds of a policy, and of a reward model where it can be asked that; None: that is not there."""
    found = {}
    for title, stage in MeasureStage.all_of(config).items():
        abilities = stage.abilities
        with run.within("suite", title):
            if policy is not None and abilities & {"answers", "likelihoods"}:
                found[title] = run(run_measure, stage, extra=stage.beside, policy=policy)
            if reward is not None and "scores" in abilities:
                found[title + OF_REWARD] = run(run_measure, stage, extra=stage.beside, reward=reward)
    return found


def run_round(run: Runner, config: RunConfig, start: Start, earlier: list[RoundResult]) -> RoundResult:
    """One round, from the newest promoted policy."""
    number, kept = len(earlier) + 1, promoted(earlier)
    policy = kept[-1].policy if kept else start.policy
    previous = (kept[-1].start if kept else None) if config.sample.previous_share else None
    samples = None
    if config.collect is not None:
        asked = start.data["prompts"]
        known = tuple(one.reward for one in earlier if one.reward is not None)
        advisors = known if config.sample.choose == "disagreement" else ()
        stage = SampleStage.of(config, number)
        samples = run(run_sample, stage, policy=policy, prompts=asked, previous=previous, advisors=advisors or None)
    judgments = None
    if samples is not None or config.reads_rankings:
        judgments = run(
            run_collect,
            CollectStage.of(config, number, like=projects_before(config, earlier)),
            extra=judgments_identity(config, samples, is_first=not earlier),
            samples=samples,
            earlier=earlier[-1].judgments if earlier else None,
            given=start.data.get("comparisons") if not earlier else None,
            advisor=earlier[-1].reward if earlier and asks_people(config) else None,
            held_out=start.data["prompts"] if isinstance(config.data, FileData) and not earlier else None,
            reader=start.base if config.store.skip_bad and not earlier else None,
        )
    reward = None
    if config.reward is not None and config.fits_reward:
        fitted = RewardStage.of(config, config.reward)
        reward = run(run_fit_reward, fitted, extra=fitted.revised(), start=policy, judgments=judgments)
    gold = None
    if config.reward is not None and "gold" in config.method.needs:
        with run.within("gold"):  # its own seed: another head, another order
            held = RewardStage.of(config, config.reward, is_gold=True)
            gold = run(run_fit_reward, held, extra=held.revised(), start=policy, judgments=judgments)
    there = {**start.data, "judgments": judgments, "reward": reward, "gold": gold}
    wanted: dict[str, Any] = {one: there[one] for one in config.method.wants}
    better = policy
    if config.optimize is not None:
        moving = OptimizeStage.of(config)
        better = run(run_optimize, moving, extra=moving.revised(), start=policy, **wanted)
    judged = EvaluateStage.of(config, number, like=projects_before(config, earlier, samples))
    evaluation = evaluate(run, judged, start, better, policy, reward)
    before = kept[-1].measured if kept else start.measured
    is_moved = better is not policy  # what suites found of a policy that nothing moved is known
    measured = {**({} if is_moved else before), **measure_all(run, config, better if is_moved else None, reward)}
    done = RoundResult(number, policy, samples, judgments, reward, better, evaluation, measured, before)
    return done if config.gate is None else dataclasses.replace(done, gate=ask_gate(run, config.gate, done))


def ask_gate(run: Runner, gate: GateConfig, found: RoundResult) -> Artifact:
    """Whether a round's policy takes the place of the one that it started from."""
    return run(
        run_gate,
        GateStage(gate=gate),
        policy=found.policy,
        start=found.start,
        evaluation=found.evaluation,
        reward=found.reward,
        measured=tuple(found.measured.values()),
        measured_before=tuple(found.measured_before.values()),
    )


def evaluate(
    run: Runner,
    stage: EvaluateStage | None,
    start: Start,
    policy: Artifact,
    baseline: Artifact,
    reward: Artifact | None,
) -> Artifact | None:
    """Blind comparison of two policies; None in a run that evaluates nothing."""
    if stage is None:
        return None
    asked = Queue(evaluation_project(policy.name, baseline.name), "evaluation")
    judges = evaluation_judges(stage.raters, reward, seed=stage.people_seed)
    queue = queue_now(stage.store, asked, judges)
    extra = erased_judgments(stage.store, queue) | decisions_identity(stage.decisions, stage.store, [queue])
    extra |= late_identity(stage.store, queue)
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


def gather_all(run: Runner, config: RunConfig) -> dict[str, Artifact]:
    """Freeze the parts of the data that this run uses."""
    wanted: list[Part] = ["prompts"]
    if isinstance(config.base, ScratchBase):
        wanted.append("corpus")
    if config.sft is not None or "demonstrations" in config.method.needs:
        wanted.append("demonstrations")
    if isinstance(config.data, FileData) and config.data.comparisons:
        wanted.append("comparisons")
    found: dict[str, Artifact] = {}
    is_lab = isinstance(config.data, LabData)
    for part in wanted:
        data = only(part, config.data)
        asked = config.evaluate.prompts if part == "prompts" and is_lab and config.evaluate is not None else 0
        template = Template.of(config)
        # Of a base from scratch no length is known before its tokenizer is made, from these very rows.
        limits = () if isinstance(config.base, ScratchBase) else tuple(row_limits(config, part))
        terms = config.method.reading() if part == "prompts" else ()
        stage = GatherStage(part=part, data=data, eval_prompts=asked, template=template, limits=limits, terms=terms)
        if run.planning and isinstance(data, FileData):
            refuse_unread(data)
        with run.within(part):
            # The lab's splits are disjoint by construction; of files, every part loses the evaluation prompts.
            held_out = None if is_lab else found.get("prompts")
            known = data_identity(data) | (None if template is None or stage.passed else template.identity())
            found[part] = run(run_gather, stage, extra=known, held_out=held_out)
        if part == "prompts" and template is not None and run.steps[-1].state == "ran":
            refuse_no_room(config, template, found[part])
    return found


def refuse_no_room(config: RunConfig, template: Template, prompts: Artifact) -> None:
    """Raise DataError where too few prompts leave room for the answers that any stage of the run wants to them."""
    reader = RowReader.of(template)
    asked = Records(prompts.file("prompts.jsonl"), Prompt)
    reader.refuse_no_room(asked, training_rooms(config), "prompts", fewest=1)
    held_out = read_records(prompts.file("eval.jsonl"), Prompt)
    reader.refuse_no_room(held_out, evaluation_rooms(config), "evaluation prompts", fewest=FEWEST_PROMPTS)


def data_identity(data: LabData | FileData) -> FromOutside:
    """Hashes of what no field of the data names: the lab's wordings, and files that a format reads beside the named."""
    match data:
        case LabData():
            return FromOutside.of({"lab": language().hash})
        case FileData():
            sources = [one for part in sources_of(data).values() for one in part]
            beside = {str(path): hash_whole(path) for source in sources for path in read_beside(source)}
            return FromOutside.of({"reading": FILES_VERSION}) | FromOutside.numbered("beside", beside)
        case _ as never:
            assert_never(never)


def judgments_identity(config: RunConfig, samples: Artifact | None, *, is_first: bool) -> FromOutside:
    """Hashes of what enters from the feedback store: imported judgments, and what was erased of the round's own."""
    imported = imported_now(config.store) if is_first else FromOutside({}, {})
    if is_first and config.method.reads_marks:
        imported |= {"imported marks": imported_marks_hash(config.store)}
    if is_first and config.store.skip_bad:
        strict = [resolved(one) for one in row_limits(config, "comparisons") if one.is_strict]
        imported |= {"rows fit": hash_json(strict)}
    queues = [IMPORTED] if is_first else []
    if samples is None or config.collect is None:
        return imported | decisions_identity(config.decisions, config.store, queues)
    judges = judges_of(config.collect.raters, role="train", seed=config.seed)
    queue = queue_now(config.store, Queue(samples.name), judges)
    decided = decisions_identity(config.decisions, config.store, [*queues, queue])
    return imported | erased_snapshots(config.store, queue) | decided | late_identity(config.store, queue)
