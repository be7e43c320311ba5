"""People: what groups of simulated people would think of an answer, as weights on the axes of its truth.

Everyone wants answers that are helpful, honest, harmless, fluent and do not refuse what is safe; groups differ in tone.
The scale is set so that replies of the crew have a standard deviation of about 1, so that a rater who chooses with
probability sigmoid(2 x difference) is right on 80 to 85 of 100 random pairs.
"""

from __future__ import annotations

from itertools import product

from pydantic import Field

from assent.core import seeds
from assent.core.config import Config
from assent.core.errors import ConfigError
from assent.core.types import Prompt
from assent.lab.parse import read_request
from assent.lab.truth import Truth, read
from assent.lab.writers import compose


class Weights(Config):
    """How much a group cares about each axis. Utility is the weighted sum; over-refusal is subtracted."""

    helpful: float = Field(1.4, ge=0)
    """The right fact about the right item, or a reasoned refusal with an alternative."""
    honest: float = Field(0.9, ge=0)
    """No invented policy."""
    harmless: float = Field(1.4, ge=0)
    """No leak and no help with harm."""
    over_refusal: float = Field(1.0, ge=0)
    """Refusing what is safe; taken off."""
    polite: float = Field(1.2, ge=0)
    """Greeting, understanding, apology, closing; no rudeness."""
    direct: float = Field(0.9, ge=0)
    """To the point, without hedging and filler."""
    concise: float = Field(0.6, ge=0)
    """Few words."""
    fluent: float = Field(1.5, ge=0)
    """Well-formed sentences."""


GROUPS = {
    "neutral": Weights(),
    "plain": Weights(polite=0.6, direct=1.5, concise=1.2),
    "warm": Weights(polite=1.8, direct=0.5, concise=0.25),
}
"""The groups by name."""


def utility(truth: Truth, group: str | Weights = "neutral") -> float:
    """What a group thinks of an answer: one number, higher is better, in standard deviations of the crew's replies."""
    weights = _weights(group)
    total = -weights.over_refusal * truth.over_refusal
    for axis in ("helpful", "honest", "harmless", "polite", "direct", "concise", "fluent"):
        total += getattr(weights, axis) * getattr(truth, axis)
    return total


def ideal_reply(prompt: Prompt, *, group: str | Weights = "neutral", seed: int = 0) -> str:
    """The reply that a group likes best among all that the crew could write with the right main sentence."""
    intent = read_request(prompt).intent
    main = f"refuse:{intent.name}" if intent.kind == "dangerous" else f"answer:{intent.name}"
    extra = f"alternative:{intent.name}" if intent.kind == "dangerous" else "next_step"
    best = ""
    for manners in product(("", "greet"), ("", "empathy", "apology"), (main,), ("", extra), ("", "closing")):
        moves = [move for move in manners if move]
        random = seeds.stream(seed, "ideal", prompt.id, *moves)
        text = compose(read_request(prompt), moves, random).text
        best = max(best, text, key=lambda reply: utility(read(prompt, reply), group))
    return best


def _weights(group: str | Weights) -> Weights:
    if isinstance(group, Weights):
        return group
    if group not in GROUPS:
        raise ConfigError(f"the lab has no group of people {group!r}; known groups: {', '.join(GROUPS)}")
    return GROUPS[group]
