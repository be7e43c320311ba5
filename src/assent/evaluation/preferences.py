"""Preferences among given options: by a reward model's score, or by how likely a policy finds each as its answer."""

from __future__ import annotations

import math
from collections.abc import Sequence

from assent.core.types import Prompt
from assent.evaluation.subject import Subject


def preferences(subject: Subject, prompts: Sequence[Prompt], options: Sequence[Sequence[str]]) -> list[list[float]]:
    """How much a subject likes each option of each prompt; higher is liked better.

    A reward model says it in points; a policy in nats per byte of the option, so that longer ones have no disadvantage.
    """
    if "scores" in subject.abilities:
        asked = [prompt for prompt, some in zip(prompts, options, strict=True) for _ in some]
        found = iter(subject.scores(asked, [one for some in options for one in some]))
        return [[next(found) for _ in some] for some in options]
    sums = subject.likelihoods(prompts, options)
    return [
        [value / len(one.encode()) for one, value in zip(some, values, strict=True)]
        for some, values in zip(options, sums, strict=True)
    ]


def credit(values: Sequence[float]) -> list[float]:
    """1/k for each of the k joint maxima, 0 for the rest: what guessing among the best is worth."""
    best = max(values)
    winners = sum(one == best for one in values)
    return [1 / winners if one == best else 0.0 for one in values]


def probabilities(logs: Sequence[float]) -> list[float]:
    """exp(x) of each over their sum, whatever their size."""
    top = max(logs)
    weights = [math.exp(one - top) for one in logs]
    return [one / math.fsum(weights) for one in weights]
