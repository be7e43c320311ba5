"""The time plan: about how long each stage of a run computes, from counted operations and rates of this machine.

An order of magnitude, made before anything runs. What is assumed is said beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from assent.core.findings import Finding, note
from assent.models import flops
from assent.models.shape import DecoderShape
from assent.pipeline.config import RunConfig
from assent.pipeline.time_needs import Known, Sampling, Work, works

OVER = 2.0
"""Time of a stage by that of its products alone. Of a model of 5M on two cores 1.3 to 2.4 was measured for training,
and 2.2 to 2.9 where answers are sampled (docs/performance.md, "Assent beside TRL", by benchmarks/bench.py)."""
_WIDTH = 4
"""Bytes of a number that decoding reads."""


@dataclass(frozen=True)
class Rates:
    """What a machine does, measured (pipeline/doctor/rates.py)."""

    products: float
    """Floating-point operations a second, in products of the model's own widths."""
    reading: float
    """Bytes a second."""
    where: str
    """Device and threads, in words."""


@dataclass(frozen=True)
class Took:
    """A stage with its time."""

    work: Work
    seconds: float

    def line(self) -> str:
        """The stage and about how long it takes."""
        if self.work.unknown:
            return f"{self.work.stage}: not known, for {self.work.unknown} is not counted here"
        return f"{self.work.stage}: {said(self.seconds)}"


@dataclass(frozen=True)
class TimePlan:
    """Every stage of a run that computes."""

    stages: tuple[Took, ...]
    rates: Rates
    known: Known
    rounds: int

    @classmethod
    def of(cls, config: RunConfig, shape: DecoderShape, known: Known, rates: Rates) -> TimePlan:
        """Of a run whose texts are as long as `known` says, at these rates."""
        found = tuple(Took(work, seconds(work, shape, rates)) for work in works(config, shape, known))
        return cls(found, rates, known, config.rounds)

    @property
    def total(self) -> float:
        """Seconds of all stages that are known."""
        return sum(one.seconds for one in self.stages)

    def findings(self) -> Iterator[Finding]:
        """What `assent doctor` says: a line for each stage, their sum, and what both assume."""
        if not self.stages:
            return
        for one in self.stages:
            yield note("time", one.line())
        least = "at least " if any(one.work.unknown for one in self.stages) else ""
        yield note("time", f"all stages: {least}{said(self.total)}; {self.assumed()}")

    def assumed(self) -> str:
        """What the estimate rests on."""
        answers = (
            "answers that reach their limit"
            if self.known.answer is None
            else f"answers of {self.known.answer:.0f} tokens, as in the data, or their limit"
        )
        rounds = "one round" if self.rounds == 1 else f"all {self.rounds} rounds"
        return (
            f"an estimate, which can be off by a factor of two: {rounds}, prompts of {self.known.prompt:.0f} tokens,"
            f" {answers}, {self.rates.products / 1e9:.0f} GFLOP/s measured now ({self.rates.where}), {OVER:g} times"
            " what products alone take, nothing else running, no early stop; judges, suites and people are not counted"
        )


def seconds(work: Work, shape: DecoderShape, rates: Rates) -> float:
    """Of one stage: its products, and for drawn answers their prompts and each step of decoding."""
    drawn = sum(one.times * _drawing(one, shape, rates) for one in work.sampling)
    return OVER * (work.products / rates.products + drawn)


def said(value: float) -> str:
    """Seconds as an order: less than 10 s, about 40 s, about 20 min, about 3 h, about 12 days."""
    if value < 10:
        return "less than 10 s"
    for unit, size, limit in (("s", 1, 100), ("min", 60, 100), ("h", 3600, 48), ("days", 86400, float("inf"))):
        count = value / size
        if _rounded(count) < limit:
            return f"about {_rounded(count):g} {unit}"
    return "never"


def _rounded(count: float) -> float:
    """To 1, 2, 3 … 9, then by fives up to 100, then to two digits."""
    if count < 10:
        return max(round(count), 1)
    if count < 100:
        return 5 * round(count / 5)
    return float(f"{count:.2g}")


def _drawing(one: Sampling, shape: DecoderShape, rates: Rates) -> float:
    texts = one.texts
    prompts = flops.forward(shape, flops.Tokens(texts.number * texts.prompt, 0, texts.prompt))
    steps = texts.number * texts.answers * texts.answer / one.rows
    step = flops.decode_step_floor(
        shape,
        rows=one.rows,
        context=texts.prompt + texts.answer / 2,
        product_rate=rates.products,
        read_rate=rates.reading,
        width=_WIDTH,
    )
    return prompts / rates.products + steps * step
