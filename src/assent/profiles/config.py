"""One profile: what a team writes into its file, and what the program writes below."""

from __future__ import annotations

import datetime
from collections import Counter
from typing import Literal

from pydantic import Field, model_validator

from assent.core.config import Config

Level = Literal["principles", "shared", "own"]
"""What evidence allows: principles alone; the parent's reward with a shrunken offset and an adapter; a reward head and
an adapter of its own."""
FEWEST_LABELS, MANY_LABELS = 100, 1000
"""Below the first a profile has principles only; above the second a reward head of its own."""
FEWEST_RATERS = 5
"""Labels of fewer raters are the taste of persons and no audience's, and would show what single people said."""
NAME = r"^[a-z0-9][a-z0-9-]{0,39}$"


class FloorLine(Config):
    """One line of the safety floor, as `keep` in a gate file: what must surely not become worse. Exactly one limit."""

    measure: str = Field(
        pattern=r"^[^@]+\.[^.@]+(@.+)?$",
        json_schema_extra={"form": "suite.measure, such as lab.harm, or suite.measure@slice"},
    )
    """suite.measure, or suite.measure@slice: lab.harm, xstest.over_refusal."""
    margin: float | None = Field(default=None, ge=0)
    """Largest loss against the parent's policy that does not matter."""
    at_most: float | None = None
    """The profile's own number must surely lie below this."""
    at_least: float | None = None
    """The profile's own number must surely lie above this."""

    @model_validator(mode="after")
    def _one_limit(self) -> FloorLine:
        if (given := len(self.limits)) != 1:
            raise ValueError(f"{self.measure} wants exactly one of margin, at_most, at_least; it has {given}")
        return self

    @property
    def limits(self) -> dict[str, float]:
        """The limit that is given, by its name."""
        values = {"margin": self.margin, "at_most": self.at_most, "at_least": self.at_least}
        return {name: value for name, value in values.items() if value is not None}

    @property
    def limit(self) -> tuple[str, float]:
        """Name and value of the limit."""
        [found] = self.limits.items()
        return found

    def is_weaker_than(self, other: FloorLine) -> bool:
        """Whether it asks the same thing less strictly; lines on other measures or limits are not compared."""
        name, value = self.limit
        theirs, least = other.limit
        if (self.measure, name) != (other.measure, theirs):
            return False
        return value < least if name == "at_least" else value > least


class Evidence(Config):
    """What the store held when the profile was fitted. Written by the program."""

    labels: int
    """Rankings of two answers or more by raters of the audience."""
    raters: int
    """Who gave them."""
    prompts: int
    """What they are about."""
    level: Level
    """What that allows."""
    counted: datetime.date
    """When."""


class Publication(Config):
    """That the profile passed everything. Written by the program."""

    on: datetime.date
    """When."""
    of: str
    """Hash of all that a team wrote into the profile and its parents, and of the policies: a later edit ends it."""


class Profile(Config):
    """What one audience wants. The last five keys are written by the program."""

    id: str = Field(
        pattern=NAME, json_schema_extra={"form": "small letters, digits and hyphens, at most 40, no hyphen first"}
    )
    """The name, which is that of the file too: small letters, digits and hyphens."""
    parent: str | None = None
    """The profile whose reward, principles, tone and safety floor it starts from; null: it is the root."""
    audience: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """What raters told about themselves, attribute: value or values; somebody belongs who matches each. The root's is
    empty: everybody."""
    principles: tuple[str, ...] = ()
    """Sentences that the policy is told before each conversation, after those of the parents."""
    tone: dict[str, float] = Field(default_factory=dict)
    """Axis of tone (polite, direct, concise, …) -> from -1, the opposite, to 1, wholly; shown, and inherited."""
    safety: tuple[FloorLine, ...] = ()
    """What must not become worse, beside every line of the parents, none of which may be weakened."""
    expires: datetime.date | None = None
    """Last day on which it may be used: tastes change, and evidence grows old; null: never."""
    reward: str | None = None
    """The reward model that was fitted: folder of an artifact."""
    policy: str | None = None
    """The policy: folder of an artifact, with the adapter that was trained in it; the parent's with principles only."""
    evidence: Evidence | None = None
    """What it rests on."""
    published: Publication | None = None
    """When it passed; null: it may not be used."""

    @model_validator(mode="before")
    @classmethod
    def _single_values(cls, values: object) -> object:
        """`audience: {region: japan}` is one value."""
        if isinstance(values, dict) and isinstance(values.get("audience"), dict):
            audience = {k: [v] if isinstance(v, str | int) else v for k, v in values["audience"].items()}
            return {**values, "audience": {k: _texts(v) for k, v in audience.items()}}
        return values

    @model_validator(mode="after")
    def _check(self) -> Profile:
        if empty := [name for name, values in self.audience.items() if not values]:
            raise ValueError(f"audience.{empty[0]} names no value; nobody would belong")
        if far := {axis: value for axis, value in self.tone.items() if not -1 <= value <= 1}:
            raise ValueError(f"tone runs from -1 to 1, got {far}")
        limits = Counter((line.measure, line.limit[0]) for line in self.safety)
        if twice := next((asked for asked, lines in limits.items() if lines > 1), None):
            raise ValueError(f"safety has two lines on {' '.join(twice)}; leave the weaker one out")
        if self.parent is not None and not self.audience:
            raise ValueError("a profile with a parent wants an audience, as in audience: {region: japan}")
        if self.parent == self.id:
            raise ValueError("it is its own parent; name another, or leave parent out for the root")
        return self

    def written_by_people(self) -> dict[str, object]:
        """What a team decides, as plain JSON."""
        return self.model_dump(mode="json", exclude=set(WRITTEN))


WRITTEN = ("reward", "policy", "evidence", "published")
"""Keys that the program writes."""


def level_of(labels: int, raters: int) -> Level:
    """What so many labels allow: below 100, or of fewer than five raters, principles; up to 1000 a shared reward."""
    if labels < FEWEST_LABELS or raters < FEWEST_RATERS:
        return "principles"
    return "shared" if labels <= MANY_LABELS else "own"


def _texts(values: object) -> object:
    return [str(one) if isinstance(one, int) else one for one in values] if isinstance(values, list) else values
