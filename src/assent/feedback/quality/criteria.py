"""Criteria: what scores of answers say by model, how far raters agree on them, and which of them the choice rewards.

Null is not zero: a criterion that a rater did not touch is missing, and counted. Each answer counts once, as the mean
of its raters; intervals are clustered by prompt. Pure functions of sheets.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from assent.core.types import Record
from assent.feedback.quality.sheets import Scale, Score, Sheet, Sheets, by_answer
from assent.stats.clustered import (
    clustered_mean,
    clustered_share,
    effective_clusters,
    from_left_out,
    in_parts,
    numbered,
    ratio,
)
from assent.stats.estimate import Estimate
from assent.stats.resampled import MOST_PARTS
from assent.stats.weights import criterion_weights

Floats = NDArray[np.float64]
_OFTEN = 0.5
"""A criterion has a weight where so large a share of the scored pairs has it; a rarer one would empty the rest."""


_STEPS = 4.0
"""Weights are fitted per step of a scale from 1 to 5, whatever the scale, for their prior is made for such steps."""


class Difference(Record):
    """How much higher one model scores than another on the prompts that both answered."""

    model: str
    other: str
    difference: Estimate
    """Of `model` less `other`, paired by prompt; n is the number of prompts."""


class Criterion(Record):
    """What scores on one criterion say."""

    name: str
    scale: Scale | None
    """None where the project does not ask for it, so that nobody knows its ends."""
    scored: int
    """Scores, one per rater and answer."""
    missing: int
    """Answers that a rater was shown and gave no score."""
    off_scale: int
    """Scores beyond the ends of the scale, as after a change of settings; left out."""
    means: dict[str, Estimate]
    """By model; n is the number of prompts."""
    differences: tuple[Difference, ...]
    alpha: Estimate | None
    """Krippendorff's alpha, ordinal, of all answers that two raters scored."""
    same: Estimate | None
    """How often two raters give an answer the same score."""
    weight: Estimate | None = None
    """Log-odds of being preferred that going from the lowest score to the highest brings, other criteria equal; per
    point where the scale is not known. None where too little was ranked and scored together."""


class Scored(Record):
    """Everything that one side, people or judges, said by criterion."""

    raters: int
    judgments: int
    """Of ordinary tasks, skips not counted."""
    criteria: tuple[Criterion, ...]
    choices: int
    """Ranked pairs of answers behind the weights."""
    choices_left_out: int
    """Ranked pairs with some scores, of which one was missing."""
    flags: dict[str, dict[str, Estimate]]
    """Flag -> model -> share of the answers shown that were given it."""
    left_out: dict[str, int]
    """Judgments that are in none of this: skipped, repeats, gold, unknown."""


def scored(sheets: Sheets, scales: Mapping[str, Scale]) -> Scored | None:
    """What these sheets say; `scales` are those of the project's criteria. None where nobody scored anything."""
    everything = sheets.scores
    if not everything:
        return None
    names = [*scales, *sorted({one.criterion for one in everything} - scales.keys())]
    shown = sum(len(sheet.models) for sheet in sheets.found)
    criteria = [_criterion(name, everything, scales.get(name), shown) for name in names]
    weights, used, left_out = _weights(sheets.found, {one.name: one.scale for one in criteria if one.scored})
    return Scored(
        raters=len({sheet.rater_id for sheet in sheets.found}),
        judgments=len(sheets.found),
        criteria=tuple(one.model_copy(update={"weight": weights.get(one.name)}) for one in criteria),
        choices=used,
        choices_left_out=left_out,
        flags=_flags(sheets.found),
        left_out=dict(sheets.left_out),
    )


def _criterion(name: str, everything: Sequence[Score], scale: Scale | None, shown: int) -> Criterion:
    given = [one for one in everything if one.criterion == name]
    said = [one for one in given if fits(one.value, scale)]
    answers = by_answer(said)
    return Criterion(
        name=name,
        scale=scale,
        scored=len(said),
        missing=shown - len(given),
        off_scale=len(given) - len(said),
        means=means(answers, scale),
        differences=tuple(differences(answers, scale)),
        alpha=_alpha(said),
        same=_same(said),
    )


def means(answers: Mapping[tuple[str, str, str], float], scale: Scale | None) -> dict[str, Estimate]:
    """The mean score of each model from scores by (prompt, answer, model)."""
    of_model: dict[str, list[tuple[float, str]]] = {}
    for (prompt, _, model), value in answers.items():
        of_model.setdefault(model, []).append((value, prompt))
    return {model: mean(of_model[model], scale) for model in sorted(of_model)}


def differences(answers: Mapping[tuple[str, str, str], float], scale: Scale | None) -> list[Difference]:
    """Every two models on the prompts that both answered; a prompt's answers by one model count as their mean."""
    by_model: dict[str, dict[str, list[float]]] = {}
    for (prompt, _, model), value in answers.items():
        by_model.setdefault(model, {}).setdefault(prompt, []).append(value)
    found = []
    width = None if scale is None else scale[1] - scale[0]
    for model, other in combinations(sorted(by_model), 2):
        both = sorted(by_model[model].keys() & by_model[other].keys())
        moved = [(_middle(by_model[model][p]) - _middle(by_model[other][p]), p) for p in both]
        if len(moved) > 1:
            change = mean(moved, None if width is None else (-width, width))
            found.append(Difference(model=model, other=other, difference=change))
    return found


def fits(value: float, scale: Scale | None) -> bool:
    """Whether a score is a finite number and on the scale, where that is known."""
    return math.isfinite(value) and (scale is None or scale[0] <= value <= scale[1])


def mean(values: Sequence[tuple[float, str]], scale: Scale | None) -> Estimate:
    """The mean of (value, prompt), its interval clustered by prompt and, where the scale is known, inside it.

    One prompt says nothing about others: then the interval is the scale. n is the number of prompts.
    """
    x, prompts = [value for value, _ in values], [prompt for _, prompt in values]
    low, high = scale or (-math.inf, math.inf)
    count = len(set(prompts))
    if count < 2:
        return Estimate(estimate=_middle(x), low=low, high=high, n=count)
    if scale is None:
        return clustered_mean(x, prompts).model_copy(update={"n": count})
    share = clustered_share([min(max((one - low) / (high - low), 0.0), 1.0) for one in x], prompts)
    ends = (low + (high - low) * part for part in (share.estimate, share.low, share.high))
    return Estimate(**dict(zip(("estimate", "low", "high"), ends, strict=True)), n=count)


def _middle(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _units(said: Iterable[Score]) -> dict[tuple[str, str], dict[str, float]]:
    """(prompt, answer) -> rater -> score, of the answers that two raters or more scored.

    Of a rater who met an answer twice, as in both orders of a pair, the mean counts.
    """
    given: dict[tuple[str, str], dict[str, list[float]]] = {}
    for one in said:
        given.setdefault((one.prompt_id, one.answer), {}).setdefault(one.rater_id, []).append(one.value)
    return {unit: {r: _middle(v) for r, v in raters.items()} for unit, raters in given.items() if len(raters) > 1}


def _alpha(said: Iterable[Score]) -> Estimate | None:
    """Krippendorff's alpha with an interval from leaving out prompts in turn."""
    units = _units(said)
    rows = [(value, n, unit[0]) for n, (unit, raters) in enumerate(units.items()) for value in raters.values()]
    if not rows:
        return None
    values, of = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    prompts = [row[2] for row in rows]
    whole = ordinal_alpha(values, of)
    if whole is None:
        return None
    index, count = numbered(prompts)
    part_of, parts = in_parts(index, count, MOST_PARTS)
    others = [ordinal_alpha(values[part_of != part], of[part_of != part]) for part in range(parts)] if parts > 1 else []
    known = [one for one in others if one is not None]
    found = from_left_out(whole, known, between=(-1.0, 1.0), clusters=effective_clusters(prompts))
    return found.model_copy(update={"n": count})


def ordinal_alpha(values: Floats, units: NDArray[np.intp]) -> float | None:
    """Krippendorff's alpha of values [n], each of a unit [n] that has two or more; None where all are equal.

    The ordinal distance of two values is that of their middle ranks, so no table of levels is needed: any number of
    levels costs the same (Krippendorff 2011, section D).
    """
    if not len(values):
        return None
    ranks = np.asarray(rankdata(values), float)
    total = len(ranks)
    expected = total * float((ranks**2).sum()) - float(ranks.sum()) ** 2
    if expected <= 0:
        return None
    sizes = np.bincount(units).astype(float)
    sums, squares = np.bincount(units, weights=ranks), np.bincount(units, weights=ranks**2)
    full = sizes > 1
    observed = ((sizes * squares - sums**2)[full] / (sizes[full] - 1)).sum()
    return 1 - (total - 1) * float(observed) / expected


def _same(said: Iterable[Score]) -> Estimate | None:
    of_prompt: dict[str, tuple[int, int]] = {}
    for (prompt, _), raters in _units(said).items():
        pairs = list(combinations(raters.values(), 2))
        same, count = of_prompt.get(prompt, (0, 0))
        of_prompt[prompt] = same + sum(a == b for a, b in pairs), count + len(pairs)
    tops, bottoms = [same for same, _ in of_prompt.values()], [count for _, count in of_prompt.values()]
    found = ratio(tops, bottoms, between=(0.0, 1.0))
    return None if found is None else found.model_copy(update={"n": len(of_prompt)})


class _Pair(NamedTuple):
    prompt_id: str
    gaps: Mapping[str, float]
    """Criterion -> first less second, where both were scored."""
    preferred: float


def _weights(sheets: Iterable[Sheet], scales: Mapping[str, Scale | None]) -> tuple[dict[str, Estimate], int, int]:
    """The weight of each criterion, and how many ranked pairs are behind them and how many lack a score."""
    pairs = [pair for sheet in sheets for pair in _pairs(sheet, scales) if pair.gaps]
    used = [name for name in scales if sum(name in pair.gaps for pair in pairs) >= _OFTEN * len(pairs)]
    whole = [pair for pair in pairs if all(name in pair.gaps for name in used)]
    prompts = [pair.prompt_id for pair in whole]
    if not used or len(set(prompts)) < 2:
        return {}, 0, len(pairs)
    steps = {name: 1.0 if (scale := scales[name]) is None else (scale[1] - scale[0]) / _STEPS for name in used}
    gaps = np.array([[pair.gaps[name] / steps[name] for name in used] for pair in whole])
    found = criterion_weights(gaps, [pair.preferred for pair in whole], prompts)
    of_scale = {
        name: _times(one, 1.0 if scales[name] is None else _STEPS) for name, one in zip(used, found, strict=True)
    }
    return of_scale, len(whole), len(pairs) - len(whole)


def _pairs(sheet: Sheet, scales: Mapping[str, Scale | None]) -> list[_Pair]:
    found = []
    for choice in sheet.choices:
        one, other = (sheet.judgment.scores.get(answer, {}) for answer in (choice.first, choice.second))
        both = [n for n in scales if n in one and n in other and all(fits(s[n], scales[n]) for s in (one, other))]
        found.append(_Pair(choice.prompt_id, {name: one[name] - other[name] for name in both}, choice.score))
    return found


def _times(found: Estimate, width: float) -> Estimate:
    return found.model_copy(update={part: width * getattr(found, part) for part in ("estimate", "low", "high")})


def _flags(sheets: Sequence[Sheet]) -> dict[str, dict[str, Estimate]]:
    names = sorted({flag for sheet in sheets for given in sheet.judgment.flags.values() for flag in given})
    shares: dict[str, dict[str, Estimate]] = {}
    for name in names:
        of_model: dict[str, list[tuple[float, str]]] = {}
        for sheet in sheets:
            for answer, model in sheet.models.items():
                is_given = float(name in sheet.judgment.flags.get(answer, ()))
                of_model.setdefault(model, []).append((is_given, sheet.prompt_id))
        shares[name] = {model: mean(of_model[model], (0.0, 1.0)) for model in sorted(of_model)}
    return shares
