"""Knobs of the trainers. Defaults are for models of some 100M parameters upward; the lab's config overrides them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field, model_validator

from assent.core.config import Config
from assent.core.findings import Finding, error
from assent.learner.config import OptimizerConfig
from assent.training.method import KLConfig, Method, Need, OnPolicyConfig, RankedRows


class SFTConfig(Config):
    """Supervised fine-tuning on demonstrations: next-token loss on assistant turns."""

    epochs: float = Field(default=2.0, gt=0)
    """Passes over the demonstrations."""
    batch_size: int = Field(default=32, ge=1)
    """Demonstrations per optimizer step."""
    max_length: int | None = None
    """Longest demonstration in tokens; null: the model's context."""
    too_long: Literal["error", "drop", "truncate_left"] = "drop"
    """What happens to longer ones."""
    eval_share: float = Field(default=0.05, ge=0, lt=1)
    """Share of prompts held out for the evaluation loss."""
    evals_per_epoch: int = Field(default=1, ge=0)
    """How often the held-out loss is measured."""
    patience: int | None = Field(default=3, ge=1)
    """Stop after so many evaluations without improvement and keep the best weights; null: never."""
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=2e-5)
    """Optimizer of this stage."""


class JointRatersConfig(Config):
    """Reward and raters fitted together: sharpness, leans and cut-points of each rater, and the taste of each group."""

    kind: Literal["joint"] = "joint"
    """How raters enter the loss."""
    group_by: tuple[str, ...] = ("group", "region")
    """Attributes that raters may have told; the first with two or more known values forms the groups. []: no groups."""
    warmup: float = Field(default=0.25, gt=0, le=1)
    """Share of the first pass in which all raters count alike."""
    refits_per_epoch: int = Field(default=4, ge=1)
    """How often in each pass the raters' parameters are fitted anew."""
    sharpness_spread: float = Field(default=0.5, gt=0)
    """Prior standard deviation over raters of sharpness, whose prior mean is 1."""
    position_spread: float = Field(default=0.3, gt=0)
    """The same of the lean to the answer shown first, in logits, around the pool's."""
    length_spread: float = Field(default=0.3, gt=0)
    """The same of the lean to longer answers, in logits per unit of log words, around the pool's."""
    cuts_spread: float = Field(default=0.5, gt=0)
    """The same of log widths between cut-points (ties, strengths), around the pool's."""
    taste_spread: float = Field(default=0.3, gt=0)
    """Prior size of a group's own taste, in standard deviations of the score gap."""


class NoRatersConfig(Config):
    """All raters count alike."""

    kind: Literal["none"] = "none"
    """How raters enter the loss."""


RaterTermsConfig = Annotated[JointRatersConfig | NoRatersConfig, Field(discriminator="kind")]


class RewardConfig(Config):
    """A reward model from rankings of any K."""

    raters: RaterTermsConfig = JointRatersConfig()
    """Raters in the loss, or all alike; with `joint`, ties and strengths are read by each rater's cut-points."""
    loss: Literal["bradley_terry", "plackett_luce"] = "bradley_terry"
    """All pairs of a ranking weighted 2/K (Ouyang et al. 2022), or the likelihood of the whole order."""
    ties: Literal["davidson", "rao_kupper", "half", "ignore"] = "davidson"
    """How tied answers enter the likelihood: with a learned tie strength, as half a win each way, or not at all."""
    margins: Literal["none", "small", "large"] = "none"
    """Margins from stated strengths, after Llama 2's tables (Touvron et al. 2023); none: strengths are not used."""
    centering: float = Field(default=0.01, ge=0)
    """Weight of the squared mean score, which keeps scores near zero."""
    epochs: float = Field(default=1.0, gt=0)
    """Passes over the comparisons; more than one overfits quickly."""
    batch_size: int = Field(default=32, ge=1)
    """Comparisons (prompts with their K answers) per optimizer step."""
    max_length: int | None = None
    """Longest prompt and answer in tokens; null: the model's context."""
    too_long: Literal["error", "drop", "truncate_left"] = "truncate_left"
    """What happens to longer ones."""
    eval_share: float = Field(default=0.15, gt=0, lt=1)
    """Share of prompts held out for accuracy and calibration."""
    population: dict[str, dict[str, float]] = Field(default_factory=dict, json_schema_extra={"added_later": True})
    """Attribute of raters -> group -> share in the population that the reward should speak for; {}: as they come."""
    population_cap: float = Field(default=5.0, ge=1, json_schema_extra={"added_later": True})
    """No judgment weighs more than so many times the mean."""
    augment: tuple[str, ...] = Field(default=(), json_schema_extra={"added_later": True})
    """Axes of words for people (name, identity, religion, age, nationality) that are exchanged in copies of pairs."""
    debias: tuple[Literal["length", "position", "identity"], ...] = Field(
        default=(), json_schema_extra={"added_later": True}
    )
    """Leans that are fitted beside the reward and dropped at scoring."""
    swaps: Path | None = Field(default=None, json_schema_extra={"outside": "file", "added_later": True})
    """Words for people, for `augment` and `debias: [identity]`: a .yaml file or a folder; null: those of Assent."""
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=1e-5)
    """Optimizer of this stage."""

    @model_validator(mode="after")
    def _check(self) -> RewardConfig:
        for attribute, shares in self.population.items():
            if abs(sum(shares.values()) - 1) > 0.01 or min(shares.values(), default=0) <= 0:
                raise ValueError(f"population.{attribute}: shares should lie above 0 and add up to 1, got {shares}")
        if self.population and self.loss == "plackett_luce":
            raise ValueError(
                "population weighs pairs, and loss plackett_luce reads whole orders; set loss to bradley_terry"
            )
        if self.raters.kind == "joint" and (self.loss, self.ties, self.margins) != (
            "bradley_terry",
            "davidson",
            "none",
        ):
            raise ValueError(
                f"raters.kind joint reads pairs, ties and strengths by cut-points of its own, so loss {self.loss}, ties"
                f" {self.ties}, margins {self.margins} would do nothing; leave them out, or set raters.kind to none"
            )
        if self.loss == "plackett_luce" and self.ties != "davidson":
            raise ValueError(
                f"loss plackett_luce treats ties by Davidson-Luce; set ties to davidson instead of {self.ties}"
            )
        return self


class PPOConfig(OnPolicyConfig):
    """Proximal policy optimization with a separate value model."""

    title: ClassVar[str] = "PPO"

    kind: Literal["ppo"] = "ppo"
    """Which method moves the policy."""
    gamma: float = Field(default=1.0, gt=0, le=1)
    """Discount per token."""
    lam: float = Field(default=0.95, ge=0, le=1)
    """GAE lambda."""
    epochs: int = Field(default=4, ge=1)
    """Passes over each batch of rollouts."""
    value_clip: float | None = Field(default=0.2, gt=0)
    """Value clip around the old value; null: not clipped."""
    value_coefficient: float = Field(default=0.1, gt=0)
    """Factor on 0.5 * squared value error; the value model has its own optimizer, so it acts through clipping."""
    critic_warmup: int = Field(default=2, ge=0)
    """Batches that train only the value model, before the policy moves."""
    value_optimizer: OptimizerConfig = OptimizerConfig(learning_rate=5e-6, schedule="constant", warmup=0.0)
    """Optimizer of the value model."""

    @property
    def wants(self) -> frozenset[Need]:
        """As every on-policy method, and a reward model where the run fits one: the value model starts from it."""
        return super().wants | {"reward"}

    def _problems(self) -> Iterator[Finding]:
        yield from super()._problems()
        if self.critic_warmup >= self.steps:
            said = f"is {self.critic_warmup} of {self.steps} steps, so the policy never moves"
            yield error("optimize.critic_warmup", said, "lower it, or raise optimize.steps")


class GroupKLConfig(KLConfig):
    """The term that holds the policy near where it started, for methods that compare answers of one prompt."""

    kind: Literal["adaptive", "fixed", "off"] = "fixed"
    """`off` has to be said: without it the policy learns to please the reward model and nobody else."""
    coefficient: float = Field(default=0.04, ge=0)
    """Price of one nat (start value if adaptive)."""
    estimator: Literal["k1", "k3"] = "k3"
    """k3: added to the loss of every token (Shao et al. 2024, eq. 4); k1: subtracted from each answer's reward."""


class GRPOConfig(OnPolicyConfig):
    """Group-relative policy optimization: every answer against the others of its prompt, no value model."""

    title: ClassVar[str] = "GRPO"

    kind: Literal["grpo"] = "grpo"
    """Which method moves the policy."""
    samples_per_prompt: int = Field(default=8, ge=2)
    """Rollouts per prompt, compared with one another; their prompt is computed once."""
    kl: GroupKLConfig = GroupKLConfig()
    """How the policy is held near its start."""
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
    """REINFORCE leave-one-out: whole answers, each against the mean of the others of its prompt."""

    title: ClassVar[str] = "RLOO"

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


class DPOConfig(Method):
    """Direct preference optimization on the same judgments (Rafailov et al. 2023)."""

    title: ClassVar[str] = "DPO"
    learns_from: ClassVar[str] = "the rankings themselves"

    kind: Literal["dpo"] = "dpo"
    """Which method moves the policy."""
    beta: float = Field(default=0.1, gt=0)
    """Strength of the implicit KL."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=0.5)
    """Assumed share of flipped labels (conservative DPO)."""
    epochs: float = Field(default=1.0, gt=0)
    """Passes over the comparisons."""
    batch_size: int = Field(default=32, ge=1)
    """Comparisons per optimizer step; every decided pair of a ranking counts 2/K."""
    max_length: int | None = None
    """Longest prompt and answer in tokens; null: the model's context."""
    too_long: Literal["error", "drop", "truncate_left"] = "drop"
    """What happens to longer ones."""
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=1e-6)
    """Optimizer of the policy."""

    @property
    def needs(self) -> frozenset[Need]:
        """The judgments; no reward model stands between."""
        return frozenset({"judgments"})

    def ranked_rows(self) -> RankedRows:
        """As the settings say."""
        return RankedRows(self.max_length, self.too_long)


OptimizeConfig = Annotated[
    PPOConfig | GRPOConfig | RLOOConfig | ReinforceConfig | DPOConfig, Field(discriminator="kind")
]


def methods() -> dict[str, type[Method]]:
    """Every method by its `kind`."""
    union = get_args(OptimizeConfig)[0]
    return {str(method.model_fields["kind"].default): method for method in get_args(union)}
