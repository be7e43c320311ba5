"""A profile's reward: votes of the store as an artifact, and the parent's reward model with an audience's offset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from pydantic import Field

from assent.artifacts.jsonl import read_records, write_records
from assent.artifacts.stage import StageContext, stage
from assent.artifacts.store import Artifact
from assent.core import files
from assent.core.config import Config
from assent.core.errors import DataError
from assent.core.hashing import hash_json
from assent.core.types import Comparison, Rater
from assent.data.splits import HELD_OUT_SEED, split
from assent.data.swaps import SwapLists
from assent.feedback.config import StoreConfig
from assent.feedback.records.queue import Queue
from assent.feedback.store import Store
from assent.models.config import ModelConfig
from assent.models.scalar import ScalarModel
from assent.pipeline.backends import TOKENS_PER_MICROBATCH, Backends, machine, save_other_head
from assent.pipeline.config import ComputeConfig
from assent.pipeline.learners import state_scorer
from assent.pipeline.ranked import Reading
from assent.profiles.audience import members_of, ranked_by
from assent.profiles.config import Level
from assent.profiles.trial import OffsetTrial, Poll, try_offset
from assent.training.answer_features import answers_of, votes_of
from assent.training.reward import outputs_of

TRIAL = "trial.json"
COMPARISONS, RATERS = "comparisons.jsonl", "raters.jsonl"


class VotesStage(Config):
    """Which votes are read."""

    projects: tuple[str, ...]
    """Projects of the store."""
    store: StoreConfig = Field(json_schema_extra={"affects_result": False})
    """Where they are."""


class ProfileRewardStage(Config):
    """What decides a profile's reward."""

    audience: dict[str, tuple[str, ...]]
    """Who belongs."""
    parents: dict[str, tuple[str, ...]]
    """Whom the parent is for: they are who the audience is held against."""
    level: Level
    """A shrunken offset, or a head of its own."""
    held_out: float | None = None
    """The share of `learned` that the parent's reward model was not trained on."""
    model: ModelConfig
    """How models are loaded."""
    compute: ComputeConfig
    """Where it runs."""


def votes_in(store: StoreConfig, projects: Sequence[str]) -> tuple[list[Comparison], list[Rater]]:
    """All rankings to learn from in some projects, questions that were asked again left out, and who gave them."""
    with Store.open(store.url) as opened:
        found: list[Comparison] = []
        for project in projects:
            queue = Queue(project, "reward")
            again = opened.listing.repeats(queue)
            found += [one for one in opened.comparisons(queue) if one.judgments[0].task_id not in again]
        ranked = {judgment.rater_id for one in found for judgment in one.judgments}
        return found, [rater for rater in opened.raters() if rater.id in ranked]


def hash_of(comparisons: Sequence[Comparison], raters: Sequence[Rater]) -> str:
    """Of who said what, and of what they told about themselves."""
    said = sorted(judgment.id for one in comparisons for judgment in one.judgments)
    return hash_json([said, [rater.model_dump(mode="json") for rater in raters]])


@stage(name="profile votes", version=1, kind="judgments")
def run_votes(ctx: StageContext, config: VotesStage) -> dict[str, Any]:
    """Write comparisons.jsonl and raters.jsonl: what the store holds now; `extra` of the call is its `hash_of`."""
    comparisons, raters = votes_in(config.store, config.projects)
    write_records(ctx.output / COMPARISONS, comparisons, is_private=True)
    write_records(ctx.output / RATERS, raters, is_private=True)
    return {"comparisons": len(comparisons), "raters": len(raters)}


@stage(name="profile reward", version=1, kind="reward")
def run_profile_reward(
    ctx: StageContext,
    config: ProfileRewardStage,
    *,
    parent: Artifact,
    votes: Artifact,
    learned: Artifact | None = None,
) -> dict[str, Any]:
    """Write reward/, the parent's trunk with the offset in its head, and trial.json.

    `learned` are the judgments that the first reward model of the line was trained on: their prompts are never a test.
    """
    backends = Backends(config.model, config.compute)
    with machine(config.compute):
        model = backends.reward_model(parent.file("reward"), trainable=False)
        raters = read_records(votes.file(RATERS), Rater)
        comparisons = read_records(votes.file(COMPARISONS), Comparison)
        reading = Reading(backends.renderer(model), model.trained_length, "drop", None, TOKENS_PER_MICROBATCH)
        poll, states = poll_of(model, reading, comparisons, raters, config)
        seen = seen_prompts(learned, config.held_out)
        offset, trial = try_offset(poll, level=config.level, seen=seen, seed=ctx.seed)
        model.head = torch.from_numpy(poll.head + offset.direction).float()
        # The parent's unit stays: what a nat of KL costs was chosen in it.
        model.score_mean += float((states @ offset.direction).mean())
        save_other_head(model, ctx.output, parent=parent)
    files.write_json(ctx.output / TRIAL, trial.model_dump(mode="json"))
    return {"passes": trial.passes, "p": trial.p, "spread": trial.spread, "votes": trial.learned.votes}


def poll_of(
    model: ScalarModel,
    reading: Reading,
    comparisons: Sequence[Comparison],
    raters: Sequence[Rater],
    config: ProfileRewardStage,
) -> tuple[Poll, np.ndarray]:
    """Votes of the parent's audience on the states of its reward model, and the states of all answers [N, d].

    Raises DataError where nobody of the parent's audience ranked anything that fits.
    """
    asked, members = members_of(raters, config.parents), members_of(raters, config.audience)
    kept = ranked_by(comparisons, asked)
    if not kept:
        raise DataError(
            "nobody of the parent's audience ranked anything; gather labels first, see: assent profile list"
        )
    read = reading.of(kept)
    _, states = outputs_of(state_scorer(model), read.groups, budget=reading.budget, keep_states=True)
    answers = answers_of(read.comparisons, states.double().numpy(), (), SwapLists((), (), "", ()))
    ids = sorted({judgment.rater_id for one in read.comparisons for judgment in one.judgments})
    votes = votes_of(read.comparisons, answers, ids)
    prompts, number = np.unique([one.prompt.id for one in read.comparisons], return_inverse=True)
    poll = Poll(
        votes=replace(votes, prompt=number[votes.prompt]),  # what was asked twice is one prompt
        raters=tuple(ids),
        prompts=tuple(prompts.tolist()),
        members=np.array([one in members for one in ids], bool),
        head=model.head.double().numpy(),
    )
    return poll, answers.states


def seen_prompts(learned: Artifact | None, held_out: float | None) -> frozenset[str]:
    """Prompts that a reward model was trained on, by the split of its stage."""
    if learned is None or held_out is None:
        return frozenset()
    comparisons = read_records(learned.file(COMPARISONS), Comparison)
    shares = {"train": 1 - held_out, "held out": held_out}
    sides = split(comparisons, shares, seed=HELD_OUT_SEED, part_of=lambda c: str(c.meta.get("source", "")))
    return frozenset(one.prompt.id for one in sides["train"])


def read_trial(reward: Artifact) -> OffsetTrial:
    """What was found of a profile's reward."""
    return OffsetTrial.model_validate_json(reward.file(TRIAL).read_text(encoding="utf-8"))
