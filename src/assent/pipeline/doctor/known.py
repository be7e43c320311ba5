"""Settings with which a run is known to fail, before anything is trained: rates, passes, KL, batches, sampling."""

from __future__ import annotations

import math
from collections.abc import Iterator

from assent.core.findings import Finding, warning
from assent.learner.config import OptimizerConfig
from assent.pipeline.adapter_rates import ADAPTER_RATE, adapter_rates
from assent.pipeline.config import RunConfig, ScratchBase
from assent.training.method import Method
from assent.training.on_policy_config import OnPolicyConfig

TOO_FAST = {"sft": 5e-4, "reward": 2e-4, "optimize": 5e-5, "value": 2e-4, "head": math.inf}
"""Learning rates, for a pretrained model of 10⁹ weights that is trained whole, beyond which what it knows is lost.
A new head knows nothing."""
LARGEST_FACTOR = 10.0
"""Small models bear more, as the inverse square root of their size, but at most so many times as much."""
SLOWEST = 1e-8
"""Below this, Adam moves no float32 weight of usual size within a thousand steps by a part in a thousand."""
SLOW_HEAD = 1e-4
"""Below this, a value head that starts at zero stays near it: Adam moves a weight by at most the rate in a step."""
PASSES = {"sft": 8, "reward": 5, "optimize": 5}
"""Passes over the same rows of a pretrained model, after which it knows them by heart."""
KL_TARGETS = (0.5, 200.0)
"""Nats per answer: a target below the first was meant per token, one above the second holds nothing."""
HOLDS_STILL = 1.0
"""KL coefficient at which a nat costs as much as a standard deviation of reward."""
FEW_ROWS = 16
"""Answers of one optimizer step; advantages of fewer are mostly noise."""
MANY_REPEATS = 30
"""How often each prompt is drawn in one stage."""
MANY_EPOCHS = 8
"""Passes over one batch of rollouts."""
TEMPERATURES = (0.3, 1.5)
DISCOUNTED = 0.1
"""Share of an answer's reward that must reach its first token."""
FEW_EVALUATED = 50
"""Prompts of an evaluation; a win rate of fewer has an interval of more than 0.28."""


def check_known(config: RunConfig, *, parameters: int, prompts: int | None) -> Iterator[Finding]:
    """Warnings, each with what to do.

    `parameters` of the base, 0 where they are not known; `prompts` that a stage can draw from, None likewise.
    """
    yield from _rates(config, parameters)
    if config.model.lora is not None:
        yield from _adapter_rates(config)
    yield from _passes(config)
    if isinstance(config.optimize, OnPolicyConfig):
        yield from _on_policy(config.optimize, prompts)
    elif config.optimize is not None:
        yield from _preferences(config.optimize)
    if config.evaluate is not None and config.evaluate.prompts < FEW_EVALUATED:
        said = f"is {config.evaluate.prompts}: the win rate will be uncertain by about"
        said += f" ±{0.98 / math.sqrt(config.evaluate.prompts):.2f}"
        yield warning("evaluate.prompts", said, f"take {FEW_EVALUATED} or more")


def optimizers(config: RunConfig) -> Iterator[tuple[str, str, OptimizerConfig]]:
    """Every optimizer that moves a pretrained model: its key, whose rate it is held against, its settings."""
    if config.sft is not None:
        yield "sft.optimizer", "sft", config.sft.optimizer
    if config.constitution is not None and config.constitution.sft is not None:
        yield "constitution.sft.optimizer", "sft", config.constitution.sft.optimizer
    if config.reward is not None and config.fits_reward:
        yield "reward.optimizer", "reward", config.reward.optimizer
    for name in type(config.method).model_fields:
        value = getattr(config.method, name)
        if isinstance(value, OptimizerConfig):
            of_value = "head" if config.method.shares_trunk else "value"
            yield f"optimize.{name}", of_value if name == "value_optimizer" else "optimize", value


def _rates(config: RunConfig, parameters: int) -> Iterator[Finding]:
    is_new = isinstance(config.base, ScratchBase)
    adapters = 1.0 if config.model.lora is None else ADAPTER_RATE
    size = 1.0 if not parameters else min(LARGEST_FACTOR, math.sqrt(1e9 / parameters))
    for key, kind, optimizer in optimizers(config):
        rate, limit = optimizer.learning_rate, TOO_FAST[kind] * size * adapters
        if not is_new and rate > limit:
            said = f"is {rate:g}: at more than about {limit:.1g} a model of this size forgets what it was trained on"
            yield warning(f"{key}.learning_rate", said, f"begin with {limit / 20:.1g}")
        if rate < SLOWEST:
            yield warning(f"{key}.learning_rate", f"is {rate:g}: the weights will hardly move", "raise it")
        elif kind == "head" and rate < SLOW_HEAD:
            said = f"is {rate:g}, as for a value model: a value head starts at zero, and will stay near it"
            yield warning(f"{key}.learning_rate", said, "take about 0.001")


def _adapter_rates(config: RunConfig) -> Iterator[Finding]:
    """Rates that were chosen as for training all weights, under which adapters hardly move."""
    reward = config.reward if config.fits_reward else None
    stages = {"sft": config.sft, "reward": reward, "optimize": config.optimize}
    for stage, settings in stages.items():
        for name, usual in adapter_rates(type(settings)) if settings is not None else ():
            rate = getattr(settings, name).learning_rate
            if SLOWEST <= rate <= usual / ADAPTER_RATE:
                said = f"is {rate:g}, as for training all weights: adapters hardly move under it"
                yield warning(f"{stage}.{name}.learning_rate", said, f"take about {usual:g}, or leave it out")


def _passes(config: RunConfig) -> Iterator[Finding]:
    if isinstance(config.base, ScratchBase):
        return
    if config.sft is not None and config.sft.epochs > PASSES["sft"] and config.sft.patience is None:
        said = f"is {config.sft.epochs:g}, and nothing stops it: the demonstrations will be known by heart"
        yield warning("sft.epochs", said, "take 1 to 3, or set sft.patience")
    if config.reward is not None and config.fits_reward and config.reward.epochs > PASSES["reward"]:
        said = f"is {config.reward.epochs:g}: reward models learn single labels by heart after one to three passes"
        yield warning("reward.epochs", said, "take 1 to 3")
    epochs = getattr(config.method, "epochs", 1)
    if not isinstance(config.optimize, OnPolicyConfig) and epochs > PASSES["optimize"]:
        said = f"is {epochs:g}: the policy will know these pairs by heart, and both answers of each become unlikely"
        yield warning("optimize.epochs", said, "take 1 to 3")


def _on_policy(optimize: OnPolicyConfig, prompts: int | None) -> Iterator[Finding]:
    yield from _kl(optimize)
    rows = optimize.prompts_per_step * optimize.samples_per_prompt // optimize.minibatches
    if rows < FEW_ROWS:
        said = f"and samples_per_prompt give {rows} answers for each optimizer step: their advantages are mostly noise"
        yield warning("optimize.prompts_per_step", said, f"take {FEW_ROWS} answers or more, or fewer minibatches")
    if optimize.epochs > MANY_EPOCHS:
        said = f"is {optimize.epochs}: after so many passes the rollouts are those of another policy"
        yield warning("optimize.epochs", said, "take 1 to 4")
    low, high = TEMPERATURES
    if 0 < optimize.sampling.temperature < low or optimize.sampling.temperature > high:
        said = f"is {optimize.sampling.temperature:g}: rollouts are"
        said += " all alike" if optimize.sampling.temperature < low else " mostly noise"
        yield warning("optimize.sampling.temperature", said, "use 1.0")
    if optimize.missing_eos_penalty == 0:
        said = "is 0: an answer that never ends costs nothing, and lengths drift to the limit"
        yield warning("optimize.missing_eos_penalty", said, "use 1.0")
    if optimize.reward_clip is not None and optimize.normalize_reward and optimize.reward_clip < 1:
        said = f"is {optimize.reward_clip:g} standard deviations: most answers get the same reward"
        yield warning("optimize.reward_clip", said, "use 5.0, or null")
    if prompts and (repeats := optimize.steps * optimize.prompts_per_step / prompts) > MANY_REPEATS:
        said = f"draws each of the {prompts} prompts {repeats:.0f} times: the policy learns these prompts by heart"
        yield warning("optimize.steps", said, "give more prompts, or take fewer steps")
    gamma, longest = getattr(optimize, "gamma", 1.0), optimize.sampling.max_new_tokens
    if (reaches := gamma**longest) < DISCOUNTED:
        said = f"is {gamma:g}: of an answer's reward {reaches:.0%} reaches its first of {longest} tokens"
        yield warning("optimize.gamma", said, "use 1.0: answers are short")
    lam = getattr(optimize, "lam", 1.0)
    if optimize.shares_trunk and (reaches := lam**longest) < DISCOUNTED:
        said = f"is {lam:g}: until the value head, which starts at zero, has learned, {reaches:.0%} of an"
        yield warning("optimize.lam", f"{said} answer's score reaches its first of {longest} tokens", "use 1.0")


def _kl(optimize: OnPolicyConfig) -> Iterator[Finding]:
    kl, (low, high) = optimize.kl, KL_TARGETS
    if kl.kind == "adaptive" and kl.target < low:
        said = f"is {kl.target:g} nats per answer, which lets nothing be learned; other tools state it per token"
        fix = f"multiply by the tokens of an answer: {kl.target:g} per token is about"
        yield warning("optimize.kl.target", said, f"{fix} {kl.target * optimize.sampling.max_new_tokens:g} here")
    if kl.kind == "adaptive" and kl.target > high:
        said = f"is {kl.target:g} nats per answer: nothing is held"
        yield warning("optimize.kl.target", said, "use 5 to 50")
    if kl.kind == "fixed" and kl.coefficient > HOLDS_STILL:
        said = f"is {kl.coefficient:g}: a nat costs more than a standard deviation of reward, so nothing moves"
        yield warning("optimize.kl.coefficient", said, "use 0.01 to 0.2")


def _preferences(optimize: Method) -> Iterator[Finding]:
    beta = getattr(optimize, "beta", None)
    if beta is not None and getattr(optimize, "kind", "") == "dpo" and not 0.01 <= beta <= 2:
        said = f"is {beta:g}: " + (
            "the policy runs far from its start" if beta < 0.01 else "the policy is held where it is"
        )
        yield warning("optimize.beta", said, "use 0.05 to 0.5")
    smoothing = getattr(optimize, "label_smoothing", 0.0)
    if smoothing >= 0.4:
        said = f"is {smoothing:g}: labels are taken for little more than coin throws"
        yield warning("optimize.label_smoothing", said, "use the share of wrong labels that you expect, such as 0.1")
