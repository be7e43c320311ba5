"""What every method says of itself, so that nobody else asks which one it is: what it needs, samples, and cannot do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal, NamedTuple

from pydantic import Field

from assent.core.config import Config
from assent.core.errors import ConfigError
from assent.core.findings import Finding, error, ok, warning
from assent.generation.config import Sampling
from assent.learner.config import OptimizerConfig

Need = Literal["prompts", "reward", "judgments", "demonstrations"]
"""What a round can give a method besides the policy it starts from."""


class RankedRows(NamedTuple):
    """The longest prompt with a ranked answer that a method reads, and what becomes of longer ones."""

    max_length: int | None
    """Tokens; None: the model's context."""
    too_long: Literal["error", "drop", "truncate_left"]


class Method(Config):
    """Base of the methods' settings."""

    title: ClassVar[str]
    """What people call it."""
    learns_from: ClassVar[str]
    """The end of "The policy learns from …" in the report."""

    @property
    def needs(self) -> frozenset[Need]:
        """What it cannot do without."""
        raise NotImplementedError

    @property
    def wants(self) -> frozenset[Need]:
        """Inputs of the stage where the round has them: all that it needs, and what it would begin better with."""
        return self.needs

    def answers(self) -> int | None:
        """Longest answer that it samples, in tokens; None where it samples none."""
        return None

    def ranked_rows(self) -> RankedRows | None:
        """Which ranked answers it can read; None where it learns from none."""
        return None

    def prompts_at_once(self) -> int | None:
        """Prompts of one step; None where it samples none."""
        return None

    def checks(self) -> Iterator[Finding]:
        """What cannot work, and what is known to fail."""
        yield ok("optimize", self.title)

    def refuse(self) -> None:
        """Raise ConfigError for the first thing that cannot work: before anything is trained."""
        for found in self.checks():
            if found.is_error:
                raise ConfigError(f"{found.key} {found.message}: {found.fix}")


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
    """Mix the demonstrations' next-token loss into the update (Ouyang et al. 2022, eq. 2)."""

    coefficient: float = Field(default=0.0, ge=0)
    """Weight of the next-token loss relative to the policy loss; 0: off."""
    batch_size: int = Field(default=32, ge=1)
    """Demonstrations per optimizer step."""


class OnPolicyConfig(Method):
    """What every method has that samples from the policy it trains."""

    learns_from: ClassVar[str] = "scores"

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
    epochs: int = Field(default=1, ge=1)
    """Passes over each batch of rollouts."""
    minibatches: int = Field(default=1, ge=1)
    """Optimizer steps per pass."""
    clip: float = Field(default=0.2, gt=0)
    """Policy ratio clip."""
    kl_limit: float | None = Field(default=0.1, gt=0)
    """Stop using a batch once the mean KL per token to its rollout policy exceeds this; null: never."""
    ptx: PTXConfig = PTXConfig()
    """Mix of the demonstrations' loss."""
    ema: float | None = Field(default=None, gt=0, lt=1)
    """Decay per step of a moving average of the weights, which is then the result (0.992 in InstructGPT); null: off."""
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=1e-6, schedule="constant", warmup=0.02)
    """Optimizer of the policy."""

    @property
    def updates(self) -> int:
        """Optimizer steps of the policy, if no batch is cut short."""
        return self.steps * self.epochs * self.minibatches

    @property
    def needs(self) -> frozenset[Need]:
        """Prompts, this round's reward model where a term of the reward is it, demonstrations for the PTX mix."""
        needs: set[Need] = {"prompts"}
        if any(isinstance(term, ModelRewardConfig) and term.path is None for term in self.rewards):
            needs.add("reward")
        if self.ptx.coefficient:
            needs.add("demonstrations")
        return frozenset(needs)

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
        if sampling.top_p < 1:
            said = f"is {sampling.top_p}, which biases the ratio to the rollout policy"
            yield error("optimize.sampling.top_p", said, "use 1.0 for rollouts")
        if self.kl.kind != "off" and self.kl.coefficient == 0:
            yield error("optimize.kl.coefficient", "is 0", "say optimize.kl.kind=off if no KL control is meant")
        if self.minibatches > self.prompts_per_step:
            said = f"is {self.minibatches}, more than the {self.prompts_per_step} prompts of a step"
            yield error("optimize.minibatches", said, "lower it")
        if self.kl.kind == "off":
            said = "is off: the policy learns to please the reward model and nobody else"
            fix = "use adaptive or fixed, unless over-optimization is what you want to see"
            yield warning("optimize.kl.kind", said, fix)
        if self.ema is not None and 1 / (1 - self.ema) > self.steps:
            said = f"{self.ema} averages over about {1 / (1 - self.ema):.0f} steps, but there are only {self.steps}"
            yield warning("optimize.ema", said, "lower it, or leave it out")
