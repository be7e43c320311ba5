"""SFT: teach the base to answer as the demonstrations do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from assent.artifacts.jsonl import Records
from assent.artifacts.stage import StageContext
from assent.artifacts.store import Artifact
from assent.core.lazy import Mapped, where
from assent.core.types import Conversation, Prompt
from assent.data.splits import split
from assent.data.talks import fit_demonstrations, row_limit
from assent.pipeline.backends import Backends, machine, save_policy
from assent.pipeline.learners import policy_learner
from assent.pipeline.on_the_way import hand_over, keep, loop_of, show
from assent.pipeline.stages.settings import SFTStage
from assent.pipeline.waste import told
from assent.training.sft import train_sft


def run_sft(ctx: StageContext, config: SFTStage, *, base: Artifact, demonstrations: Artifact) -> dict[str, Any]:
    """Write policy/."""
    backends = Backends(config.model, config.compute)
    conversations = Records(demonstrations.file("demonstrations.jsonl"), Conversation)
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
        loop = loop_of(ctx, config.compute)
        keep(loop, ctx, config.sft.keep, policy, base)
        show(loop, backends, policy, prompts_of(sides["held out"]), config.sft)
        result = train_sft(
            policy_learner(policy, config.sft.optimizer, seed=ctx.seed), train.flat, held_out.flat, config.sft, loop
        )
        save_policy(policy, ctx.output, start=base)
        waste = told(ctx.log, policy)
        way = hand_over(loop, ctx)
    return {
        "demonstrations": len(conversations),
        "examples": len(train.flat),
        **train.facts(),
        "template": renderer.describe(),
        **result._asdict(),
        **way,
        **waste,
    }


def prompts_of(conversations: Sequence[Conversation]) -> Sequence[Prompt]:
    """What stands before the last answer of each that begins with somebody else."""
    answered = where(conversations, lambda one: any(turn.role == "assistant" for turn in one.messages[1:]))
    return Mapped(lambda one: one.prompt, answered)
