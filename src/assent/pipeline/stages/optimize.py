"""Optimize: move the policy toward what people prefer, by the method that the settings name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, assert_never

from torch import Tensor

from assent.artifacts.jsonl import Records
from assent.artifacts.stage import StageContext
from assent.artifacts.store import Artifact
from assent.core.group import Group
from assent.core.lazy import Mapped, where
from assent.core.types import Comparison, Conversation, Marked, Prompt
from assent.data.render import Renderer
from assent.data.splits import split_key
from assent.data.talks import fit_demonstrations, row_limit
from assent.learner.learner import Learner
from assent.models.policy import PolicyModel, TokenScores
from assent.models.scalar import ScalarModel
from assent.pipeline.ai_labels import by_people, weights_in
from assent.pipeline.backends import Backends, machine, save_policy
from assent.pipeline.guarding import held_out_reward, set_apart
from assent.pipeline.labelling import Relabelled, judged, labelled_groups, relabelled
from assent.pipeline.learners import policy_learner, trunk_learners, value_learner
from assent.pipeline.on_the_way import hand_over, keep, loop_of, show, sides
from assent.pipeline.one_base import OneBase
from assent.pipeline.prompts import that_fit
from assent.pipeline.ranked import RankedGroups, ranked_groups
from assent.pipeline.rewarding import Opener, refuse_prompts, scorers, worth_telling
from assent.pipeline.stages.settings import OptimizeStage
from assent.pipeline.waste import told
from assent.training.ahead import Ahead
from assent.training.best_of_n import train_best_of_n
from assent.training.dpo import train_dpo
from assent.training.gauge import HeldOut
from assent.training.grpo import train_grpo
from assent.training.kto import train_kto
from assent.training.loop import Loop
from assent.training.on_policy import Roles
from assent.training.on_policy_config import GRPOConfig, OnPolicyConfig, PPOConfig, ReinforceConfig, RLOOConfig
from assent.training.online_config import BestOfNConfig, OnlineDPOConfig
from assent.training.online_dpo import train_online_dpo
from assent.training.orpo import train_orpo
from assent.training.ppo import train_ppo
from assent.training.preference import PreferenceResult, Ranked
from assent.training.preference_config import (
    DPOConfig,
    KTOConfig,
    ORPOConfig,
    PreferenceConfig,
    RankingConfig,
    SimPOConfig,
)
from assent.training.reinforce import train_reinforce
from assent.training.rewards import ModelReward
from assent.training.rloo import train_rloo
from assent.training.simpo import train_simpo
from assent.training.targets import Target

Train = Callable[[Roles, Sequence[Prompt], Any, Loop], Mapping[str, Any] | None]
"""An on-policy method: roles, prompts, its settings, the loop; what it found beside its log, if anything."""
TrainOnRankings = Callable[
    [Learner[TokenScores], Sequence[Group], Sequence[Target], Any, Loop, Ranked | None], PreferenceResult
]
"""A method on rankings: the policy, groups, who ranked their answers how, its settings, the loop, what is held out."""


def run_optimize(
    ctx: StageContext,
    config: OptimizeStage,
    *,
    start: Artifact,
    prompts: Artifact | None = None,
    reward: Artifact | None = None,
    judgments: Artifact | None = None,
    demonstrations: Artifact | None = None,
    gold: Artifact | None = None,
) -> dict[str, Any]:
    """Write policy/. Beside `start`, the method is given what its settings want (`Method.wants`)."""
    config.optimize.refuse()
    given = {
        "prompts": prompts,
        "reward": reward,
        "judgments": judgments,
        "demonstrations": demonstrations,
        "gold": gold,
    }
    with machine(config.compute):
        work = Work.open(ctx, config, start, {name: one for name, one in given.items() if one is not None})
        match config.optimize:
            case PPOConfig() as ppo:
                policy, critic, values = work.actor_and_critic(ppo)
                facts = work.on_policy(partial(train_ppo, critic=critic, value_model=values), ppo, policy)
            case GRPOConfig() as grpo:
                facts = work.on_policy(train_grpo, grpo)
            case RLOOConfig() as rloo:
                facts = work.on_policy(train_rloo, rloo)
            case ReinforceConfig() as reinforce:
                facts = work.on_policy(train_reinforce, reinforce)
            case OnlineDPOConfig() as online:
                facts = work.on_policy(train_online_dpo, online)
            case BestOfNConfig() as best:
                facts = work.on_policy(train_best_of_n, best)
            case DPOConfig() as dpo:
                facts = work.on_rankings(train_dpo, dpo, partial(relabelled, config=dpo, reward=given["reward"]))
            case ORPOConfig() as orpo:
                facts = work.on_rankings(train_orpo, orpo)
            case SimPOConfig() as simpo:
                facts = work.on_rankings(train_simpo, simpo)
            case KTOConfig() as kto:
                facts = work.on_labels(kto)
            case _ as never:
                assert_never(never)
        save_policy(work.policy, ctx.output, start=start)
        return {**facts, **hand_over(work.loop, ctx)}


@dataclass(frozen=True)
class Work:
    """What a method is given: the policy to move, where it runs, and the artifacts it needs by name."""

    ctx: StageContext
    backends: Backends
    start: Path
    policy: PolicyModel
    loop: Loop
    given: Mapping[str, Artifact]

    @classmethod
    def open(cls, ctx: StageContext, config: OptimizeStage, start: Artifact, given: Mapping[str, Artifact]) -> Work:
        """Load the policy to move. Raises ValueError where something that the method needs was not given."""
        missing = config.optimize.needs - given.keys()
        if missing:
            raise ValueError(f"{config.optimize.title} needs {', '.join(sorted(missing))}, and the round gave none")
        backends, folder = Backends(config.model, config.compute), start.file("policy")
        if isinstance(config.optimize, OnPolicyConfig) and (adapters := config.model.lora) and adapters.dropout:
            ctx.log.say(f"{config.optimize.title}: without dropout, since ratios must compare weights and not noise")
            without = config.model.model_copy(update={"lora": adapters.without_dropout()})
            backends = Backends(without, config.compute)
        loop = loop_of(ctx, config.compute)
        policy = backends.policy(folder, trainable=True)
        keep(loop, ctx, config.optimize.keep, policy, start)
        if isinstance(config.optimize, OnPolicyConfig):
            backends = OneBase.of(backends, policy, folder, config.optimize, ctx.log.say)
        return cls(ctx, backends, folder, policy, loop, given)

    def on_policy(
        self, train: Train, config: OnPolicyConfig, policy: Learner[TokenScores] | None = None
    ) -> dict[str, Any]:
        """A method that samples: on the weighted sum of rewards, from the prompts that leave room for an answer.

        `policy` is the learner of the policy where it is not the usual one.
        """
        writer = self.backends.writer(self.policy, name=self.start.parent.name)
        temperature = config.sampling.temperature
        asked = Records(self.given["prompts"].file("prompts.jsonl"), Prompt)
        refuse_prompts(config, asked)
        key = "optimize.eval_prompts" if config.guards is None else "optimize.guards.prompts"
        apart, watched = set_apart(config.held_out_prompts, asked, key=key)
        pool, held_out = (
            that_fit(
                some,
                writer.renderer,
                context=writer.context,
                max_new_tokens=config.sampling.max_new_tokens,
                log=self.ctx.log,
            )
            for some in (apart, watched)
        )
        if held_out:
            self.ctx.log.say(f"{len(held_out)} prompts are held out: answered on the way, never trained on")
        tokenizer, scratch = writer.renderer.tokenizer, self.ctx.scratch
        opener = Opener(config, self.backends, self._reward, lambda text: len(tokenizer.encode(text)), scratch)
        rewards, constraints = opener.rewards(), opener.constraints()
        terms = (*rewards.terms, *(() if constraints is None else constraints.costs))
        gold = held_out_reward(opener, self.given.get("gold"))
        roles = Roles(
            constraints=constraints,
            policy=policy or policy_learner(self.policy, config.optimizer, temperature=temperature),
            reference=self.backends.reference(self.policy, self.start, temperature=temperature),
            reward=rewards,
            writer=writer,
            demonstrations=self._demonstrations(writer.renderer, held_out) if config.ptx.coefficient else (),
            held_out=HeldOut(tuple(held_out), gold) if held_out else None,
            ahead=Ahead() if self.backends.compute.staleness else None,
        )
        found = train(roles, pool, config, self.loop) or {}
        for line in worth_telling(terms):
            self.ctx.log.say(line)
        cut = sum(one.cut.total for one in scorers(terms) if isinstance(one, ModelReward))
        return {
            **({"rewards_cut": cut} if cut else {}),
            **({} if constraints is None else {"multipliers": constraints.multipliers}),
            "steps": config.steps if self.loop.ended is None else self.loop.done,
            "prompts": len(pool),
            **({"held_out": len(held_out)} if held_out else {}),
            **({"ended": self.loop.ended} if self.loop.ended is not None else {}),
            **found,
            **told(self.ctx.log, self.policy, writer.engine),
        }

    def actor_and_critic(
        self, config: PPOConfig
    ) -> tuple[Learner[TokenScores] | None, Learner[Tensor], ScalarModel | None]:
        """The learners of PPO: its policy, None for the usual one, and what predicts the reward to expect; its model.

        A value model starts from the reward model if there is one that reads the same tokens. A value head starts at
        zero, and its policy gives it the states.
        """
        if config.shares_trunk:
            rates, temperature = (config.optimizer, config.value_optimizer), config.sampling.temperature
            return *trunk_learners(self.policy, *rates, temperature=temperature), None
        model = self.backends.critic(self.start, self._reward, seed=self.ctx.seed)
        return None, value_learner(model, config.value_optimizer), model

    def on_rankings(
        self,
        train: TrainOnRankings,
        config: RankingConfig,
        relabel: Callable[[Sequence[Target]], Relabelled] = lambda targets: Relabelled(targets, None, {}),
    ) -> dict[str, Any]:
        """A method that learns from the rankings themselves: all judgments so far."""
        comparisons = Records(self.given["judgments"].file("comparisons.jsonl"), Comparison)
        learned, held_out = sides(comparisons, config.eval_share, self.ctx.log)
        limit = row_limit(config.max_length, self.policy.max_length)
        renderer = self.backends.renderer(self.policy)
        labels = weights_in(self.given["judgments"])
        if labels:
            held_out = by_people(held_out)

        def read(some: Sequence[Comparison]) -> tuple[RankedGroups, Relabelled]:
            ranked = ranked_groups(some, renderer, limit=limit, too_long=config.too_long)
            targets = Mapped(lambda one: one.weighted(labels), ranked.targets) if labels else ranked.targets
            return ranked, relabel(targets)

        ranked, told_by = read(learned)
        if told_by.line is not None:
            self.ctx.log.say(told_by.line)
        unseen = read(held_out) if held_out else None
        self._show(held_out, config)
        learner = policy_learner(self.policy, config.optimizer, seed=self.ctx.seed)
        beside = None if unseen is None else (unseen[0].groups, unseen[1].targets)
        result = train(learner, ranked.groups, told_by.targets, config, self.loop, beside)
        parts = [(ranked, "comparisons"), *([] if unseen is None else [(unseen[0], "comparisons that are held out")])]
        for line in (line for one, what in parts for line in one.fitted.lines(what, max_length=limit)):
            self.ctx.log.say(line)
        counts = {"comparisons": len(ranked.groups), **ranked.fitted.facts(), **told_by.facts}
        counts |= {} if unseen is None else {"held_out": len(unseen[0].groups)}
        return {**counts, **result._asdict(), **told(self.ctx.log, self.policy)}

    def on_labels(self, config: KTOConfig) -> dict[str, Any]:
        """KTO: learns from answers that any judgment so far calls good or bad."""
        limit = row_limit(config.max_length, self.policy.max_length)
        renderer = self.backends.renderer(self.policy)
        learned, held_out = sides(judged(self.given["judgments"]), config.eval_share, self.ctx.log)
        labels = weights_in(self.given["judgments"])
        found = labelled_groups(learned, renderer, config, limit=limit, weight=labels)
        unseen = labelled_groups(held_out, renderer, config, limit=limit, weight=labels) if held_out else None
        lines = [found.labels.line(), *found.fitted.lines("labelled tasks", max_length=limit)]
        if unseen is not None:
            lines.append(f"held out: {unseen.labels.line()}")
            lines += unseen.fitted.lines("labelled tasks that are held out", max_length=limit)
        for line in lines:
            self.ctx.log.say(line)
        self._show(held_out, config)
        learner = policy_learner(self.policy, config.optimizer, seed=self.ctx.seed)
        beside = None if unseen is None else unseen.said
        result = train_kto(learner, found.said, config, self.loop, beside)
        counts = {"labelled": len(found.said[0]), **found.fitted.facts(), **found.labels.facts()}
        counts |= {} if unseen is None else {"held_out": len(unseen.said[0])}
        return {**counts, **result._asdict(), **told(self.ctx.log, self.policy)}

    def _show(self, held_out: Sequence[Comparison | Marked], config: PreferenceConfig) -> None:
        """Answer some of the held-out prompts on the way."""
        if len(held_out):
            show(self.loop, self.backends, self.policy, [one.prompt for one in held_out], config)

    @property
    def _reward(self) -> Path | None:
        reward = self.given.get("reward")
        return None if reward is None else reward.file("reward")

    def _demonstrations(self, renderer: Renderer, held_out: Sequence[Prompt]) -> Sequence[Group]:
        """Demonstrations as groups; those that do not fit are left out, and those of held-out prompts."""
        given = Records(self.given["demonstrations"].file("demonstrations.jsonl"), Conversation)
        watched = {split_key(prompt) for prompt in held_out}
        conversations = where(given, lambda one: split_key(one) not in watched)
        if len(conversations) < len(given):
            self.ctx.log.say(f"{len(given) - len(conversations)} demonstrations ask what is held out: left out")
        limit = self.policy.max_length
        fitted = fit_demonstrations(conversations, renderer, max_length=limit, policy="drop")
        for line in fitted.checked("demonstrations", max_length=limit).lines("demonstrations", max_length=limit):
            self.ctx.log.say(line)
        return fitted.flat
