"""Agreement of raters as a whole, per slice of the prompts, per language and per group, each with its interval.

One number over everything hides more than it shows: prompts of one kind may be settled while those of another are not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from assent.feedback.quality.ballots import Said, by_pair, by_prompt, taus, votes
from assent.feedback.quality.facts import TaskFacts
from assent.stats.clustered import Floats, jackknife, ratio
from assent.stats.estimate import Estimate

MAX_VALUES = 12
"""A key of `meta` with more values than this names prompts rather than slices of them."""
MIN_PROMPTS = 5
"""A slice with fewer prompts that two raters ranked is not shown."""
_LEVELS = 3  # worse, tie, better


@dataclass(frozen=True)
class Agreement:
    """How far raters of the same answers say the same."""

    prompts: int
    """Prompts that two raters or more have ranked."""
    raters: int
    alpha: Estimate | None
    """Krippendorff's alpha (ordinal) of votes on pairs: 1 full agreement, 0 chance."""
    tau: Estimate | None
    """Kendall's tau-b, mean over every two raters of a prompt."""
    same: Estimate | None
    """How often two raters say the same of two answers: first, second or tie."""


@dataclass(frozen=True)
class Slice:
    """The agreement on one part of the prompts, or among one part of the raters."""

    key: str
    """language, topic …; "rater language" and the like for raters."""
    value: str
    agreement: Agreement


def agreement(said: Iterable[Said]) -> Agreement:
    """Agreement over all of these rankings; prompts are the clusters of the intervals."""
    return _over(_prompts(said).values())


def by_slice(said: Iterable[Said], facts: Mapping[str, TaskFacts]) -> list[Slice]:
    """Agreement per value of every short key of the prompts' meta, language first; small slices are left out."""
    groups: dict[str, dict[str, list[_Prompt]]] = {}
    for prompt in _prompts(said).values():
        known = facts.get(prompt.task_id)
        for key, value in (known.slices if known else {}).items():
            groups.setdefault(key, {}).setdefault(value, []).append(prompt)
    keys = sorted((k for k, v in groups.items() if 1 < len(v) <= MAX_VALUES), key=lambda k: (k != "language", k))
    return [
        Slice(key, value, _over(groups[key][value]))
        for key in keys
        for value in sorted(groups[key])
        if len(groups[key][value]) >= MIN_PROMPTS
    ]


def by_group(said: Sequence[Said], groups: Mapping[str, str], *, key: str) -> list[Slice]:
    """Agreement among the raters of each group, `groups` being rater id -> group."""
    parts: dict[str, list[Said]] = {}
    for one in said:
        if one.rater_id in groups:
            parts.setdefault(groups[one.rater_id], []).append(one)
    found = [Slice(key, value, agreement(parts[value])) for value in sorted(parts)]
    return [one for one in found if one.agreement.prompts >= MIN_PROMPTS] if len(parts) > 1 else []


@dataclass(frozen=True)
class _Prompt:
    """What one prompt that several raters ranked adds to every sum."""

    task_id: str
    raters: frozenset[str]
    coincidences: tuple[float, ...]
    tau: tuple[float, int]
    same: tuple[float, int]

    @classmethod
    def of(cls, said: Sequence[Said]) -> _Prompt:
        table = [0.0] * _LEVELS**2
        same, pairs = 0, 0
        for ballot in by_pair(votes(said)).values():
            for i, vote in enumerate(ballot):
                for other in ballot[i + 1 :]:
                    # Each pair in both directions, since which answer comes first is arbitrary, and either vote first.
                    for a, b in ((vote.value, other.value), (-vote.value, -other.value)):
                        table[_LEVELS * (a + 1) + b + 1] += 1 / (len(ballot) - 1)
                        table[_LEVELS * (b + 1) + a + 1] += 1 / (len(ballot) - 1)
                    if vote.rater_id != other.rater_id:
                        pairs += 1
                        same += vote.value == other.value
        found = taus(said)
        raters = frozenset(one.rater_id for one in said)
        return cls(said[0].judgment.task_id, raters, tuple(table), (sum(found), len(found)), (float(same), pairs))


def _prompts(said: Iterable[Said]) -> dict[str, _Prompt]:
    """The prompts that two raters or more have ranked."""
    shared = {p: s for p, s in by_prompt(said).items() if len({one.rater_id for one in s}) > 1}
    return {prompt: _Prompt.of(found) for prompt, found in shared.items()}


def _over(prompts: Collection[_Prompt]) -> Agreement:
    return Agreement(
        prompts=len(prompts),
        raters=len(frozenset[str]().union(*(p.raters for p in prompts))),
        alpha=_alpha(prompts),
        tau=_mean((p.tau for p in prompts), between=(-1.0, 1.0)),
        same=_mean((p.same for p in prompts), between=(0.0, 1.0)),
    )


def _alpha(prompts: Collection[_Prompt]) -> Estimate | None:
    tables = np.array([p.coincidences for p in prompts]).reshape(len(prompts), _LEVELS**2)
    return jackknife(
        lambda weights: _alphas((weights @ tables).reshape(-1, _LEVELS, _LEVELS)), len(prompts), between=(-1.0, 1.0)
    )


def _alphas(coincidences: Floats) -> Floats:
    """Krippendorff (2011), section D, of each table of summed coincidences [draws, 3, 3]; ordinal distances."""
    totals = coincidences.sum(axis=2)
    below = np.cumsum(totals, axis=1) - totals / 2
    distance = (below[:, :, None] - below[:, None, :]) ** 2
    expected = (totals[:, :, None] * totals[:, None, :] * distance).sum(axis=(1, 2))
    observed = (coincidences * distance).sum(axis=(1, 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(expected > 0, 1 - (totals.sum(axis=1) - 1) * observed / expected, np.nan)


def _mean(parts: Iterable[tuple[float, int]], *, between: tuple[float, float]) -> Estimate | None:
    found = [part for part in parts if part[1]]
    return ratio([total for total, _ in found], [count for _, count in found], between=between)
