"""Optimize: move the policy toward what people prefer, by PPO on the reward model or DPO on the judgments."""

from __future__ import annotations

from typing import Any

from assent.artifacts.jsonl import read_records
from assent.artifacts.stage import StageContext, stage
from assent.artifacts.store import Artifact
from assent.core.config import Config
from assent.core.group import Group
from assent.core.types import Comparison, Conversation, Prompt
from assent.data.fit import fit
from assent.learner.checkpoint import Cadence
from assent.models.config import ModelConfig
from assent.pipeline.backends import Backends, machine, save_policy
from assent.pipeline.config import ComputeConfig
from assent.pipeline.prompts import that_fit
from assent.pipeline.stages.fit_reward import ranked_groups
from assent.pipeline.waste import told
from assent.training.config import DPOConfig, OptimizeConfig, PPOConfig
from assent.training.dpo import train_dpo
from assent.training.loop import Loop
from assent.training.ppo import Roles, check_safe, train_ppo


class OptimizeStage(Config):
    """What decides the new policy."""

    optimize: OptimizeConfig
    """The method and its settings."""
    model: ModelConfig
    """How models are loaded."""
    compute: ComputeConfig
    """Where it runs."""


@stage(name="optimize", version=1, kind="policy")
def run_optimize(
    ctx: StageContext,
    config: OptimizeStage,
    *,
    start: Artifact,
    prompts: Artifact | None = None,
    reward: Artifact | None = None,
    judgments: Artifact | None = None,
    demonstrations: Artifact | None = None,
) -> dict[str, Any]:
    """Write policy/."""
    loop = Loop(ctx.scratch / "checkpoints", ctx.log, ctx.seed, Cadence(config.compute.checkpoint_seconds))
    with machine(config.compute):
        match config.optimize:
            case PPOConfig() as ppo:
                assert prompts is not None
                check_safe(ppo)
                return optimize_ppo(ctx, config, ppo, loop, (start, prompts, reward, demonstrations))
            case DPOConfig() as dpo:
                assert judgments is not None
                return optimize_dpo(ctx, config, dpo, loop, (start, judgments))


def optimize_ppo(
    ctx: StageContext,
    config: OptimizeStage,
    ppo: PPOConfig,
    loop: Loop,
    inputs: tuple[Artifact, Artifact, Artifact | None, Artifact | None],
) -> dict[str, Any]:
    """PPO on the weighted sum of rewards; the value model starts from the reward model if it reads the same tokens."""
    start, prompts, reward, demonstrations = inputs
    backends = Backends(config.model, config.compute)
    start_folder = start.file("policy")
    policy = backends.policy(start_folder, trainable=True)
    trained = reward.file("reward") if reward is not None else None
    critic = backends.critic(start_folder, trained, seed=ctx.seed)
    roles = Roles(
        policy=policy,
        reference_logps=backends.reference_logps(policy, start_folder, temperature=ppo.sampling.temperature),
        critic=critic,
        reward=backends.rewards(ppo, trained),
        engine=backends.engine(policy),
        renderer=backends.renderer(policy),
        demonstrations=tuple(ptx_groups(backends, policy, demonstrations)) if ppo.ptx.coefficient else (),
    )
    pool = that_fit(
        read_records(prompts.file("prompts.jsonl"), Prompt),
        roles.renderer,
        context=policy.max_length,
        max_new_tokens=ppo.sampling.max_new_tokens,
        log=ctx.log,
    )
    train_ppo(roles, pool, ppo, loop)
    save_policy(policy, ctx.output)
    return {"steps": ppo.steps, "prompts": len(pool), **told(ctx.log, policy, roles.engine)}


def optimize_dpo(
    ctx: StageContext, config: OptimizeStage, dpo: DPOConfig, loop: Loop, inputs: tuple[Artifact, Artifact]
) -> dict[str, Any]:
    """DPO on all judgments so far."""
    start, judgments = inputs
    backends = Backends(config.model, config.compute)
    policy = backends.policy(start.file("policy"), trainable=True)
    comparisons = read_records(judgments.file("comparisons.jsonl"), Comparison)
    ranked = ranked_groups(
        comparisons, backends.renderer(policy), limit=dpo.max_length or policy.max_length, too_long=dpo.too_long
    )
    result = train_dpo(policy, ranked.groups, ranked.targets, dpo, loop)
    save_policy(policy, ctx.output)
    return {"comparisons": len(ranked.groups), "too_long": ranked.too_long, **result._asdict(), **told(ctx.log, policy)}


def ptx_groups(backends: Backends, policy: Any, demonstrations: Artifact | None) -> list[Group]:
    """Demonstrations as groups, those that do not fit left out."""
    if demonstrations is None:
        return []
    renderer = backends.renderer(policy)
    conversations = read_records(demonstrations.file("demonstrations.jsonl"), Conversation)
    groups = [g for c in conversations for g in renderer.demonstration(c)]
    limit = policy.max_length
    return list(fit(groups, max_length=limit, policy="drop").checked("demonstrations", max_length=limit).items)
