"""What a joint fit found out about raters and groups: sharpness, leans, cut-points; alarm where a group drops."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from assent.core.types import Comparison, Record
from assent.feedback.quality.agreement import hit
from assent.stats.clustered import clustered_share
from assent.stats.estimate import Estimate

if TYPE_CHECKING:
    from assent.training.rater_fit import RaterFit

DROP = 0.75
"""A group is alarming below this share of the others' mean sharpness, where chance does not explain it."""
NOT_TOLD = "not told"
BY_RANK = "the orders shown are those of the ranks, as if answers had been sorted afterwards; they are not used"


class RaterLine(Record):
    """One rater. What groups people belong to is told of groups only."""

    rater: str
    judgments: int
    sharpness: Estimate
    """Relative to the pool, 1 at its prior mean; near 0: careless, negative: reads the scale the wrong way round."""
    position: float
    """Logits for the answer shown first."""
    length: float
    """Logits per unit of log words, beyond the mean of the pool."""
    cuts: tuple[float, float, float, float]
    """Logits from which on an answer is no longer tied, and 2, 3, 4 degrees better."""


class GroupRow(Record):
    """The raters of one group."""

    group: str
    raters: int
    judgments: int
    share: float
    """Weight of the group's taste in the saved score; 0 where the group is not told."""
    sharpness: Estimate
    """Mean over its raters."""
    accuracy: Estimate | None = None
    """Of the saved score on the group's held-out pairs."""
    own_accuracy: Estimate | None = None
    """Of the score with the group's own taste on the same pairs; it is not saved."""


class RaterReport(Record):
    """Raters and groups of a joint fit, and what to look into."""

    raters: tuple[RaterLine, ...]
    group_by: str | None = None
    """The attribute that forms the groups; None: one group, everybody."""
    groups: tuple[GroupRow, ...]
    inverted: int
    """Raters whose sharpness is below 0, interval and all."""
    careless: int
    """Other raters whose sharpness is below half of the pool's, interval and all."""
    scale: float
    """Near 1 where training has settled; far above, train longer."""
    alarms: tuple[str, ...] = ()


def rater_report(
    fit: RaterFit, held_out: Sequence[Comparison], scores: Sequence[float], tastes: NDArray[np.float32]
) -> RaterReport:
    """`scores` [N] are raw scores of every held-out answer, comparison by comparison; `tastes` [N, G] the offsets."""
    rows = tuple(_rater(fit, i) for i in np.argsort(fit.sharpness, kind="stable"))
    members = _members(fit)
    spread = _variance(fit, members)
    means = {name: _mean(fit, of, spread) for name, of in members.items()}
    pairs = _held_out_pairs(fit, held_out, np.asarray(scores, float), tastes)
    groups = tuple(
        GroupRow(
            group=name,
            raters=len(of),
            judgments=sum(fit.judgments[i] for i in of),
            share=float(fit.shares[fit.groups.index(name)]) if name in fit.groups else 0.0 if fit.groups else 1.0,
            sharpness=means[name],
            accuracy=_accuracy(pairs.get(name, []), own=False),
            own_accuracy=_accuracy(pairs.get(name, []), own=True) if name in fit.groups else None,
        )
        for name, of in members.items()
    )
    inverted = sum(row.sharpness.high < 0 for row in rows)
    return RaterReport(
        raters=rows,
        group_by=fit.group_by,
        groups=groups,
        inverted=inverted,
        careless=sum(row.sharpness.high < 0.5 for row in rows) - inverted,
        scale=fit.scale,
        alarms=(
            *([BY_RANK] if fit.ignores_order else []),
            *(alarm for name in members for alarm in _alarm(fit, name, members, means, spread)),
        ),
    )


def _rater(fit: RaterFit, i: int) -> RaterLine:
    a, half = float(fit.sharpness[i]), 1.96 * float(fit.errors[i])
    return RaterLine(
        rater=fit.raters[i],
        judgments=fit.judgments[i],
        sharpness=Estimate(estimate=a, low=a - half, high=a + half),
        position=float(fit.position[i]),
        length=float(fit.length[i]),
        cuts=tuple(float(c) for c in fit.cuts[i]),
    )


def _members(fit: RaterFit) -> dict[str, NDArray[np.intp]]:
    """Raters of each group, and last those whose group is not known."""
    names = {name: np.flatnonzero(fit.group == g) for g, name in enumerate(fit.groups)}
    rest = np.flatnonzero(fit.group < 0)
    return names | ({NOT_TOLD if names else "everybody": rest} if len(rest) else {})


def _variance(fit: RaterFit, members: dict[str, NDArray[np.intp]]) -> tuple[float, int]:
    """Variance of a rater's sharpness around the mean of the group, estimation included, and degrees of freedom."""
    freedom = max(len(fit.raters) - len(members), 1)
    between = sum(float(((fit.sharpness[of] - fit.sharpness[of].mean()) ** 2).sum()) for of in members.values())
    return between / freedom + float((fit.errors**2).mean()), freedom


def _mean(fit: RaterFit, of: NDArray[np.intp], spread: tuple[float, int]) -> Estimate:
    return _interval(float(fit.sharpness[of].mean()), spread[0] / len(of), spread[1])


def _interval(mean: float, variance: float, freedom: int) -> Estimate:
    from scipy import stats as distributions  # half a second, which no plan needs

    half = float(distributions.t.ppf(0.975, freedom)) * math.sqrt(variance)
    return Estimate(estimate=mean, low=mean - half, high=mean + half)


def _alarm(
    fit: RaterFit,
    name: str,
    members: dict[str, NDArray[np.intp]],
    means: dict[str, Estimate],
    spread: tuple[float, int],
) -> list[str]:
    """What is wrong with one group of raters, if anything."""
    if not fit.groups or name not in fit.groups:
        return []
    own = means[name]
    who = f"the {len(members[name])} raters of {fit.group_by} {name!r}"
    if own.high < 0:
        return [f"{who} have sharpness {own}: they seem to read the scale the wrong way round; look at their page"]
    others = np.concatenate([of for other, of in members.items() if other != name])
    mean = float(fit.sharpness[others].mean())
    variance = spread[0] * (1 / len(members[name]) + 1 / len(others))
    if own.estimate < DROP * mean and _interval(own.estimate - mean, variance, spread[1]).high < 0:
        return [
            f"{who} have sharpness {own}, the others {mean:.3f}: ask what differs (translation, guidelines, taste)"
            " before trusting it less"
        ]
    return []


def _held_out_pairs(
    fit: RaterFit, held_out: Sequence[Comparison], scores: NDArray[np.float64], tastes: NDArray[np.float32]
) -> dict[str, list[tuple[str, float, float]]]:
    """Decided pairs of each group: prompt, lead of the better answer, and its lead with the group's taste."""
    number = {rater: int(g) for rater, g in zip(fit.raters, fit.group, strict=True)}
    found: dict[str, list[tuple[str, float, float]]] = {}
    nobody, start = np.zeros_like(scores), 0
    for comparison in held_out:
        place = {c.id: start + i for i, c in enumerate(comparison.completions)}
        start += len(comparison.completions)
        for judgment in comparison.judgments:
            group = number.get(judgment.rater_id, -1)
            name = fit.groups[group] if group >= 0 else NOT_TOLD if fit.groups else "everybody"
            taste = tastes[:, group] if group >= 0 else nobody
            for better, worse, is_tie in judgment.ranking.pairs() if judgment.ranking else ():
                if not is_tie:
                    i, j = place[better], place[worse]
                    lead = float(scores[i] - scores[j])
                    own = lead + float(taste[i] - taste[j])
                    found.setdefault(name, []).append((comparison.prompt.id, lead, own))
    return found


def _accuracy(pairs: Sequence[tuple[str, float, float]], *, own: bool) -> Estimate | None:
    prompts = [prompt for prompt, _, _ in pairs]
    if len(set(prompts)) < 2:
        return None
    leads = [with_taste if own else lead for _, lead, with_taste in pairs]
    return clustered_share([hit(lead) for lead in leads], prompts)
