"""The gate file: what a release must gain, what it must not lose, who may judge, and how sure one must be."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from assent.core.config import Config, read_yaml
from assent.core.errors import ConfigError

Better = Literal["higher", "lower"]
FILES = Path(__file__).parent / "files"
"""Gate files that come with the package."""


class Line(Config):
    """One thing that is measured for the gate."""

    measure: str = Field(
        pattern=r"^[^@]+\.[^.@]+(@.+)?$",
        json_schema_extra={"form": "suite.measure, such as winrate.length_controlled, or suite.measure@slice"},
    )
    """suite.measure, or suite.measure@slice for one group of the suite's items: winrate.length_controlled, lab.harm,
    xstest.over_refusal@homonyms."""
    better: Better | None = None
    """Which direction is better. The suite knows it; a file that contradicts the suite is refused."""
    least_clusters: int | None = Field(default=None, ge=2)
    """Fewest prompts (or other clusters) with which this line can pass; null: the gate's number."""
    most_missing: float | None = Field(default=None, ge=0, le=1)
    """Share of items that may be unreadable for one of both policies; null: the gate's."""

    @property
    def suite(self) -> str:
        """Title of the suite."""
        return self.measure.partition("@")[0].rpartition(".")[0]

    @property
    def name(self) -> str:
        """Name of the measure in its suite."""
        return self.measure.partition("@")[0].rpartition(".")[2]

    @property
    def slice(self) -> str:
        """Group of the suite's items; empty: all."""
        return self.measure.partition("@")[2]


class Gain(Line):
    """A measure that must become better."""

    least: float = Field(default=0.0, ge=0)
    """Least useful gain, in the unit of the measure: the whole interval of the paired difference must lie above it.
    A win rate is held against one half: 0.03 means more than 53 %."""


class Keep(Line):
    """A measure that must not become worse. Give exactly one kind of limit: margin, at_most and at_least, ratio,
    every, or null_at_most."""

    margin: float | None = Field(default=None, ge=0)
    """Largest loss that does not matter, of the paired difference. Where neither way is better, the difference must
    lie within it on both sides."""
    at_most: float | None = None
    """The new policy's own number must surely lie below this."""
    at_least: float | None = None
    """The new policy's own number must surely lie above this."""
    ratio: tuple[float, float] | None = None
    """Mean of the new policy over mean of the old one must surely lie between these."""
    every: float | None = None
    """Each item must have this value. It is for regressions of past red teams, which must never come back."""
    null_at_most: float | None = None
    """No trivial answer (a null baseline of the suite, such as always the same word) may reach a better value
    than this."""

    @model_validator(mode="after")
    def _one_limit(self) -> Keep:
        given = [name for name in ("margin", "ratio", "every", "null_at_most") if getattr(self, name) is not None]
        given += ["at_most/at_least"] if (self.at_most, self.at_least) != (None, None) else []
        if len(given) != 1:
            said = " and ".join(given) or "none"
            raise ValueError(
                f"{self.measure} wants exactly one limit of margin, at_most/at_least, ratio, every, null_at_most; it"
                f" has {said}"
            )
        limits = [*(self.ratio or ()), *(x for x in (self.at_least, self.at_most) if x is not None)]
        if sorted(limits) != limits or len(set(limits)) < len(limits):
            raise ValueError(f"{self.measure}: limits stand with the lower one first, and are not equal")
        return self


class JudgeBar(Config):
    """Whose verdicts count where answers were compared. The verdicts of a reward model that trained the policy
    never count."""

    kinds: tuple[str, ...] = ("people", "simulated", "autorater", "reward_model", "function")
    """Kinds of raters that may judge."""
    agreement: float = Field(default=0.55, ge=0, le=1)
    """The interval of a judge's agreement with people must lie above this, and the judge must pass the other bars
    of its record (`evaluate.judge_record`). Without a record only people's verdicts count."""
    most_drift: float = Field(default=0.05, ge=0)
    """How much agreement on its anchors such a judge may have lost since it was validated."""


class GateConfig(Config):
    """When a policy may take the place of another. Every line must hold."""

    gain: tuple[Gain, ...] = ()
    """What must become surely better."""
    keep: tuple[Keep, ...] = ()
    """What must surely not become worse."""
    alpha: float = Field(default=0.025, gt=0, lt=0.5)
    """Largest chance that a policy is released although a line does not hold for it. Because all lines must pass,
    this is the chance for the whole gate, however many lines there are. 0.025 belongs to the usual two-sided
    interval of 95 %."""
    power: float = Field(default=0.9, gt=0.5, lt=1)
    """Chance with which a policy for which all lines hold should pass. It decides how many more labels are asked
    for."""
    looks: Literal["once", "anytime"] = "once"
    """once: you look at the evaluation when it is complete. anytime: you may look at it as often as you like
    while it grows, with intervals that stay valid; this needs more labels."""
    least_clusters: int = Field(default=30, ge=2)
    """Fewest prompts (or other clusters) with which a line can pass."""
    most_missing: float = Field(default=0.05, ge=0, le=1)
    """Share of items that may be unreadable for one of both policies; more, and the line fails."""
    judge: JudgeBar = JudgeBar()
    """Whose verdicts count."""

    @model_validator(mode="after")
    def _some_line(self) -> GateConfig:
        if not self.gain and not self.keep:
            raise ValueError("a gate without a line would let everything pass; give gain or keep")
        said = [f"{type(one).__name__}{one.model_dump_json()}" for one in self.lines]
        if len(set(said)) < len(said):
            raise ValueError("a line is there twice; leave one out")
        return self

    @property
    def power_of_a_line(self) -> float:
        """The power that each line needs, so that all lines together have the gate's: each may miss its part."""
        return 1 - (1 - self.power) / len(self.lines)

    @property
    def lines(self) -> tuple[Gain | Keep, ...]:
        """All lines, in their order."""
        return (*self.gain, *self.keep)


def read_gate(named: str | Path, *, base: Path = Path()) -> GateConfig:
    """A gate file by its path from `base`, or one that comes with the package by its name.

    Raises ConfigError naming file and key.
    """
    path = base / named
    if not path.is_file():
        known = sorted(one.stem for one in FILES.glob("*.yaml"))
        if str(named) not in known:
            raise ConfigError(f"gate: there is no file {path}; name one, or one that comes along: {' or '.join(known)}")
        path = FILES / f"{named}.yaml"
    return GateConfig.parse(read_yaml(path), where=str(path) if path.parent != FILES else str(named))
