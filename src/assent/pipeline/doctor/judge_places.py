"""Where autoraters stand in the settings of a run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from assent.pipeline.config import RunConfig
from assent.raters.config import AutoraterConfig, ConstitutionConfig


@dataclass(frozen=True)
class Place:
    """Where a judge stands in the settings, and what it will be asked about."""

    key: str
    longest: Length
    """Longest answer."""


class Length(NamedTuple):
    """A number of tokens, and the setting that says so."""

    tokens: int
    key: str


def judge_places(config: RunConfig) -> Iterator[tuple[AutoraterConfig | ConstitutionConfig, Place]]:
    """Every judge that a run asks, with its place."""
    raters = None if config.collect is None else config.collect.raters
    if isinstance(raters, AutoraterConfig | ConstitutionConfig):
        longest = Length(config.sample.sampling.max_new_tokens, "sample.sampling.max_new_tokens")
        yield raters, Place("collect.raters", longest)
    own = None if config.evaluate is None else config.evaluate.raters
    if config.evaluate is not None and isinstance(own, AutoraterConfig | ConstitutionConfig):
        longest = Length(config.evaluate.sampling.max_new_tokens, "evaluate.sampling.max_new_tokens")
        yield own, Place("evaluate.raters", longest)
    if config.collect is not None and config.collect.ai is not None:
        longest = Length(config.sample.sampling.max_new_tokens, "sample.sampling.max_new_tokens")
        yield config.collect.ai.raters, Place("collect.ai.raters", longest)
    for key, judge in config.method.judges():
        longest = Length(config.method.answers() or 0, "optimize.sampling.max_new_tokens")
        yield judge, Place(key, longest)
