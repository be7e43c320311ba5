"""SFT: teach the base to answer as the demonstrations do."""

from __future__ import annotations

from typing import Any

from assent.artifacts.jsonl import read_records
from assent.artifacts.stage import StageContext
from assent.artifacts.store import Artifact
from assent.core.types import Conversation
from assent.data.splits import split
from assent.data.talks import fit_demonstrations, row_limit
from assent.learner.checkpoint import Cadence
from assent.pipeline.backends import Backends, machine, save_policy
from assent.pipeline.learners import policy_learner
from assent.pipeline.stages.settings import SFTStage
from assent.pipeline.waste import told
from assent.training.loop import Loop
from assent.training.sft import train_sft


def run_sft(ctx: StageContext, config: SFTStage, *, base: Artifact, demonstrations: Artifact) -> dict[str, Any]:
    """Write policy/."""
    backends = Backends(config.model, config.compute)
    conversations = read_records(demonstrations.file("demonstrations.jsonl"), Conversation)
    with machine(config.compute):
        policy = backends.policy(base.file("policy"), trainable=True)
        renderer = backends.renderer(policy)
        limit = row_limit(config.sft.max_length, policy.max_length)
        sides = split(
            conversations, {"train": 1 - config.sft.eval_share, "held out": config.sft.eval_share}, seed=ctx.seed
        )
        train, held_out = (
            fit_demonstrations(side, renderer, max_length=limit, policy=config.sft.too_long)
            for side in (sides["train"], sides["held out"])
        )
        for line in train.checked("demonstrations", max_length=limit).lines("demonstrations", max_length=limit):
            ctx.log.say(line)
        for line in held_out.lines("demonstrations that are held out", max_length=limit):
            ctx.log.say(line)
        loop = Loop(ctx.scratch / "checkpoints", ctx.log, ctx.seed, Cadence(config.compute.checkpoint_seconds))
        result = train_sft(policy_learner(policy, config.sft.optimizer), train.flat, held_out.flat, config.sft, loop)
        save_policy(policy, ctx.output, start=base)
        waste = told(ctx.log, policy)
    return {
        "demonstrations": len(conversations),
        "examples": len(train.flat),
        **train.facts(),
        "template": renderer.describe(),
        **result._asdict(),
        **waste,
    }
