"""The memory plan: does every stage fit, with how many tokens at once, and are layers computed again in backward?

Made from the settings and the shape of the base before anything runs, and again at each start. It changes no result:
what it chooses are settings that no key depends on. Estimates are within a quarter of what was measured
(benchmarks/memory_plan.py), so a run is refused only where even three quarters of the estimate do not fit.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from assent.core.config import Config
from assent.core.errors import ConfigError
from assent.core.findings import Finding, error, note, ok, warning
from assent.core.memory import GIB, Memory, memory_of, size
from assent.models.config import LoraConfig
from assent.models.memory import Pass
from assent.pipeline.config import RunConfig
from assent.pipeline.memory_needs import Learning, Need, needs, shape_of

SURE = 0.9
"""Share of what is free that a stage may take by estimate before something is changed for it."""
OFF = 0.75
"""The least that a stage may turn out to take, as a share of the estimate."""
FEWEST = 256
"""A micro-batch of fewer tokens than these is made of single rows mostly."""
FEWEST_ROWS = 8
"""Answers that are sampled at once, however little memory there is."""
FULL = {"cpu": 1024, "cuda": 4096}
"""Tokens from which on a micro-batch keeps a device busy: fewer cost more time than computing layers again."""


@dataclass(frozen=True)
class Fit:
    """How one stage is run, and what it then takes."""

    need: Need
    passes: Mapping[str, Pass]
    """By the key of each optimizer."""
    rows: int
    """Answers that are sampled at once."""
    total: float
    memory: Memory

    @property
    def is_sure(self) -> bool:
        """Whether it fits by estimate."""
        return self.total <= SURE * self.memory.free

    @property
    def is_hopeless(self) -> bool:
        """Whether it cannot fit, however far off the estimate may be."""
        return OFF * self.total > self.memory.total

    def line(self) -> str:
        """The stage, its bytes, and what was chosen for it."""
        chosen = "".join(f"; {text}" for text in self.chosen())
        return f"{self.need.stage}: about {size(self.total)} ({self.parts()}){chosen}"

    def parts(self) -> str:
        """What the bytes are for."""
        need, device = self.need, self.memory.device
        parts = [f"{need.models} {size(need.weights)}"]
        moving = [(one, self.passes[one.key]) for one in need.learning]
        if moving:
            most = max(one.moving(how, device) for one, how in moving)
            gradients = max(4 * one.weights.trained(one.shape) for one, _ in moving)
            parts.append(f"moments {size(sum(one.steady for one in need.learning))}")
            parts += [f"gradients {size(gradients)}", f"activations {size(most - gradients)}"]
        if need.rows:
            if copied := need.copied.get(device, 0.0):
                parts.append(f"a copy to draw from {size(copied)}")
            parts.append(f"keys and values of {self.rows} answers {size(self.rows * need.row)}")
        return ", ".join(parts)

    def chosen(self) -> Iterator[str]:
        """What is not as it was asked for, in words."""
        for one in self.need.learning:
            how, optimizer = self.passes[one.key], one.optimizer
            if how.tokens < optimizer.tokens_per_microbatch:
                yield f"{one.key}: {how.tokens} tokens at once in place of {optimizer.tokens_per_microbatch}"
            if how.is_checkpointed:
                yield f"{one.key}: gradient checkpointing"
        if self.rows < self.need.rows:
            yield f"{self.rows} answers sampled at once in place of {self.need.rows}"


@dataclass(frozen=True)
class MemoryPlan:
    """Every stage of a run."""

    fits: tuple[Fit, ...]
    memory: Memory | None
    unknown: str = ""
    """Why nothing is planned."""
    held: str = ""
    """What is held otherwise than the settings say, in words."""

    @classmethod
    def of(cls, config: RunConfig, there: Memory | None = None) -> MemoryPlan:
        """By the memory that there is, or that `there` says."""
        shape = shape_of(config)
        if shape is None:
            return cls((), None, "the base is not here yet, so its size is not known")
        found = there or memory_of(config.compute.device)
        if found is None:
            return cls((), None, "how much memory there is cannot be read here")
        limit = config.compute.memory_gib
        found = found.at_most(None if limit is None else limit * GIB)
        held = _held(config, found.device)
        said = "" if held.model == config.model else "; models are held in float32: this CPU has no bfloat16 products"
        return cls(tuple(_fit(need, found) for need in needs(held, shape)), found, held=said)

    def lines(self) -> list[str]:
        """For people, before a run."""
        if self.memory is None:
            return [f"memory: not planned: {self.unknown}"]
        return [f"memory: {self.memory.said}{self.held}", *(f"  {fit.line()}{_doubt(fit)}" for fit in self.fits)]

    def brief(self) -> list[str]:
        """At the start of a run: the fullest stage, and those for which something was chosen or doubtful."""
        if self.memory is None or not self.fits:
            return self.lines()[:1]
        fullest = max(self.fits, key=lambda fit: fit.total)
        shown = [fit for fit in self.fits if fit is fullest or list(fit.chosen()) or not fit.is_sure]
        return [f"memory: {self.memory.said}{self.held}; {len(self.fits)} stages planned, the fullest:"] + [
            f"  {fit.line()}{_doubt(fit)}" for fit in shown
        ]

    @property
    def is_hopeless(self) -> bool:
        """Whether any stage cannot fit."""
        return any(fit.is_hopeless for fit in self.fits)

    def applied(self, config: RunConfig) -> RunConfig:
        """The settings with what was chosen."""
        for fit in self.fits:
            for key, how in fit.passes.items():
                config = _with(config, key.split("."), how)
        fewest = min((fit.rows for fit in self.fits if fit.rows < fit.need.rows), default=config.compute.max_live_rows)
        return config.model_copy(update={"compute": config.compute.model_copy(update={"max_live_rows": fewest})})

    def refuse(self, config: RunConfig, open_stages: Collection[str]) -> None:
        """Raise ConfigError for the first stage still to do that cannot fit, with what would."""
        for fit in self.fits:
            if fit.is_hopeless and fit.need.stage in open_stages:
                raise ConfigError(f"{_too_large(fit)}; {'; '.join(would_fit(config, fit.memory))}")

    def findings(self, config: RunConfig) -> Iterator[Finding]:
        """What `assent doctor` says."""
        if self.memory is None:
            yield note("memory", f"is not planned: {self.unknown}")
        for fit in self.fits:
            if fit.is_hopeless:
                yield error("memory", _too_large(fit), "; ".join(would_fit(config, fit.memory)))
            elif not fit.is_sure:
                yield warning("memory", f"{fit.line()}{_doubt(fit)}", "free some, or set model.lora")
            elif list(fit.chosen()):
                yield note("memory", fit.line())
            else:
                yield ok("memory", fit.line())


def would_fit(config: RunConfig, there: Memory) -> list[str]:
    """Settings under which every stage fits, in words; never empty."""
    lora = config.model.lora or LoraConfig()
    tried: list[tuple[str, dict[str, Any]]] = [
        ("set model.lora: {rank: 16}", {"lora": lora, "dtype": "float32"}),
        ("set model: {lora: {rank: 16}, dtype: bfloat16}", {"lora": lora, "dtype": "bfloat16"}),
        (
            "set model: {lora: {rank: 16}, dtype: bfloat16, quantize: nf4}",
            {"lora": lora, "dtype": "bfloat16", "quantize": "nf4"},
        ),
    ]
    found = []
    for said, changed in tried:
        other = config.model_copy(update={"model": config.model.model_copy(update=changed)})
        if other.model == config.model:
            continue
        shape = shape_of(other)
        fits = [] if shape is None else [_fit(need, there) for need in needs(_held(other, there.device), shape)]
        if fits and all(fit.is_sure for fit in fits):
            found.append(f"{said} (about {size(max(fit.total for fit in fits))})")
    return found[:2] or ["take a smaller base, or a machine with more memory"]


def _held(config: RunConfig, device: str) -> RunConfig:
    """With models as the device holds them."""
    return config.model_copy(update={"model": config.model.held_on(device)})


def _fit(need: Need, there: Memory) -> Fit:
    """The fastest way that fits, else the one that takes least."""
    best: Fit | None = None
    for passes in _ways(need.learning, there):
        rows = _rows(need, there)
        one = Fit(need, passes, rows, need.total(there.device, passes, rows), there)
        if one.is_sure:
            return one
        best = one if best is None or one.total < best.total else best
    assert best is not None
    return best


def _rows(need: Need, there: Memory) -> int:
    """As many answers at once as there is room for, of those asked for."""
    if not need.rows:
        return 0
    room = int((SURE * there.free - need.resting(there.device) - need.copied.get(there.device, 0.0)) / need.row)
    return max(min(FEWEST_ROWS, need.rows), min(room, need.rows))


def _ways(learning: tuple[Learning, ...], there: Memory) -> Iterator[dict[str, Pass]]:
    """From fast to small: as asked, fewer tokens while they keep the device busy, layers again, still fewer tokens."""
    full = FULL[there.device]
    for is_again, least, most in ((False, full, None), (True, full, None), (True, FEWEST, full), (False, FEWEST, full)):
        divisor = 1
        while True:
            passes = {one.key: _pass(one, is_again, divisor, least) for one in learning}
            if most is None or any(how.tokens < most for how in passes.values()):
                yield passes
            divisor *= 2
            if all(
                how.tokens <= least or divisor > one.optimizer.tokens_per_microbatch
                for one in learning
                for how in [passes[one.key]]
            ):
                break


def _pass(one: Learning, is_again: bool, divisor: int, least: int) -> Pass:
    asked = min(one.optimizer.tokens_per_microbatch, one.optimizer.most_tokens or 2**31)
    tokens = asked if one.optimizer.most_tokens is not None else max(asked // divisor, min(asked, least))
    setting = one.optimizer.checkpointing
    return Pass(tokens, is_again if setting == "auto" else setting == "on")


def _with(config: Any, keys: list[str], how: Pass) -> Any:
    """A copy of nested settings with one optimizer's choices."""
    if not keys:
        changed: dict[str, Any] = {"checkpointing": "on" if how.is_checkpointed else "off"}
        if how.tokens < config.tokens_per_microbatch:
            changed["most_tokens"] = how.tokens
        return config.model_copy(update=changed)
    inner: Config = getattr(config, keys[0])
    return config.model_copy(update={keys[0]: _with(inner, keys[1:], how)})


def _too_large(fit: Fit) -> str:
    return f"{fit.need.stage} needs about {size(fit.total)} of memory ({fit.parts()}), and {fit.memory.said}"


def _doubt(fit: Fit) -> str:
    if fit.is_hopeless:
        return " – does not fit"
    return "" if fit.is_sure else " – may not fit"
