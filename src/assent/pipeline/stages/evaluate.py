"""Evaluate: a policy against a baseline, blind, on prompts neither was trained on."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch.nn import Module

from assent.artifacts.jsonl import read_records
from assent.artifacts.stage import StageContext
from assent.artifacts.store import Artifact
from assent.core import files, seeds
from assent.core.errors import ConfigError, DataError, UserError
from assent.core.group import Group
from assent.core.hashing import short
from assent.core.scoring import Score as ScoreOfAnswers
from assent.core.types import Completion, Judgment, Prompt, Rater
from assent.data.heldout import FEWEST_PROMPTS
from assent.data.render import Renderer
from assent.evaluation.config import EvaluateConfig
from assent.evaluation.judge_scores import JudgeScores, judge_scores
from assent.evaluation.report import SAMPLES, BestOfN, EvaluationReport, Judge, KnownJudge, Trainers
from assent.evaluation.suite import Asked
from assent.evaluation.suites.own import measure
from assent.evaluation.winrate import Pair, Verdict, blind_tasks, read_scores, read_verdicts, win_rate, write_verdicts
from assent.feedback.quality.sheets import Score
from assent.feedback.records.judges import Judges
from assent.feedback.records.queue import Queue
from assent.feedback.store import Store
from assent.generation.best_of import best_rows
from assent.learner.scorer import sum_logps
from assent.models.policy import PolicyModel
from assent.pipeline.backends import TOKENS_PER_MICROBATCH, Backends, machine
from assent.pipeline.decisions import in_words, stand_in_of
from assent.pipeline.erasures import evaluation_project
from assent.pipeline.judges import evaluation_judges, judge_id, take_queue
from assent.pipeline.judging import judge, panel_of, quorum_of
from assent.pipeline.known_judges import known_judge
from assent.pipeline.learners import policy_scorer
from assent.pipeline.prompts import that_fit
from assent.pipeline.queueing import QueuePlan
from assent.pipeline.stages.settings import EvaluateStage
from assent.raters.function import ScoringRater
from assent.raters.panel import Panel
from assent.stats.clustered import clustered_mean
from assent.training.rewards import ModelReward, cut_lines


@dataclass(frozen=True)
class Answers:
    """One answer per prompt, with its log-probs summed under the policy that wrote it.

    Where the best of several is given, tokens and log-probs are those of the first that was drawn: the best are no
    samples of the policy, and nothing about its distance could be told from them.
    """

    completions: list[Completion]
    groups: list[Group]
    logps: list[float]


def run_evaluate(
    ctx: StageContext,
    config: EvaluateStage,
    *,
    policy: Artifact,
    baseline: Artifact,
    prompts: Artifact,
    reward: Artifact | None = None,
) -> dict[str, Any]:
    """Write evaluation.json (win rate, KL, reward, suites) and samples.jsonl (both answers side by side)."""
    backends = Backends(config.model, config.compute)
    with machine(config.compute):
        start = backends.policy(baseline.file("policy"), trainable=False)
        asked = asked_prompts(ctx, config.evaluate, backends.renderer(start), prompts, context=start.max_length)
        before = answer(ctx, backends, start, baseline, asked, config.evaluate, name="before")
        newer = backends.policy(policy.file("policy"), trainable=False)
        best = best_by(backends, reward, config.evaluate)
        after = answer(ctx, backends, newer, policy, asked, config.evaluate, name="after", best=best)
        moved = distance_of_weights(start.hf, newer.hf)
        distances = kl_of(after, start, temperature=config.evaluate.sampling.temperature)
        scores = None if reward is None else reward_scores(ctx, backends, reward, asked, (before, after))
        pairs = [Pair(p, new, old) for p, new, old in zip(asked, after.completions, before.completions, strict=True)]
        bench = bench_of(config, backends, reward)
        known = known_to(config, bench)
        judged = judge_pairs(ctx, config, bench, pairs, (policy, baseline))
        judge_said = None
        if config.raters is not None:  # the round's own reward model is told as the reward
            judge_said = scores_of_judge(bench, asked, (before, after), confidence=config.evaluate.confidence)
    verdicts = () if judged is None else judged.verdicts
    compared = None if judged is None else win_rate(verdicts, confidence=config.evaluate.confidence)
    scored = () if judged is None else judged.scores
    seen = Asked(asked, before.completions, after.completions, verdicts, compared, scored, config.lab is not None)
    ids = [p.id for p in asked]
    kind = "reward_model" if config.raters is None else config.raters.kind
    report = EvaluationReport(
        judge=None if bench is None else Judge.of(kind, is_own=config.judges_own),
        known_judge=known,
        win_rate=compared,
        judge_scores=judge_said,
        kl_per_response=clustered_mean(distances, ids),
        reward_before=None if scores is None else clustered_mean(scores[0], ids),
        reward_after=None if scores is None else clustered_mean(scores[1], ids),
        weights_moved=moved,
        best_of=None if best is None else BestOfN.of(config.evaluate.best_of),
        trainers=None if judged is None else judged.trainers,
        suites=measure(seen),
    )
    report.write(ctx.output)
    write_samples(ctx.output, seen, report)
    write_verdicts(ctx.output, verdicts, are_people=kind == "people")
    return {**report.facts(), **({"project": None} if judged is None else judged.facts)}


def asked_prompts(
    ctx: StageContext, config: EvaluateConfig, renderer: Renderer, prompts: Artifact, *, context: int
) -> list[Prompt]:
    """The first of the held-out prompts that leave room for an answer."""
    held_out = read_records(prompts.file("eval.jsonl"), Prompt)
    room = config.sampling.max_new_tokens
    fitting = that_fit(held_out, renderer, context=context, max_new_tokens=room, log=ctx.log)
    if len(fitting) < FEWEST_PROMPTS:
        raise DataError(
            f"{len(fitting)} of {len(held_out)} evaluation prompts leave room for an answer, and a comparison wants"
            f" {FEWEST_PROMPTS} or more; give more data.eval_prompts, or lower evaluate.sampling.max_new_tokens"
        )
    return list(fitting[: config.prompts])


def answer(
    ctx: StageContext,
    backends: Backends,
    policy: PolicyModel,
    source: Artifact,
    prompts: Sequence[Prompt],
    config: EvaluateConfig,
    *,
    name: str,
    best: ScoreOfAnswers | None = None,
) -> Answers:
    """One sampled answer to each prompt, or with `best` that of `config.best_of` which it scores highest.

    Kept while people judge them: what they saw is what is scored.
    """
    kept = ctx.scratch / f"answers-{name}.json"
    if kept.exists():
        return kept_answers(kept)
    writer = backends.writer(policy, name=f"{name} {source.name}")
    many = 1 if best is None else config.best_of
    with ctx.log.progress(f"answers {name}", many * len(prompts)) as bar:
        rows = writer.write(
            prompts,
            num_samples=many,
            sampling=config.sampling,
            seed=seeds.derive(ctx.seed, "answers", name),
            on_progress=bar.advance,
        )
    written = [row[0] for row in rows]
    given = written if best is None else best_rows(prompts, rows, best)
    answers = Answers(
        [one.completion(p, source=writer.name) for p, one in zip(prompts, given, strict=True)],
        [Group(one.prompt, (one.tokens,)) for one in written],
        [float(one.logps.sum()) for one in written],
    )
    keep_answers(kept, answers)
    return answers


def best_by(backends: Backends, reward: Artifact | None, config: EvaluateConfig) -> ScoreOfAnswers | None:
    """What says which of several answers is given; None where each answer is the only one."""
    if config.best_of == 1:
        return None
    if reward is None:
        raise ConfigError("evaluate.best_of wants the reward model of the round, and there is none")
    return reward_of(backends, reward)


def kl_of(answers: Answers, start: PolicyModel, *, temperature: float) -> np.ndarray:
    """log p(answer) - log p_start(answer) of each answer, in nats: the mean estimates KL(policy ‖ start)."""
    scorer = policy_scorer(start, temperature=temperature or 1.0)
    theirs = sum_logps(scorer, answers.groups, budget=TOKENS_PER_MICROBATCH)
    return np.array(answers.logps) - theirs.double().numpy()


def distance_of_weights(start: Module, newer: Module) -> float | None:
    """‖newer - start‖ / ‖start‖ over all weights; None where they are not of one shape."""
    before, after = (dict(model.named_parameters()) for model in (start, newer))
    if {n: p.shape for n, p in before.items()} != {n: p.shape for n, p in after.items()}:
        return None
    moved = math.fsum(float((after[n].detach().float() - p.detach().float()).square().sum()) for n, p in before.items())
    size = math.fsum(float(p.detach().float().square().sum()) for p in before.values())
    return math.sqrt(moved / size) if size else None


def reward_scores(
    ctx: StageContext, backends: Backends, reward: Artifact, prompts: Sequence[Prompt], answers: Sequence[Answers]
) -> list[list[float]]:
    """Normalized scores of the round's reward model; says what it read without its beginning."""
    model = reward_of(backends, reward)
    scores = [model(prompts, [c.text for c in a.completions]) for a in answers]
    for line in cut_lines(model):
        ctx.log.say(line)
    return scores


def scores_of_judge(
    bench: Bench | None, prompts: Sequence[Prompt], answers: tuple[Answers, Answers], *, confidence: float
) -> JudgeScores | None:
    """What a single judge that scores answers gives those of both policies; None of any other."""
    members = () if bench is None or bench.panel is None else bench.panel.members
    if len(members) != 1 or not isinstance(members[0], ScoringRater):
        return None
    texts = tuple([c.text for c in one.completions] for one in answers)
    before, after = (list(members[0].score(prompts, side)) for side in texts)
    return judge_scores((before, after), (texts[0], texts[1]), confidence=confidence)


def reward_of(backends: Backends, reward: Artifact) -> ModelReward:
    """The round's reward model as a function of texts."""
    return backends.scorer(reward.file("reward"), normalize=True)


@dataclass(frozen=True)
class Bench:
    """Who judges: to the store, and as a panel; None for people, who judge in their own time."""

    judges: Judges
    panel: Panel | None


def bench_of(config: EvaluateStage, backends: Backends, reward: Artifact | None) -> Bench | None:
    """The raters of the run, else the reward model of the round; None where nobody can judge."""
    judges = evaluation_judges(config.raters, reward, seed=config.people_seed)
    if judges is None:
        return None
    if config.raters is not None:
        panel = panel_of(config.raters, lab=config.lab, role="evaluation", seed=config.people_seed, backends=backends)
        return Bench(judges, panel)
    assert reward is not None
    rater = Rater(id=judge_id(reward), kind="reward_model")
    return Bench(judges, Panel((ScoringRater(rater, reward_of(backends, reward)),)))


def known_to(config: EvaluateStage, bench: Bench | None) -> KnownJudge | None:
    """What is known of the judge, whose anchors are judged again; None where no record is named.

    Raises ConfigError where a record is named and several raters, or people, judge.
    """
    folder = config.evaluate.judge_record
    if folder is None:
        return None
    if config.raters is None or bench is None or bench.panel is None or len(bench.panel.members) != 1:
        raise ConfigError("evaluate.judge_record is for a single judge: an autorater, a reward_model or a function")
    return known_judge(folder, config.raters, bench.panel.members[0])


class Judged(NamedTuple):
    """What judges said of the pairs, and the project of the store in which they said it."""

    verdicts: list[Verdict]
    scores: list[Score]
    project: str
    trainers: Trainers
    snapshot: str | None
    """What people had judged, as a snapshot; None where no people judged."""
    stood: dict[str, int]
    """How many judgments decisions stand for; empty where they are ignored."""

    @property
    def facts(self) -> dict[str, Any]:
        """Where it is in the store, for a manifest."""
        fixed = {} if self.snapshot is None else {"snapshot": self.snapshot}
        return {"project": self.project, **fixed, **self.stood}


def judge_pairs(
    ctx: StageContext,
    config: EvaluateStage,
    bench: Bench | None,
    pairs: Sequence[Pair],
    compared: tuple[Artifact, Artifact],
) -> Judged | None:
    """Blind comparison of every pair of answers in both orders. None where nobody can judge."""
    if bench is None:
        return None
    policy, baseline = compared
    asked = Queue(project=evaluation_project(policy.name, baseline.name), purpose="evaluation")
    queue, tasks = take_queue(config.store, asked, bench.judges, blind_tasks(pairs, project=asked.project))
    many = config.evaluate.raters_per_pair
    many = many if bench.panel is None else min(many, len(bench.panel.members))
    quorum, plan = quorum_of(config.raters), QueuePlan(config.title, config.place, config.like)
    judgments = judge(config.store, bench.panel, tasks, queue, slots=many, quorum=quorum, plan=plan, log=ctx.log)
    snapshot = None
    if bench.panel is None:
        with Store.open(config.store.url) as store:
            snapshot = store.snapshot(f"{queue.project} for {short(ctx.key)}", queue, now=time.time()).hash
    stood: dict[str, int] = {}
    if config.decisions == "stand":
        with Store.open(config.store.url) as store:
            judgments, stood = stand_in_of(judgments, store.projects.adjudications(queue.project))
        ctx.log.say(in_words(stood))
    verdicts = read_verdicts(pairs, tasks, judgments)
    _refuse_too_few(verdicts, judgments)
    with Store.open(config.store.url) as store:
        trained = store.trainers({verdict.rater_id for verdict in verdicts})
    theirs = sum(verdict.rater_id in trained for verdict in verdicts)
    scores = read_scores(pairs, tasks, judgments)
    return Judged(verdicts, scores, queue.project, Trainers(raters=len(trained), verdicts=theirs), snapshot, stood)


def _refuse_too_few(verdicts: Sequence[Verdict], judgments: Sequence[Judgment]) -> None:
    """Raise UserError where nothing can be said of what judges judged: skips are no verdicts."""
    prompts = len({verdict.prompt_id for verdict in verdicts})
    if prompts < 2:
        reasons = [one.skip_reason for one in judgments if one.skip_reason]
        why = f", for example because {reasons[0]}" if reasons else ""
        raise UserError(
            f"a win rate wants verdicts on at least two prompts, and there are verdicts on {prompts}: of"
            f" {len(judgments)} judgments {len(reasons)} are skips{why}; ask for more prompts or take other raters"
        )


def write_samples(folder: Path, seen: Asked, report: EvaluationReport) -> None:
    """samples.jsonl: one line per prompt, in the order of the evaluation prompts, with what each suite says of it."""
    lines = []
    for i, prompt in enumerate(seen.prompts):
        row = {
            "prompt": prompt.text,
            "kind": prompt.meta.get("kind"),
            "before": seen.before[i].text,
            "after": seen.after[i].text,
        }
        for suite in report.suites.values():
            row |= suite.rows[i] if suite.rows else {}
        lines.append(json.dumps(row, ensure_ascii=False) + "\n")
    files.write_text(folder / SAMPLES, "".join(lines))


def keep_answers(path: Path, answers: Answers) -> None:
    """Write answers down to the last token and digit."""
    rows = [
        {
            "completion": completion.model_dump(mode="json"),
            "prompt": group.prompt.tolist(),
            "answer": group.continuations[0].tolist(),
            "logp": logp,
        }
        for completion, group, logp in zip(answers.completions, answers.groups, answers.logps, strict=True)
    ]
    files.write_json(path, rows)


def kept_answers(path: Path) -> Answers:
    """What `keep_answers` wrote."""
    rows = json.loads(path.read_text(encoding="utf-8"))
    return Answers(
        [Completion.model_validate(row["completion"]) for row in rows],
        [Group(np.array(row["prompt"]), (np.array(row["answer"]),)) for row in rows],
        [row["logp"] for row in rows],
    )
