"""Base: the model everything starts from, trained from scratch or taken from a folder or the hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any, assert_never

import numpy as np

from assent.artifacts.jsonl import Records
from assent.artifacts.stage import StageContext
from assent.artifacts.store import Artifact
from assent.core import seeds
from assent.core.group import Group
from assent.core.group_store import GroupStore
from assent.core.types import Conversation
from assent.data.render import Renderer
from assent.learner import peers
from assent.models.byte_pairs import train_tokenizer, words_of
from assent.models.cast import narrow
from assent.models.lora import adapter_base
from assent.models.policy import PolicyModel
from assent.models.scratch import new_model
from assent.pipeline.backends import Backends, machine, save_whole
from assent.pipeline.config import PretrainedBase, ScratchBase
from assent.pipeline.device import device_of
from assent.pipeline.learners import policy_learner
from assent.pipeline.on_the_way import hand_over, keep, loop_of
from assent.pipeline.stages.settings import BaseStage
from assent.pipeline.waste import told
from assent.training.sft import train_sft


def run_base(ctx: StageContext, config: BaseStage, *, corpus: Artifact | None = None) -> dict[str, Any]:
    """Write policy/: a plain Hugging Face folder with a tokenizer that has distinct end and pad tokens."""
    match config.base:
        case PretrainedBase() as base:
            full = config.model.model_copy(update={"lora": None})
            policy = PolicyModel.load(
                base.path, config=full, trainable=False, device=device_of(config.compute), revision=base.revision
            )
            if (below := adapter_base(base.path, revision=base.revision)) is not None:
                ctx.log.say(f"{base.path}: an adapter on {below.path}; the run starts from both, merged")
            narrow(policy.hf, policy.own_type, added=policy.tokenizer.pad_token_id)
            policy.save(ctx.output / "policy")
            commit = getattr(policy.hf.config, "_commit_hash", None)
            facts = {"parameters": policy.num_parameters, "from": base.path, "commit": commit}
            return facts | {"type": policy.own_type}
        case ScratchBase() as base:
            assert corpus is not None
            return train_base(ctx, config, base, corpus)
        case _ as never:
            assert_never(never)


def train_base(ctx: StageContext, config: BaseStage, base: ScratchBase, corpus: Artifact) -> dict[str, Any]:
    """Train a tokenizer, then a model on every token of the corpus."""
    conversations = Records(corpus.file("corpus.jsonl"), Conversation)
    tokenizer = train_tokenizer(
        (text for c in conversations for text in words_of(c)), vocab_size=base.vocab_size, context=base.shape.context
    )
    model = new_model(tokenizer, base.shape, seed=seeds.derive(ctx.seed, "init"))

    def laid_down() -> Path:
        start = ctx.scratch / "start"
        model.save_pretrained(start)
        tokenizer.save_pretrained(start)
        return start

    with machine(config.compute):
        start = peers.from_first(laid_down)
        full = Backends(config.model.model_copy(update={"lora": None}), config.compute)
        policy = full.policy(start, trainable=True)
        renderer = full.renderer(policy)
        groups = GroupStore(g for c in conversations for g in whole_text(renderer, c, limit=policy.max_length))
        held_out = max(1, round(len(groups) * base.pretrain.eval_share)) if base.pretrain.eval_share else 0
        loop = loop_of(ctx, config.compute)
        keep(loop, ctx, base.pretrain.keep, policy, None)
        learner = policy_learner(policy, base.pretrain.optimizer)
        result = train_sft(learner, groups[held_out:], groups[:held_out], base.pretrain, loop)
        save_whole(policy, ctx.output / "policy")
        waste = told(ctx.log, policy)
        way = hand_over(loop, ctx)
    return {
        "parameters": policy.num_parameters,
        "vocabulary": len(tokenizer),
        "texts": len(groups),
        **result._asdict(),
        **way,
        **waste,
    }


def whole_text(renderer: Renderer, conversation: Conversation, *, limit: int) -> list[Group]:
    """A conversation in pieces of at most `limit` tokens, of which every token but the first of each piece counts."""
    group = renderer.demonstration(conversation)[0]
    ids = np.concatenate([group.prompt, group.continuations[0]])
    pieces = [ids[start : start + limit] for start in range(0, len(ids) - 1, limit - 1)]
    return [Group(piece[:1], (piece[1:],)) for piece in pieces]
