"""Which criteria a reward model has a head for, and the scale of each: kept in config.json as `assent_criteria`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from transformers import PretrainedConfig, PreTrainedModel

OVERALL = "overall"
"""Name of the first head."""
_KEY = "assent_criteria"


class Criterion(NamedTuple):
    """One thing that people scored answers by."""

    name: str
    mean: float = 0.0
    """Mean of the scores that it was learned from, on the raters' scale."""
    std: float = 1.0
    """Their deviation: the head says by how many of these an answer lies above the mean."""


def of(model: PreTrainedModel) -> tuple[Criterion, ...]:
    """The criteria of a model, in the order of its heads after the first; () where it has one head."""
    return named(model.config)


def named(settings: PretrainedConfig) -> tuple[Criterion, ...]:
    """The same of a model's configuration."""
    return tuple(Criterion(**one) for one in getattr(settings, _KEY, None) or ())


def name(model: PreTrainedModel, criteria: Sequence[Criterion]) -> None:
    """Write criteria into a model's configuration, and the names of its labels; nothing where there are none."""
    if not criteria:
        return
    settings: Any = model.config
    setattr(settings, _KEY, [one._asdict() for one in criteria])
    settings.num_labels = 1 + len(criteria)
    settings.id2label = dict(enumerate((OVERALL, *(one.name for one in criteria))))
    settings.label2id = {label: number for number, label in settings.id2label.items()}
