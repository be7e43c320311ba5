"""Knobs of the trainers. Defaults are for models of some 100M parameters upward; the lab's config overrides them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from assent.core.config import Config
from assent.generation.config import Sampling
from assent.learner.config import OptimizerConfig


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
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=1e-5)
    """Optimizer of this stage."""

    @model_validator(mode="after")
    def _check(self) -> RewardConfig:
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


class ModelRewardConfig(Config):
    """The round's reward model, or another one from a folder."""

    kind: Literal["model"] = "model"
    """Which kind of reward this is."""
    path: str | None = Field(default=None, json_schema_extra={"outside": "model"})
    """Folder of a reward model; null: the one this round trained."""
    weight: float = 1.0
    """Factor in the sum of rewards."""


class PythonRewardConfig(Config):
    """A Python function `(prompts, completions) -> scores`."""

    kind: Literal["python"] = "python"
    """Which kind of reward this is."""
    target: str = Field(json_schema_extra={"outside": "python"})
    """"package.module:function"; prompts are `Prompt`, completions are texts, scores are floats, one each."""
    weight: float = 1.0
    """Factor in the sum of rewards."""


RewardTerm = Annotated[ModelRewardConfig | PythonRewardConfig, Field(discriminator="kind")]


class KLConfig(Config):
    """The term that holds the policy near where it started; k1 in the reward, per token."""

    kind: Literal["adaptive", "fixed", "off"] = "adaptive"
    """`off` has to be said: without it the policy learns to please the reward model and nobody else."""
    coefficient: float = Field(default=0.05, ge=0)
    """Reward lost per nat and token (start value if adaptive)."""
    target: float = Field(default=6.0, gt=0)
    """KL per response in nats that the adaptive controller steers to."""
    horizon: int = Field(default=10_000, ge=1)
    """Responses over which the adaptive controller acts (Ziegler et al. 2019)."""


class PTXConfig(Config):
    """Mix the demonstrations' next-token loss into PPO (Ouyang et al. 2022, eq. 2)."""

    coefficient: float = Field(default=0.0, ge=0)
    """Weight of the next-token loss relative to the policy loss; 0: off."""
    batch_size: int = Field(default=32, ge=1)
    """Demonstrations per optimizer step."""


class PPOConfig(Config):
    """Proximal policy optimization with a separate value model."""

    kind: Literal["ppo"] = "ppo"
    """Which method moves the policy."""
    steps: int = Field(default=100, ge=1)
    """Batches of rollouts."""
    prompts_per_step: int = Field(default=64, ge=1)
    """Prompts per batch."""
    samples_per_prompt: int = Field(default=4, ge=1)
    """Rollouts per prompt; their prompt is computed once."""
    sampling: Sampling = Sampling(temperature=1.0, max_new_tokens=128)
    """Rollout sampling; top-p and greedy decoding would bias the ratio and are refused."""
    rewards: tuple[RewardTerm, ...] = (ModelRewardConfig(),)
    """Weighted sum of reward models and Python functions."""
    normalize_reward: bool = True
    """Shift and scale each reward model's score by its mean and deviation on the training answers."""
    reward_clip: float | None = Field(default=5.0, gt=0)
    """The summed reward is clipped to plus or minus this; null: not clipped."""
    missing_eos_penalty: float = Field(default=1.0, ge=0)
    """Subtracted from the reward of an answer that did not end."""
    kl: KLConfig = KLConfig()
    """How the policy is held near its start."""
    gamma: float = Field(default=1.0, gt=0, le=1)
    """Discount per token."""
    lam: float = Field(default=0.95, ge=0, le=1)
    """GAE lambda."""
    epochs: int = Field(default=4, ge=1)
    """Passes over each batch of rollouts."""
    minibatches: int = Field(default=1, ge=1)
    """Optimizer steps per pass."""
    clip: float = Field(default=0.2, gt=0)
    """Policy ratio clip."""
    value_clip: float | None = Field(default=0.2, gt=0)
    """Value clip around the old value; null: not clipped."""
    value_coefficient: float = Field(default=0.1, gt=0)
    """Factor on 0.5 * squared value error; the value model has its own optimizer, so it acts through clipping."""
    kl_limit: float | None = Field(default=0.1, gt=0)
    """Stop using a batch once the mean KL per token to its rollout policy exceeds this; null: never."""
    critic_warmup: int = Field(default=2, ge=0)
    """Batches that train only the value model, before the policy moves."""
    ptx: PTXConfig = PTXConfig()
    """Mix of the demonstrations' loss."""
    ema: float | None = Field(default=None, gt=0, lt=1)
    """Decay per step of a moving average of the weights, which is then the result (0.992 in InstructGPT); null: off."""
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=1e-6, schedule="constant", warmup=0.02)
    """Optimizer of the policy."""
    value_optimizer: OptimizerConfig = OptimizerConfig(learning_rate=5e-6, schedule="constant", warmup=0.0)
    """Optimizer of the value model."""


class DPOConfig(Config):
    """Direct preference optimization on the same judgments (Rafailov et al. 2023)."""

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


OptimizeConfig = Annotated[PPOConfig | DPOConfig, Field(discriminator="kind")]
