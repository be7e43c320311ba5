"""What each stage of a run holds in memory at once: by its settings and the shape of its base, with nothing loaded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import assert_never, get_args

from assent.core import processor
from assent.core.memory import Device
from assent.learner.config import OptimizerConfig
from assent.models import memory
from assent.models.memory import Pass, Weights
from assent.models.shape import DecoderShape, of_scratch, read_shape
from assent.pipeline.config import PretrainedBase, RunConfig, ScratchBase
from assent.training.guard_config import FittedGoldConfig
from assent.training.on_policy_config import OnPolicyConfig
from assent.training.preference_config import PreferenceConfig
from assent.training.reward_terms import ModelRewardConfig

PROMPT = 512
"""Tokens that a prompt is taken to have at most, before the data are read."""


@dataclass(frozen=True)
class Learning:
    """One model that learns in a stage."""

    key: str
    """Where its optimizer stands in the settings."""
    shape: DecoderShape
    weights: Weights
    optimizer: OptimizerConfig
    keeps_best: bool = False
    """A copy of its trained weights is kept: those of the best evaluation, or a moving average."""

    @property
    def steady(self) -> float:
        """Bytes that stay from step to step beside its frozen weights: adapters, Adam's moments, a copy."""
        trained = self.weights.trained(self.shape)
        own = 4 * trained if self.weights.rank is not None else 0
        return own + 8 * trained + (4 * trained if self.keeps_best else 0)

    def moving(self, one: Pass, device: Device) -> float:
        """Bytes that a step takes for a while: gradients and activations."""
        return 4 * self.weights.trained(self.shape) + memory.activations(self.shape, self.weights, one, device)


@dataclass(frozen=True)
class Need:
    """One stage."""

    stage: str
    weights: float
    """Bytes of all models in memory, adapters and moments not counted."""
    models: str
    """Which they are, in words."""
    learning: tuple[Learning, ...] = ()
    rows: int = 0
    """Answers that are sampled at once."""
    row: float = 0.0
    """Bytes of keys and values of one of them."""
    copied: dict[Device, float] = field(default_factory=dict)
    """Bytes of the copy that they are drawn from, by device."""

    def total(self, device: Device, passes: dict[str, Pass], rows: int) -> float:
        """Bytes at the fullest moment: sampling and the steps of several models come one after the other."""
        peaks = [one.moving(passes[one.key], device) for one in self.learning]
        return self.resting(device) + max([rows * self.row + self.copied.get(device, 0.0), *peaks])

    def resting(self, device: Device) -> float:
        """Bytes that are never given back while the stage runs."""
        return memory.PROCESS[device] + self.weights + sum(one.steady for one in self.learning)


def shape_of(config: RunConfig) -> DecoderShape | None:
    """The base's shape, from its files or its settings alone; None where it is not here yet."""
    match config.base:
        case ScratchBase() as scratch:
            return of_scratch(scratch.shape, scratch.vocab_size)
        case PretrainedBase() as base:
            return read_shape(base.path, base.revision)
        case _ as never:
            assert_never(never)


def needs(config: RunConfig, shape: DecoderShape) -> Iterator[Need]:
    """Every stage that holds a model, in order."""
    trained = _trained(config)
    if isinstance(config.base, ScratchBase):
        full = Weights(has_copies=_has_copies(config))
        yield _training("base", "base.pretrain.optimizer", config.base.pretrain.optimizer, shape, full, keeps_best=True)
    if config.sft is not None:
        yield _training("sft", "sft.optimizer", config.sft.optimizer, shape, trained, keeps_best=True)
    if (revise := config.constitution) is not None and revise.sft is not None:
        key = "constitution.sft.optimizer"
        yield _training("sft", key, revise.sft.optimizer, shape, trained, keeps_best=True)
    if config.collect is not None:
        rows = config.sample.prompts * config.sample.answers
        yield _sampling("sample", config, shape, rows, config.sample.sampling.max_new_tokens)
    if config.fits_reward and config.reward is not None:
        scalar = _trained(config, is_scalar=True)
        best = config.reward.best is not None
        yield _training("reward", "reward.optimizer", config.reward.optimizer, shape, scalar, keeps_best=best)
    yield from _optimizing(config, shape, trained)
    if config.evaluate is not None:
        yield _sampling(
            "evaluate", config, shape, config.evaluate.prompts, config.evaluate.sampling.max_new_tokens, judged=True
        )


def _optimizing(config: RunConfig, shape: DecoderShape, trained: Weights) -> Iterator[Need]:
    match config.optimize:
        case PreferenceConfig() as method:
            best = method.best is not None
            yield _training("optimize", "optimize.optimizer", method.optimizer, shape, trained, keeps_best=best)
        case OnPolicyConfig() as method:
            yield _on_policy(config, method, shape, trained)
        case None:
            pass
        case _ as never:
            assert_never(never)


def _on_policy(config: RunConfig, method: OnPolicyConfig, shape: DecoderShape, trained: Weights) -> Need:
    """The policy, its start, the reward models and the value model, as many copies of the base as there are."""
    one, scalar = trained.size(shape), _trained(config, is_scalar=True)
    is_lora = config.model.lora is not None
    is_shared = config.model.lora is not None and method.shared_base != "never" and not config.model.lora.use_dora
    is_shared &= trained.dtype == "float32" or method.shared_base == "always"
    models, total = ["policy"], one
    if not is_lora:
        models.append("its start")
        total += one
    own = 1 if any(term.uses_trained for term in method.terms.values()) else 0
    own += 1 if method.guards is not None and isinstance(method.guards.gold, FittedGoldConfig) else 0
    if own:
        models.append("reward model" if own == 1 else f"{own} reward models")
        total += 0 if is_shared else own * _frozen(config, is_scalar=True).size(shape)
    for path in _other_models(method):
        if (other := read_shape(path)) is not None:
            models.append(path)
            total += _frozen(config, is_scalar=True).size(other)
    learning = [Learning("optimize.optimizer", shape, trained, method.optimizer, _averages(method))]
    if (optimizer := method.of_value_model) is not None:
        models.append("value model")
        total += 0 if is_shared else scalar.size(shape)
        learning.append(Learning("optimize.value_optimizer", shape, scalar, optimizer))
    if method.shares_trunk:
        models.append("value head")  # a few numbers: one state wide, with its moments
    said = ", ".join(models) + (" on one base" if is_shared and len(models) > 1 else "")
    rows = method.prompts_per_step * method.samples_per_prompt
    row = _cache(shape, trained, method.sampling.max_new_tokens)
    copied = _copied(config, shape, trained)
    return Need("optimize", total, said, tuple(learning), min(config.compute.max_live_rows, rows), row, copied)


def _averages(method: OnPolicyConfig) -> bool:
    keeps = method.guards is not None and method.guards.then in ("stop", "keep_best")
    return method.ema is not None or method.best is not None or keeps


def _other_models(method: OnPolicyConfig) -> list[str]:
    terms = [one for one in method.terms.values() if isinstance(one, ModelRewardConfig)]
    return [one.path for one in terms if one.path is not None and Path(one.path).is_dir()]


def _training(
    stage: str, key: str, optimizer: OptimizerConfig, shape: DecoderShape, weights: Weights, *, keeps_best: bool
) -> Need:
    learning = Learning(key, shape, weights, optimizer, keeps_best)
    return Need(stage, weights.size(shape), "one model", (learning,))


def _sampling(
    stage: str, config: RunConfig, shape: DecoderShape, rows: int, longest: int, *, judged: bool = False
) -> Need:
    weights = _frozen(config)
    total = weights.size(shape)
    is_judged = judged and config.collect is None and config.fits_reward
    if is_judged:
        total += _frozen(config, is_scalar=True).size(shape)
    said = "the policy, its reward model" if is_judged else "the policy"
    rows = min(config.compute.max_live_rows, rows)
    copied = _copied(config, shape, weights)
    return Need(stage, total, said, rows=rows, row=_cache(shape, weights, longest), copied=copied)


def _copied(config: RunConfig, shape: DecoderShape, weights: Weights) -> dict[Device, float]:
    is_rounded = config.compute.rollout_dtype == "bfloat16"
    found = {}
    for device in get_args(Device):
        drawn_in = "bfloat16" if is_rounded and processor.computes_bfloat16(device) else weights.dtype
        found[device] = memory.laid_out(shape, weights, drawn_in, device)
    return found


def _cache(shape: DecoderShape, weights: Weights, longest: int) -> float:
    prompt = min(PROMPT, shape.context)
    return memory.cache(shape, weights, rows=1, length=min(shape.context, PROMPT + longest), prompt=prompt)


def _trained(config: RunConfig, *, is_scalar: bool = False) -> Weights:
    lora = config.model.lora
    rank = None if lora is None else lora.rank
    quantize = None if lora is None else config.model.quantize
    return Weights(config.model.dtype, rank, is_scalar, quantize, _has_copies(config))


def _frozen(config: RunConfig, *, is_scalar: bool = False) -> Weights:
    return Weights(config.model.dtype, None, is_scalar, has_copies=_has_copies(config))


def _has_copies(config: RunConfig) -> bool:
    """`auto` may come to copies: they are counted."""
    return config.model.dtype == "float32" and config.model.products != "float32"
