"""Evaluate: a policy against a baseline, blind, on prompts neither was trained on."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import Field

from assent.algorithms.masked import row_sum
from assent.artifacts.jsonl import read_records
from assent.artifacts.stage import StageContext, stage
from assent.artifacts.store import Artifact
from assent.core import files, seeds
from assent.core.config import Config
from assent.core.group import Group
from assent.core.types import Completion, Prompt, Rater
from assent.evaluation.config import EvaluateConfig
from assent.evaluation.stats import Estimate, clustered_mean
from assent.evaluation.winrate import Pair, Verdict, WinRate, blind_tasks, read_verdicts, win_rate
from assent.feedback.config import StoreConfig
from assent.feedback.records.queue import Queue
from assent.lab.scorecard import Scorecard
from assent.lab.truth import Truth, read
from assent.models.config import ModelConfig
from assent.models.groups import pack
from assent.models.policy import PolicyModel
from assent.pipeline.backends import TOKENS_PER_MICROBATCH, Backends, machine
from assent.pipeline.config import ComputeConfig, LabData
from assent.pipeline.erasures import evaluation_project
from assent.pipeline.judges import evaluation_judges, judge_id, take_queue
from assent.pipeline.judging import enough_of, judge, panel_of
from assent.pipeline.prompts import that_fit
from assent.pipeline.queueing import QueuePlan
from assent.pipeline.stages.sample import storable
from assent.raters.config import RatersConfig
from assent.raters.function import ScoringRater
from assent.raters.panel import Panel
from assent.training.rewards import ModelReward


class EvaluateStage(Config):
    """What decides an evaluation."""

    evaluate: EvaluateConfig
    """Prompts, sampling, how many raters."""
    raters: RatersConfig | None
    """Who judges; None: the reward model of the round, which is no independent judge."""
    lab: LabData | None
    """The lab, whose truth can be read."""
    people_seed: int
    """Draws the simulated people; those who evaluate gave no training label."""
    model: ModelConfig
    """How policies are loaded."""
    store: StoreConfig = Field(json_schema_extra={"affects_result": False})
    """Where judgments live."""
    compute: ComputeConfig
    """Where it runs."""
    title: str = Field(default="", json_schema_extra={"affects_result": False})
    """What people read above the tasks."""
    like: tuple[str, ...] = Field(default=(), json_schema_extra={"affects_result": False})
    """Projects whose settings, guideline and raters this comparison takes over: of the first that is there."""


@dataclass(frozen=True)
class Answers:
    """One answer per prompt, with its log-probs summed under the policy that wrote it."""

    completions: list[Completion]
    groups: list[Group]
    logps: list[float]


@stage(name="evaluate", version=1, kind="evaluation")
def run_evaluate(
    ctx: StageContext,
    config: EvaluateStage,
    *,
    policy: Artifact,
    baseline: Artifact,
    prompts: Artifact,
    reward: Artifact | None = None,
) -> dict[str, Any]:
    """Write evaluation.json (win rate, truth, KL, reward) and samples.jsonl (both answers side by side)."""
    backends = Backends(config.model, config.compute)
    with machine(config.compute):
        start = backends.policy(baseline.file("policy"), trainable=False)
        asked = that_fit(
            read_records(prompts.file("eval.jsonl"), Prompt),
            backends.renderer(start),
            context=start.max_length,
            max_new_tokens=config.evaluate.sampling.max_new_tokens,
            log=ctx.log,
        )[: config.evaluate.prompts]
        before = answer(ctx, backends, start, baseline, asked, config.evaluate, name="before")
        newer = backends.policy(policy.file("policy"), trainable=False)
        after = answer(ctx, backends, newer, policy, asked, config.evaluate, name="after")
        distances = kl_of(after, start, temperature=config.evaluate.sampling.temperature)
        scores = None if reward is None else reward_scores(backends, reward, asked, before, after)
        judged = judge_pairs(ctx, config, backends, reward, (asked, before, after), (policy, baseline))
    truths = (
        None
        if config.lab is None
        else [[read(p, c.text) for p, c in zip(asked, a.completions, strict=True)] for a in (before, after)]
    )
    ids = [p.id for p in asked]
    facts: dict[str, Any] = {
        "judge": "reward model of this round" if config.raters is None else config.raters.kind,
        **({} if judged is None else win_facts(judged[0])),
        "kl_per_response": dump(clustered_mean(distances, ids)),
        "reward_before": None if scores is None else dump(clustered_mean(scores[0], ids)),
        "reward_after": None if scores is None else dump(clustered_mean(scores[1], ids)),
        "truth": None if truths is None else truth_facts(*truths),
    }
    files.write_json(
        ctx.output / "evaluation.json",
        {
            **facts,
            "win_rate": None if judged is None else judged[0].model_dump(mode="json"),
            "truth": None
            if truths is None
            else {"before": Scorecard.of(truths[0]).as_dict(), "after": Scorecard.of(truths[1]).as_dict()},
        },
    )
    write_samples(ctx, asked, before, after, truths, [] if judged is None else judged[1])
    return {**facts, "project": None if judged is None else judged[2]}


def answer(
    ctx: StageContext,
    backends: Backends,
    policy: PolicyModel,
    source: Artifact,
    prompts: Sequence[Prompt],
    config: EvaluateConfig,
    *,
    name: str,
) -> Answers:
    """One sampled answer to each prompt. Kept while people judge them: what they saw is what is scored."""
    kept = ctx.scratch / f"answers-{name}.json"
    if kept.exists():
        return kept_answers(kept)
    renderer, engine = backends.renderer(policy), backends.engine(policy)
    ids = [renderer.prompt(p.messages) for p in prompts]
    with ctx.log.progress(f"answers {name}", len(prompts)) as bar:
        seed = seeds.derive(ctx.seed, "answers", name)
        drawn = engine.generate(ids, num_samples=1, sampling=config.sampling, seed=seed, on_progress=bar.advance)
    where = f"{name} {source.name}"
    texts = [storable(config.sampling.cut(renderer.text(row[0].tokens))) for row in drawn]
    completions = [
        Completion(prompt_id=p.id, text=text, source=where, finished=row[0].finished)
        for p, text, row in zip(prompts, texts, drawn, strict=True)
    ]
    groups = [Group(i, (row[0].tokens,)) for i, row in zip(ids, drawn, strict=True)]
    answers = Answers(completions, groups, [float(row[0].logps.sum()) for row in drawn])
    keep_answers(kept, answers)
    return answers


@torch.no_grad()
def kl_of(answers: Answers, start: PolicyModel, *, temperature: float) -> np.ndarray:
    """log p(answer) - log p_start(answer) of each answer, in nats: the mean estimates KL(policy ‖ start)."""
    theirs = np.zeros(len(answers.groups))
    for batch in pack(answers.groups, budget=TOKENS_PER_MICROBATCH):
        logps = start.logps(batch, temperature=temperature or 1.0).logps
        theirs[list(batch.rows)] = row_sum(logps, batch.row, batch.num_rows).double().cpu().numpy()
    return np.array(answers.logps) - theirs


def reward_scores(
    backends: Backends, reward: Artifact, prompts: Sequence[Prompt], *answers: Answers
) -> list[list[float]]:
    """Normalized scores of the round's reward model."""
    model = reward_of(backends, reward)
    return [model(prompts, [c.text for c in a.completions]) for a in answers]


def reward_of(backends: Backends, reward: Artifact) -> ModelReward:
    """The round's reward model as a function of texts."""
    return backends.scorer(reward.file("reward"), normalize=True)


def judge_pairs(
    ctx: StageContext,
    config: EvaluateStage,
    backends: Backends,
    reward: Artifact | None,
    material: tuple[Sequence[Prompt], Answers, Answers],
    compared: tuple[Artifact, Artifact],
) -> tuple[WinRate, list[Verdict], str] | None:
    """Blind comparison of every pair of answers in both orders, with its project. None where nobody can judge."""
    prompts, before, after = material
    pairs = [Pair(p, new, old) for p, new, old in zip(prompts, after.completions, before.completions, strict=True)]
    policy, baseline = compared
    judges = evaluation_judges(config.raters, reward, seed=config.people_seed)
    if judges is None:
        return None
    asked = Queue(project=evaluation_project(policy.name, baseline.name), purpose="evaluation")
    queue, tasks = take_queue(config.store, asked, judges, blind_tasks(pairs, project=asked.project))
    if config.raters is not None:
        panel = panel_of(config.raters, lab=config.lab, role="evaluation", seed=config.people_seed, backends=backends)
    else:
        assert reward is not None
        rater = Rater(id=judge_id(reward), kind="reward_model")
        panel = Panel((ScoringRater(rater, reward_of(backends, reward)),))
    many = (
        config.evaluate.raters_per_pair if panel is None else min(config.evaluate.raters_per_pair, len(panel.members))
    )
    enough = enough_of(config.raters)
    plan = QueuePlan(config.title, config.like)
    judgments = judge(config.store, panel, tasks, queue, slots=many, enough=enough, plan=plan, log=ctx.log)
    verdicts = read_verdicts(pairs, tasks, judgments)
    random = seeds.stream(ctx.seed, "bootstrap")
    result = win_rate(
        verdicts, rng=random, draws=config.evaluate.bootstrap_draws, confidence=config.evaluate.confidence
    )
    return result, verdicts, queue.project


def win_facts(result: WinRate) -> dict[str, Any]:
    """The win rate for the manifest."""
    return {
        "win_rate": dump(result.win_rate),
        "length_controlled": dump(result.length_controlled),
        "ties": result.ties,
        "first_shown": dump(result.first_shown),
    }


def truth_facts(before: Sequence[Truth], after: Sequence[Truth]) -> dict[str, dict[str, Any]]:
    """Means of the lab's truth before and after."""
    return {"before": Scorecard.of(before).means(), "after": Scorecard.of(after).means()}


def write_samples(
    ctx: StageContext,
    prompts: Sequence[Prompt],
    before: Answers,
    after: Answers,
    truths: list[list[Truth]] | None,
    verdicts: Sequence[Verdict],
) -> None:
    """samples.jsonl: one line per prompt, in the order of the evaluation prompts."""
    share: dict[str, list[float]] = {}
    for verdict in verdicts:
        share.setdefault(verdict.prompt_id, []).append(verdict.score)
    rows = []
    for i, prompt in enumerate(prompts):
        seen = share.get(prompt.id)
        rows.append(
            {
                "prompt": prompt.text,
                "kind": prompt.meta.get("kind"),
                "before": before.completions[i].text,
                "after": after.completions[i].text,
                "truth_before": None if truths is None else truths[0][i].axes(),
                "truth_after": None if truths is None else truths[1][i].axes(),
                "preferred": None if not seen else math.fsum(seen) / len(seen),
            }
        )
    files.write_text(ctx.output / "samples.jsonl", "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


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


def dump(estimate: Estimate) -> dict[str, float]:
    """Plain values."""
    return estimate.model_dump()
