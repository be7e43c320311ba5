"""Settings of what is done on the way of a training: evaluations on what is held out, models kept, the best chosen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator
from pydantic.config import JsonDict

from assent.core.config import Config

Measure = Literal["heldout_loss", "heldout_accuracy", "heldout_margin", "heldout_reward"]
CHANGES_NOTHING: JsonDict = {"affects_result": False}
"""Marks a field of which the result does not depend."""


EVERY = 25
"""Steps between evaluations where neither the settings nor their cost say otherwise."""
_SHARE = 0.1
"""What evaluations may cost, by what the steps between them cost."""


def cadence(every: int | Literal["auto"] | None, *, looked_at: int, learned: int) -> int | None:
    """Steps between evaluations of so many rows, where a step learns from so many; None: there are none.

    A row that is looked at costs a pass forward, one that is learned from three.
    """
    if every != "auto":
        return every or None
    return max(EVERY, math.ceil(looked_at / (3 * learned * _SHARE)))


class KeepConfig(Config):
    """Whole models that stay on disk from the way, each a plain Hugging Face folder `step-N` beside the result."""

    every: int | None = Field(default=None, ge=1)
    """Keep the model after every so many steps; null: only after those of `at`."""
    at: tuple[Annotated[int, Field(ge=1)], ...] = ()
    """Steps after which the model is kept."""
    last: int | None = Field(default=None, ge=1)
    """Of those that `every` keeps, only so many of the newest stay; null: all."""


class BestConfig(Config):
    """Which evaluation on the way gives the weights that are the result."""

    measure: Measure
    """What evaluations are compared by: heldout_loss, where the lowest is best, or another, where the highest is."""
    every: int | None = Field(default=None, ge=1)
    """Steps between the evaluations that are compared; null: as evaluate_every."""
    patience: int | None = Field(default=None, ge=1)
    """Stop after so many of them without improvement; null: never."""


def _kept(value: Any) -> Any:
    if not isinstance(value, list | tuple):
        return value
    if not all(isinstance(step, int) and not isinstance(step, bool) and step >= 1 for step in value):
        raise ValueError("a list of steps holds whole numbers from 1 up")
    return {"at": value}


def _best(value: Any) -> Any:
    return {"measure": value} if isinstance(value, str) else value


Keep = Annotated[KeepConfig | None, BeforeValidator(_kept)]
"""`{every: 100}`, a list of steps, or nothing."""


class Evaluated(Config):
    """What every trainer has that is evaluated on the way."""

    measures: ClassVar[frozenset[str]] = frozenset()
    """Measures that its best can be chosen by."""

    evaluate_every: Annotated[int, Field(ge=0)] | Literal["auto"] | None = Field(
        default="auto", json_schema_extra=CHANGES_NOTHING
    )
    """Steps between evaluations on what is held out; there is one before the first step and one after the last too.
    auto: 25, or as many more as it takes for evaluations to cost about a tenth of the training. 0 or null: none."""
    keep: Keep = Field(default=None, json_schema_extra=CHANGES_NOTHING)
    """Models that are kept from the way, `{every: 100, last: 3}` or a list of steps; null: only the result."""
    best: Annotated[BestConfig | None, BeforeValidator(_best)] = Field(
        default=None, json_schema_extra={"added_later": True}
    )
    """Let the weights of the best evaluation be the result, `{measure: heldout_loss}`; null: the last ones are."""

    @model_validator(mode="before")
    @classmethod
    def _same_cadence(cls, values: Any) -> Any:
        """How often the best is looked for decides the result, so it is written down where the best is asked for."""
        best = _best(values.get("best")) if isinstance(values, Mapping) else None
        if not isinstance(best, Mapping) or best.get("every") is not None:
            return values
        every = values.get("evaluate_every", "auto")
        if every == "auto":
            every = EVERY  # what is held out is not known yet
        if not every:
            raise ValueError(f"best chooses among evaluations, and evaluate_every is {every}; give best.every")
        return {**values, "best": {**best, "every": every}}

    @model_validator(mode="after")
    def _has_measure(self) -> Evaluated:
        if self.best is not None and self.best.measure not in self.measures:
            known = ", ".join(sorted(self.measures)) or "none"
            raise ValueError(f"best.measure {self.best.measure} is not measured here; there is: {known}")
        return self


class Answering(Evaluated):
    """What every trainer of a policy has besides: answers that are kept from the way."""

    show: int = Field(default=3, ge=0, json_schema_extra=CHANGES_NOTHING)
    """Held-out prompts whose answers are kept at each evaluation, for the report and the trackers; 0: none."""
