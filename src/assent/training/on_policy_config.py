"""Settings of the methods that sample from the policy they train: PPO, GRPO, RLOO, REINFORCE++."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from assent.core.config import Config
from assent.core.findings import Finding, error, ok, warning
from assent.generation.config import Sampling
from assent.learner.config import OptimizerConfig
from assent.raters.config import AutoraterConfig
from assent.training.constraint_config import ConstraintConfig
from assent.training.correction_config import CorrectionConfig
from assent.training.guard_config import FittedGoldConfig, GuardsConfig
from assent.training.method import Method, Need
from assent.training.reward_terms import JudgeRewardConfig, ModelRewardConfig, RewardTerm


class KLConfig(Config):
    """The term that keeps the policy close to where it started. The k1 estimate of the KL is subtracted from the
    reward of each token."""

    kind: Literal["adaptive", "fixed", "off"] = "adaptive"
    """adaptive: a controller steers to `target`. fixed: the coefficient stays. off: no KL term; it must be set
    explicitly, because without a KL term the policy over-optimizes the reward model."""
    coefficient: float = Field(default=0.05, ge=0)
    """Reward lost per nat and token (start value if adaptive)."""
    target: float = Field(default=6.0, gt=0)
    """KL per response, in nats, that the adaptive controller steers to."""
    horizon: int = Field(default=10_000, ge=1)
    """Responses over which the adaptive controller acts (Ziegler et al. 2019)."""


class PTXConfig(Config):
    """Mix the demonstrations' next-token loss into the update (Ouyang et al. 2022, eq. 2)."""

    coefficient: float = Field(default=0.0, ge=0)
    """Weight of the next-token loss relative to the policy loss; 0: off."""
    batch_size: int = Field(default=32, ge=1)
    """Demonstrations per optimizer step."""


class OnPolicyConfig(Method):
    """What every method has that samples from the policy it trains."""

    learns_from: ClassVar[str] = "scores"
    measures: ClassVar[frozenset[str]] = frozenset({"heldout_reward"})
    acts_in_answers: ClassVar[bool] = False
    """Whether a whole answer is one action, or each of its tokens is."""
    learned_answers: ClassVar[int | None] = None
    """How many answers to a prompt are learned from; None: all."""
    draws_in_turn: ClassVar[bool] = True
    scores_rollouts: ClassVar[bool] = True
    """Whether rollouts are scored by the policy and by its start before they are learned from."""

    steps: int = Field(default=100, ge=1)
    """Batches of rollouts."""
    prompts_per_step: int = Field(default=64, ge=1)
    """Prompts per batch."""
    samples_per_prompt: int = Field(default=4, ge=1)
    """Rollouts per prompt; their prompt is computed once."""
    sampling: Sampling = Sampling(temperature=1.0, max_new_tokens=128)
    """Rollout sampling; greedy decoding, top-p, top-k, min-p and a repetition penalty would bias the ratio and are
    refused."""
    rewards: tuple[RewardTerm, ...] = (ModelRewardConfig(),)
    """The reward: a weighted sum of models, functions, judges and checks."""
    constraints: tuple[ConstraintConfig, ...] = Field(default=(), json_schema_extra={"added_later": True})
    """Costs that are kept below limits while the reward rises (Dai et al. 2023)."""
    normalize_reward: bool = True
    """Shift and scale each reward model's score by its mean and deviation on the training answers."""
    reward_clip: float | None = Field(default=5.0, gt=0)
    """The summed reward is clipped to plus or minus this; null: not clipped."""
    missing_eos_penalty: float = Field(default=1.0, ge=0)
    """Subtracted from the reward of an answer that did not end."""
    kl: KLConfig = KLConfig()
    """How the policy is kept close to where it started."""
    epochs: int = Field(default=1, ge=1)
    """Passes over each batch of rollouts."""
    minibatches: int = Field(default=1, ge=1)
    """Optimizer steps per pass."""
    clip: float = Field(default=0.2, gt=0)
    """Policy ratio clip."""
    kl_limit: float | None = Field(default=0.1, gt=0)
    """Stop using a batch once the mean KL per token to its rollout policy exceeds this; null: never."""
    correction: CorrectionConfig = Field(default=CorrectionConfig(), json_schema_extra={"added_later": True})
    """How rollouts are weighed where the engine that drew them does not compute what the policy computes."""
    ptx: PTXConfig = PTXConfig()
    """How much of the demonstrations' loss is mixed in."""
    ema: float | None = Field(default=None, gt=0, lt=1)
    """Decay per step of a moving average of the weights, which is then the result (0.992 in InstructGPT); null: off."""
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=1e-6, schedule="constant", warmup=0.02)
    """Optimizer of the policy."""
    shared_base: Literal["auto", "always", "never"] = Field(default="auto", json_schema_extra={"added_later": True})
    """Under `model.lora`, whether policy, start, reward and value model share one copy of the base in memory,
    each with adapters of its own. auto: where that gives the same numbers as separate models. always: also with
    bfloat16 weights; where sharing is impossible the run ends with an error. never: each has a whole copy."""
    guards: GuardsConfig | None = Field(default=None, json_schema_extra={"added_later": True})
    """Measurements on held-out prompts every few steps, which may end the training. null: only the numbers of the
    rollouts themselves are watched."""
    eval_prompts: int = Field(default=0, ge=0, json_schema_extra={"added_later": True})
    """Prompts that are held out and answered at each evaluation on the way, never trained on; 0: none, or with guards
    theirs."""

    @field_validator("rewards", mode="before")
    @classmethod
    def _functions(cls, given: Any) -> Any:
        """In Python a function stands for the term of kind python that names it."""
        if not isinstance(given, list | tuple):
            return given
        return [{"kind": "python", "target": one} if callable(one) else one for one in given]

    @property
    def held_out_prompts(self) -> int:
        """Prompts that are kept apart for evaluations and guards."""
        return self.eval_prompts if self.guards is None else self.guards.prompts

    @property
    def updates(self) -> int:
        """Optimizer steps of the policy, if no batch is cut short."""
        return self.steps * self.epochs * self.minibatches

    @property
    def needs(self) -> frozenset[Need]:
        """Prompts, this round's reward model where a term of the reward is it, demonstrations for the PTX mix."""
        needs: set[Need] = {"prompts"}
        if any(term.uses_trained for term in self.terms.values()):
            needs.add("reward")
        if self.ptx.coefficient:
            needs.add("demonstrations")
        if self.gold_share is not None:
            needs.add("gold")
        return frozenset(needs)

    @property
    def terms(self) -> dict[str, RewardTerm]:
        """Everything that answers are measured by, under the key that it stands under."""
        rewards = {f"optimize.rewards[{n}]": term for n, term in enumerate(self.rewards)}
        return rewards | {f"optimize.constraints[{n}].cost": one.cost for n, one in enumerate(self.constraints)}

    def criteria(self) -> frozenset[str]:
        """Of terms that ask the round's reward model."""
        asking = [one for one in self.terms.values() if isinstance(one, ModelRewardConfig) and one.uses_trained]
        return frozenset(name for one in asking for name in one.asked)

    def reading(self) -> tuple[RewardTerm, ...]:
        """Terms that hold answers against something in the prompt's row."""
        return tuple(term for term in self.terms.values() if term.reads)

    def judges(self) -> Iterator[tuple[str, AutoraterConfig]]:
        """Those that reward."""
        for key, term in self.terms.items():
            if isinstance(term, JudgeRewardConfig):
                yield f"{key}.judge", term.asked

    @property
    def wants_shared_base(self) -> bool:
        """Whether a run must not start where its models cannot stand on one base."""
        return self.shared_base == "always"

    @property
    def gold_share(self) -> float | None:
        """As the guards say."""
        gold = None if self.guards is None else self.guards.gold
        return gold.share if isinstance(gold, FittedGoldConfig) else None

    @property
    def of_value_model(self) -> OptimizerConfig | None:
        """How a value model of its own is trained; None where there is none."""
        return None

    def answers(self) -> int | None:
        """Longest rollout in tokens."""
        return self.sampling.max_new_tokens

    def prompts_at_once(self) -> int | None:
        """Prompts of one batch of rollouts."""
        return self.prompts_per_step

    def checks(self) -> Iterator[Finding]:
        """Greedy or cut-off sampling, no KL without saying so, more minibatches than prompts, an average too slow."""
        found = list(self._problems())
        if not any(one.is_error for one in found):
            yield ok(
                "optimize", f"{self.title}, {self.steps} steps of {self.prompts_per_step} prompts, KL {self.kl.kind}"
            )
        yield from found

    def _problems(self) -> Iterator[Finding]:
        sampling = self.sampling
        if sampling.temperature <= 0:
            said = f"is {sampling.temperature}, and greedy rollouts explore nothing"
            yield error("optimize.sampling.temperature", said, "use 1.0")
        for name, value in sampling.shaping().items():
            said = f"is {value}, which biases the ratio to the rollout policy: it is drawn from another distribution"
            plain = Sampling.model_fields[name].default
            yield error(f"optimize.sampling.{name}", said, f"use {'null' if plain is None else plain} for rollouts")
        if self.kl.kind != "off" and self.kl.coefficient == 0:
            yield error("optimize.kl.coefficient", "is 0", "say optimize.kl.kind=off if no KL control is meant")
        yield from self._same_names()
        if self.minibatches > self.prompts_per_step:
            said = f"is {self.minibatches}, more than the {self.prompts_per_step} prompts of a step"
            yield error("optimize.minibatches", said, "lower it")
        if self.kl.kind == "off":
            said = "is off: nothing keeps the policy close to its start, so it will over-optimize the reward"
            fix = "use adaptive or fixed, unless over-optimization is what you want to see"
            yield warning("optimize.kl.kind", said, fix)
        if self.ema is not None and 1 / (1 - self.ema) > self.steps:
            said = f"{self.ema} averages over about {1 / (1 - self.ema):.0f} steps, but there are only {self.steps}"
            yield warning("optimize.ema", said, "lower it, or leave it out")
        yield from self._looks_problems()
        if self.guards is not None:
            yield from self.guards.problems(steps=self.steps, has_kl=self.kl.kind != "off")

    def _looks_problems(self) -> Iterator[Finding]:
        if self.best is not None and not self.held_out_prompts:
            said = f"chooses by {self.best.measure}, and no prompts are held out"
            yield error("optimize.best", said, "set optimize.eval_prompts, say to 32, or leave it out")
        if self.guards is not None and self.eval_prompts:
            said = f"is {self.eval_prompts}, and guards hold out {self.guards.prompts} prompts of their own"
            yield error("optimize.eval_prompts", said, "leave it out: evaluations take the guards' prompts")
        if self.guards is not None and self.best is not None and self.guards.then in ("stop", "keep_best"):
            said = f"chooses the weights of the result, and optimize.guards.then {self.guards.then} does so too"
            yield error("optimize.best", said, "leave it out, or set optimize.guards.then to warn or raise_kl")

    def _same_names(self) -> Iterator[Finding]:
        of_costs = [one.cost.title for one in self.constraints]
        for key, names in (("rewards", [term.title for term in self.rewards]), ("constraints", of_costs)):
            for name in dict.fromkeys(name for name in names if names.count(name) > 1):
                said = f"has {names.count(name)} terms called {name!r}, which a log could not tell apart"
                yield error(f"optimize.{key}", said, "give each a name of its own")


class PPOConfig(OnPolicyConfig):
    """Proximal policy optimization, with a value model of its own or a value head on the policy's states."""

    title: ClassVar[str] = "PPO"

    kind: Literal["ppo"] = "ppo"
    """Which method moves the policy."""
    gamma: float = Field(default=1.0, gt=0, le=1)
    """Discount per token."""
    lam: float = Field(default=1.0, ge=0, le=1)
    """GAE lambda: of what the value model did not foresee at a token, the share that each token before it learns. With
    1 every token of an answer learns from its score; at 0.95 a score halves every 14 tokens."""
    epochs: int = Field(default=4, ge=1)
    """Passes over each batch of rollouts."""
    value: Literal["own_model", "shared_trunk"] = Field(default="own_model", json_schema_extra={"added_later": True})
    """own_model: a second model, which starts from the reward model, predicts the reward to expect. shared_trunk: a
    linear head on the policy's last states does, in the same pass as the log-probabilities, and its error trains the
    policy's layers too; it begins at zero in each round. There is a whole model less to hold and to compute, but values
    and answers pull at the same weights. Not with `compute.kind: ray`, nor for models in padded rows."""
    value_clip: float | None = Field(default=0.2, gt=0)
    """Value clip around the old value; null: not clipped."""
    value_coefficient: float = Field(default=0.1, gt=0)
    """Factor on 0.5 * squared value error. A value model of its own has its own Adam, so it acts through clipping; with
    a shared trunk it is the weight of the value loss beside the policy's in the trunk's gradient."""
    critic_warmup: int = Field(default=2, ge=0)
    """Batches at the start that train only the value model, or only the value head."""
    value_optimizer: OptimizerConfig = OptimizerConfig(learning_rate=5e-6, schedule="constant", warmup=0.0)
    """Optimizer of the value model; with a shared trunk of the head alone, and `optimizer` is that of the trunk."""

    @property
    def shares_trunk(self) -> bool:
        """As `value` says."""
        return self.value == "shared_trunk"

    @property
    def of_value_model(self) -> OptimizerConfig | None:
        """Its optimizer; None where the policy's own states are read."""
        return None if self.shares_trunk else self.value_optimizer

    @property
    def wants(self) -> frozenset[Need]:
        """As every on-policy method, and a reward model where the run fits one: the value model starts from it."""
        return super().wants if self.shares_trunk else super().wants | {"reward"}

    def _problems(self) -> Iterator[Finding]:
        yield from super()._problems()
        if self.critic_warmup >= self.steps:
            said = f"is {self.critic_warmup} of {self.steps} steps, so the policy never moves"
            yield error("optimize.critic_warmup", said, "lower it, or raise optimize.steps")


class GroupKLConfig(KLConfig):
    """The term that keeps the policy close to where it started, for methods that compare answers to one prompt."""

    kind: Literal["adaptive", "fixed", "off"] = "fixed"
    """adaptive: a controller steers to `target`. fixed: the coefficient stays. off: no KL term; it must be set
    explicitly, because without a KL term the policy over-optimizes the reward model."""
    coefficient: float = Field(default=0.04, ge=0)
    """Price of one nat (start value if adaptive)."""
    estimator: Literal["k1", "k3"] = "k3"
    """k3: added to the loss of every token (Shao et al. 2024, eq. 4); k1: subtracted from each answer's reward."""


class GRPOConfig(OnPolicyConfig):
    """Group-relative policy optimization: every answer is compared with the others to its prompt; there is no
    value model."""

    title: ClassVar[str] = "GRPO"

    kind: Literal["grpo"] = "grpo"
    """Which method moves the policy."""
    samples_per_prompt: int = Field(default=8, ge=2)
    """Rollouts per prompt, compared with one another; their prompt is computed once."""
    kl: GroupKLConfig = GroupKLConfig()
    """How the policy is kept close to where it started."""
    clip_high: float | None = Field(default=None, gt=0)
    """Upper clip of the ratio where it differs from the lower (0.28 in DAPO); null: `clip`."""
    scale: Literal["std", "none"] = "std"
    """Divide advantages by the deviation of the group's rewards, or not (Dr. GRPO)."""
    average: Literal["answer", "token", "constant"] = "answer"
    """Mean over each answer's tokens, then over answers; over all tokens alike (DAPO); or the sum of an answer's tokens
    over the length limit (Dr. GRPO)."""
    overlong_buffer: int = Field(default=0, ge=0)
    """Tokens before the length limit over which an answer loses up to 1 of its reward (DAPO); 0: off."""

    def _problems(self) -> Iterator[Finding]:
        yield from super()._problems()
        if self.overlong_buffer > self.sampling.max_new_tokens:
            said = f"is {self.overlong_buffer}, more than the {self.sampling.max_new_tokens} tokens of an answer"
            yield error("optimize.overlong_buffer", said, "lower it")


class RLOOConfig(OnPolicyConfig):
    """REINFORCE leave-one-out: each whole answer is compared with the mean of the others to its prompt."""

    title: ClassVar[str] = "RLOO"
    acts_in_answers: ClassVar[bool] = True

    kind: Literal["rloo"] = "rloo"
    """Which method moves the policy."""
    samples_per_prompt: int = Field(default=8, ge=2)
    """Rollouts per prompt, compared with one another; their prompt is computed once."""


class ReinforceConfig(OnPolicyConfig):
    """REINFORCE++: PPO's clip and token-level KL without a value model, advantages whitened over the whole batch."""

    title: ClassVar[str] = "REINFORCE++"

    kind: Literal["reinforce++"] = "reinforce++"
    """Which method moves the policy."""
    baseline: Literal["none", "group"] = "none"
    """Subtract the mean reward of the prompt's answers first (REINFORCE++-baseline, for several rollouts a prompt)."""
