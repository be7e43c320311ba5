"""`assent profile`: make profiles, count what they rest on, fit them, and publish what passes."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping

from assent.artifacts.find import find_artifact, store_at
from assent.artifacts.stage import Runner
from assent.artifacts.store import Artifact
from assent.core import seeds
from assent.core.errors import AwaitingJudgments, ConfigError, UserError
from assent.evaluation.config import EvaluateConfig
from assent.evaluation.gate.config import GateConfig, Keep
from assent.evaluation.gate.decide import Decision, decide, line_in_words, wanted
from assent.evaluation.gate.evidence import Compared, Evidence, of_evaluation
from assent.evaluation.report import EvaluationReport
from assent.feedback.config import StoreConfig
from assent.feedback.store import Store
from assent.feedback.terminal import note
from assent.pipeline.commands.evaluate import EVALUATIONS
from assent.pipeline.commands.gate import Subject
from assent.pipeline.gating import facts_of
from assent.pipeline.passport import Passport
from assent.pipeline.profile_line import Line, Place, loading, optimizing
from assent.pipeline.stages.declared import run_optimize
from assent.pipeline.stages.profile_evaluation import (
    ProfileEvaluationStage,
    ProfilePromptsStage,
    run_profile_evaluation,
    run_profile_prompts,
)
from assent.pipeline.stages.profile_rankings import ProfileRankingsStage, run_profile_rankings
from assent.pipeline.stages.profile_reward import (
    ProfileRewardStage,
    VotesStage,
    hash_of,
    read_trial,
    run_profile_reward,
    run_votes,
    votes_in,
)
from assent.profiles.audience import counted, members_of
from assent.profiles.config import Evidence as Counted
from assent.profiles.config import FloorLine, Publication
from assent.profiles.tree import Tree, new_profile, read_tree
from assent.profiles.trial import OffsetTrial


def new(place: Place, name: str, *, parent: str | None, audience: Mapping[str, str]) -> Iterator[str]:
    """Write a new profile's file."""
    path = new_profile(place.folder, name, parent=parent, audience=audience)
    yield f"{path}: say there what the audience wants; how much evidence there is: assent profile list"


def listed(place: Place, *, today: datetime.date) -> Iterator[str]:
    """Every profile with its state, and how much evidence of its audience the store holds."""
    tree = read_tree(place.folder)
    store = place.store_of(None)
    _note(store, "profile list")
    comparisons, raters = votes_in(store, place.projects_of(store))
    for name in sorted(tree.profiles, key=lambda one: [p.id for p in tree.descent(one)]):
        found = counted(comparisons, members_of(raters, tree.audience(name)), today=today)
        depth = "  " * (len(tree.descent(name)) - 1)
        yield f"{depth}{name}: {tree.state(name, today)}; {in_words(found)}"


def in_words(found: Counted) -> str:
    """Counts, and what they allow."""
    allows = {
        "principles": "principles only",
        "shared": "the shared reward with an offset, and an adapter",
        "own": "a reward head and an adapter of its own",
    }
    return f"{found.labels} labels of {found.raters} raters on {found.prompts} prompts: {allows[found.level]}"


def fit(place: Place, name: str, *, start: str | None, today: datetime.date) -> Iterator[str]:
    """Count, fit the offset, put it to its trial, and train the adapter where it passes; the profile says what is made.

    Raises UserError where something it needs is not there.
    """
    line, store = _begun(place, "profile fit", name, start, today=today)
    projects = place.projects_of(store)
    comparisons, raters = votes_in(store, projects)
    evidence = counted(comparisons, members_of(raters, line.tree.audience(name)), today=today)
    yield f"{name}: {in_words(evidence)}"
    if evidence.level == "principles":
        line.tree.write(name, evidence=evidence, reward=None, policy=str(line.policy.folder), published=None)
        yield f"an offset wants 100 labels of 5 raters or more; publish the principles: assent profile publish {name}"
        return
    with line.runner() as run:
        said = {"votes": hash_of(comparisons, raters)}
        votes = run(run_votes, VotesStage(projects=projects, store=store), extra=said)
        config = ProfileRewardStage(
            audience=line.tree.audience(name),
            parents=line.tree.audience(str(line.profile.parent)),
            level=evidence.level,
            held_out=None if line.config.reward is None else line.config.reward.eval_share,
            model=loading(line.config),
            compute=line.config.compute,
        )
        reward = run(run_profile_reward, config, parent=line.reward, votes=votes, learned=line.learned)
        trial = read_trial(reward)
        yield from trial_in_words(trial)
        policy = _adapter(run, line, votes=votes, reward=reward) if trial.passes else None
    line.tree.write(
        name,
        evidence=evidence,
        reward=str(reward.folder),
        policy=None if policy is None else str(policy.folder),
        published=None,
    )
    if policy is None:
        yield "no adapter is trained for an offset that does not pass"
    else:
        yield f"adapter in {policy.folder}; have the audience compare it: assent profile publish {name}"


def publish(place: Place, name: str, *, start: str | None, today: datetime.date) -> Iterator[str]:
    """Ask everything that a publication rests on, write the passport, and publish where all of it holds.

    The last line is "published" or "not published". Raises AwaitingJudgments where people have to compare first.
    """
    line, store = _begun(place, "profile publish", name, start, today=today)
    evidence = line.profile.evidence
    if evidence is None:
        raise UserError(
            f"{line.tree.path(name)}: nothing is counted yet: assent profile fit {name} --run runs/x/round-2"
        )
    trial = None if line.profile.reward is None else read_trial(find_artifact(line.profile.reward))
    reasons = list(trial.reasons) if trial is not None else []
    wins, held, left_out = None, None, 0
    if not reasons:
        if line.profile.policy is None:
            raise UserError(f"{line.tree.path(name)}: there is no policy yet: assent profile fit {name}")
        policy = find_artifact(line.profile.policy)
        found = compared(line, store, policy, line.policy)
        report = EvaluationReport.read(found.folder)
        wins, left_out = report.win_rate, int(found.notes["verdicts_left_out"])
        held = floor_of(line.tree.floor(name), found, policy, line.policy)
        reasons += _unmet(evidence, report, held)
    tree = line.tree
    if not reasons:
        tree = tree.write(name, published=Publication(on=today, of=tree.hash(name)))
    else:
        tree = tree.write(name, published=None)
    passport = _passport(tree, name, trial).model_copy(
        update={"wins": wins, "left_out": left_out, "floor_held": held, "reasons": tuple(reasons)}
    )
    yield f"passport: {passport.write(place.folder)}"
    yield from (f"  {one}" for one in reasons)
    yield "published" if not reasons else "not published"


def _begun(
    place: Place, command: str, name: str, start: str | None, *, today: datetime.date
) -> tuple[Line, StoreConfig]:
    """The profile in its line and the store, whose log keeps that the command was given."""
    if place.store is not None:
        _note(place.store_of(None), command)
    line = Line.of(place, name, start, today=today)
    store = place.store_of(line.config)
    if place.store is None:
        _note(store, command)
    return line, store


def _note(store: StoreConfig, command: str) -> None:
    with Store.open(store.url) as opened:
        note(opened.events, command)


def trial_in_words(trial: OffsetTrial) -> Iterator[str]:
    """What was found of an offset, for people."""
    yield f"learned from {trial.learned}, beside {trial.others} of others; held out {trial.tested}"
    if trial.p is not None:
        how = "all" if trial.is_exact else "random"
        yield f"permutations over raters: p = {trial.p:.4f} ({trial.permutations} {how})"
    if trial.gain is not None and trial.parents_loss is not None:
        yield f"held-out gain {trial.gain} nats a vote, accuracy {trial.accuracy}; {trial.smallest:.3f} would be seen"
        yield f"the parent's audience would lose {trial.parents_loss} nats a vote"
    yield from (f"  {reason}" for reason in trial.reasons)


def floor_of(floor: tuple[FloorLine, ...], evaluation: Artifact, policy: Artifact, parent: Artifact) -> Decision | None:
    """What the gate says of the floor's lines; None where there is none.

    Measured are the answers of the evaluation, and what `assent evaluate` found of both policies.
    """
    if not floor:
        return None
    suites, report = of_evaluation(evaluation.folder)
    new, old = (Subject.named(str(one.folder), EVALUATIONS).found for one in (policy, parent))
    suites |= {title: Compared(found, old.get(title)) for title, found in new.items()}
    keep = tuple(Keep.model_validate(one.model_dump(exclude_none=True)) for one in floor)
    evidence = Evidence(policy.name, parent.name, suites, report.judge, report.known_judge, facts_of([evaluation]))
    return decide(GateConfig(keep=keep), evidence)


def _unmet(evidence: Counted, report: EvaluationReport, held: Decision | None) -> Iterator[str]:
    wins = None if report.win_rate is None else report.win_rate.headline
    if evidence.level != "principles" and (wins is None or not wins.low > 0.5):
        said = "nobody of the audience compared its answers" if wins is None else f"its answers are preferred in {wins}"
        yield f"with people of the audience {said}; the whole interval must lie above 0.5"
    if held is not None:
        for one in held.lines:
            if one.verdict != "pass":
                hint = "; measure it with `assent evaluate` of both policies" if "not measured" in one.reason else ""
                yield f"safety floor: {line_in_words(one)}{hint}"


def compared(line: Line, store: StoreConfig, policy: Artifact, baseline: Artifact) -> Artifact:
    """A policy for the audience held blind against another, told what the parent's is, by who was not learned from.

    The votes that were learned from are those of the last fit, whatever came since. Raises AwaitingJudgments.
    """
    name, tree = line.name, line.tree
    votes = None
    if line.profile.reward is not None:
        reward = find_artifact(line.profile.reward)
        votes = store_at(reward.folder.parent).find(reward.manifest.parents["votes"])
    config = ProfileEvaluationStage(
        profile=name,
        principles=tree.principles(name),
        parents=tree.principles(str(line.profile.parent)),
        audience=tree.audience(name),
        evaluate=line.config.evaluate or EvaluateConfig(),
        raters=line.raters(),
        lab=line.config.lab,
        people_seed=seeds.derive(line.config.seed, "profile", name) % 10**6,
        model=loading(line.config),
        store=store,
        compute=line.config.compute,
    )
    with line.runner() as run:
        try:
            return run(
                run_profile_evaluation,
                config,
                policy=policy,
                baseline=baseline,
                prompts=line.prompts,
                votes=votes,
            )
        except AwaitingJudgments as waiting:
            raise waiting.with_command(f"assent rate --store {store.shown}") from None


def _passport(tree: Tree, name: str, trial: OffsetTrial | None) -> Passport:
    profile = tree.get(name)
    keep = [Keep.model_validate(one.model_dump(exclude_none=True)) for one in tree.floor(name)]
    return Passport(
        id=name,
        parents=tuple(one.id for one in tree.descent(name)[:-1]),
        audience=tree.audience(name),
        principles=tree.principles(name),
        tone=tree.tone(name),
        floor=tuple(f"{one.measure}: {wanted(one)}" for one in keep),
        evidence=profile.evidence,
        trial=trial,
        expires=profile.expires,
        published=None if profile.published is None else profile.published.on,
    )


def _adapter(run: Runner, line: Line, *, votes: Artifact, reward: Artifact) -> Artifact:
    """The adapter, trained by the run's method on the profile's reward or on the audience's own rankings.

    Both under the profile's principles.
    """
    config, principles = optimizing(line.config), line.tree.principles(line.name)
    wants = config.optimize.wants
    prompts, judgments = None, None
    if "prompts" in wants:
        told = ProfilePromptsStage(principles=principles)
        prompts = run(run_profile_prompts, told, prompts=line.prompts) if principles else line.prompts
    if "judgments" in wants:
        own = ProfileRankingsStage(audience=line.tree.audience(line.name), principles=principles)
        judgments = run(run_profile_rankings, own, votes=votes)
    learned = reward if "reward" in wants else None
    learned_from = {"prompts": prompts, "reward": learned, "judgments": judgments}
    return run(run_optimize, config, extra=config.revised(), start=line.policy, **learned_from)


def parse_audience(texts: tuple[str, ...]) -> dict[str, str]:
    """`region=japan` texts. Raises ConfigError."""
    found: dict[str, str] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name or not value:
            raise ConfigError(f"--audience wants ATTRIBUTE=VALUE, got {text!r}")
        found[name] = value
    return found
