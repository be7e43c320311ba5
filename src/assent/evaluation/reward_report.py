"""How far a reward model can be trusted: held-out accuracy beside its bounds, calibration, slices, margins."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field

from assent.core.lazy import Picked
from assent.core.types import Comparison, Record
from assent.evaluation.criterion_report import CriterionReport
from assent.evaluation.inheritance import Debias, Inheritance
from assent.evaluation.outcomes import Kind, Outcome
from assent.evaluation.rater_report import RaterReport
from assent.feedback.quality.agreement import hit, other_raters
from assent.stats.calibration import brier_score, expected_calibration_error, reliability_bins
from assent.stats.clustered import clustered_share
from assent.stats.estimate import Estimate
from assent.stats.paired import share_difference

NUM_BINS = 10
SLICE_KEYS = ("kind", "intent", "source", "category", "language")
"""Keys of a prompt's or comparison's meta whose values are reported apart, where there are few of them."""
MAX_SLICES = 30


class ReliabilityBin(Record):
    """Predictions between low and high: what the model said, what raters did, and its interval."""

    low: float
    high: float
    count: int
    predicted: float
    observed: float
    lower: float
    upper: float


class Bounds(Record):
    """Accuracy on some of the pairs, beside what it has to beat and what it can reach."""

    model_config = ConfigDict(extra="ignore")

    accuracy: Estimate
    longer_wins: Estimate
    rater_agreement: Estimate | None = None
    ceiling: Estimate | None = None
    pairs: int


class RewardReport(Record):
    """Held-out rankings, cut into decided pairs; every interval is clustered by prompt, ties of scores count half.

    With pairs of fewer than two prompts only the counts are known.
    """

    pairs: int
    prompts: int
    accuracy: Estimate | None = None
    """Share of decided pairs whose better answer scores higher."""
    rater_agreement: Estimate | None = None
    """How often two raters of the same pair say the same; None where pairs were judged once."""
    ceiling: Estimate | None = None
    """The most that any score can reach on the votes of single raters, by `ceiling_of` their agreement."""
    longer_wins: Estimate | None = None
    """The share that "the longer answer is better" gets right."""
    relevance: Estimate | None = None
    """Share of prompts whose best answer scores above the best answer to another prompt (see `relevance`)."""
    ece: float | None = None
    """Expected calibration error of sigmoid(score difference)."""
    brier: float | None = None
    bins: tuple[ReliabilityBin, ...] = ()
    slices: dict[str, Estimate] = Field(default_factory=dict)
    """Accuracy per "key=value" of the prompts' meta."""
    by_source: dict[str, Bounds] = Field(default_factory=dict)
    """The first three per source of comparisons (meta `source`)."""
    by_lead: dict[str, Estimate] = Field(default_factory=dict)
    """Accuracy per absolute score difference."""
    by_strength: dict[str, Estimate] = Field(default_factory=dict)
    """Accuracy per stated strength."""
    criteria: dict[str, CriterionReport] = Field(default_factory=dict)
    """How far each criterion's head can be trusted, where there are some."""
    raters: RaterReport | None = None
    """What is known of raters and groups, where they are in the loss."""
    inheritance: Inheritance | None = None
    """What the score leans on, and which group of raters it has that from."""
    debias: Debias | None = None
    """What was taken out of the head, where that was asked for."""


@dataclass(frozen=True)
class _JudgedPair:
    prompt_id: str
    lead: float
    """Score of the better answer less that of the worse."""
    longer: float
    """1 where the better answer is longer, 0.5 where both are equally long."""
    strength: str
    labels: tuple[str, ...]
    """Slices it belongs to."""

    @property
    def is_right(self) -> float:
        return hit(self.lead)


def reward_report(comparisons: Sequence[Comparison], scores: Sequence[float]) -> RewardReport:
    """`scores` are raw scores of every completion, comparison by comparison."""
    pairs = _judged_pairs(comparisons, scores)
    prompts = len({p.prompt_id for p in pairs})
    if prompts < 2:
        return RewardReport(pairs=len(pairs), prompts=prompts)
    agreed = rater_agreement(comparisons)
    # Which answer is called first is arbitrary: both readings of a pair enter, so that calibration is symmetric.
    leads = np.array([p.lead for p in pairs])
    said = _said(np.concatenate([leads, -leads]))
    happened = np.concatenate([np.ones(len(pairs)), np.zeros(len(pairs))])
    return RewardReport(
        accuracy=_accuracy(pairs),
        rater_agreement=agreed,
        ceiling=ceiling_of(agreed),
        longer_wins=clustered_share([p.longer for p in pairs], [p.prompt_id for p in pairs]),
        ece=expected_calibration_error(said, happened, num_bins=NUM_BINS),
        brier=brier_score(said, happened),
        bins=tuple(
            ReliabilityBin(
                low=b.low,
                high=b.high,
                count=b.size,
                predicted=b.predicted,
                observed=b.observed,
                lower=b.lower,
                upper=b.upper,
            )
            for b in reliability_bins(
                said, happened, num_bins=NUM_BINS, confidence=0.95, clusters=2 * [p.prompt_id for p in pairs]
            )
        ),
        slices=_by(pairs, lambda p: p.labels),
        by_source=_by_source(comparisons, scores),
        by_lead=_by(pairs, lambda p: (_lead_band(p.lead),)),
        by_strength=_by(pairs, lambda p: (p.strength,) if p.strength else ()),
        pairs=len(pairs),
        prompts=prompts,
    )


def reward_outcomes(comparisons: Sequence[Comparison], scores: Sequence[float]) -> list[Outcome]:
    """Each decided pair as an outcome, for who holds the reward model to a limit; `scores` as in `reward_report`."""
    outcomes = []
    for i, pair in enumerate(_judged_pairs(comparisons, scores)):
        said = float(_said(np.array(pair.lead)))
        values = {"accuracy": pair.is_right, "said": said, "brier": (1 - said) ** 2, "longer": pair.longer}
        outcomes.append(Outcome(item=str(i), cluster=pair.prompt_id, values=values))
    return outcomes


def calibration_error(outcomes: Sequence[Outcome]) -> float | None:
    """The expected calibration error of pairs, both readings of each, as in the report."""
    said = np.array([one.values["said"] for one in outcomes if "said" in one.values])
    if not len(said):
        return None
    happened = np.concatenate([np.ones(len(said)), np.zeros(len(said))])
    return expected_calibration_error(np.concatenate([said, 1 - said]), happened, num_bins=NUM_BINS)


REWARD_KINDS: Mapping[str, Kind] = {
    "accuracy": Kind("Share of decided held-out pairs whose better answer has the higher score."),
    "brier": Kind("Mean squared error of its probabilities on such pairs.", lower_is_better=True),
    "ece": Kind(
        "Distance between its probabilities and what raters said, over bins.",
        lower_is_better=True,
        statistic=calibration_error,
    ),
}


def accuracy_difference(
    comparisons: Sequence[Comparison], after: Sequence[float], before: Sequence[float]
) -> Estimate | None:
    """Accuracy of one set of scores less that of another on the same pairs; None for fewer than two prompts."""
    new, old = _judged_pairs(comparisons, after), _judged_pairs(comparisons, before)
    prompts = [pair.prompt_id for pair in new]
    if len(set(prompts)) < 2:
        return None
    return share_difference([p.is_right for p in new], [p.is_right for p in old], prompts)


def rater_agreement(comparisons: Sequence[Comparison]) -> Estimate | None:
    """How often two raters who both decided a pair decided alike, by prompt (see `agreement.other_raters`).

    None where fewer than two prompts have a pair that several raters decided.
    """
    echoes = other_raters(comparisons)
    prompts = [echo.prompt_id for echo in echoes]
    return clustered_share([echo.share for echo in echoes], prompts) if len(set(prompts)) > 1 else None


def ceiling_of(agreement: Estimate | None) -> Estimate | None:
    """The most that a score without noise can reach on votes of single raters, two of whom agree so often.

    On a pair that a share p of raters decides one way, two raters agree with p² + (1 - p)², and the best score is right
    with max(p, 1 - p). If all pairs were alike, that would be (1 + √(2a - 1)) / 2 of the agreement a; where pairs
    differ, the best score reaches less (Jensen's inequality) and at least a.
    """
    if agreement is None:
        return None
    ends = (agreement.estimate, agreement.low, agreement.high)
    estimate, low, high = ((1 + math.sqrt(max(2 * a - 1, 0.0))) / 2 for a in ends)
    return Estimate(estimate=estimate, low=low, high=high, n=agreement.n)


def _said(leads: NDArray[np.float64]) -> NDArray[np.float64]:
    """How surely the model says that the better answer is better."""
    return np.asarray(1 / (1 + np.exp(-np.clip(leads, -60, 60))))


def _judged_pairs(comparisons: Sequence[Comparison], scores: Sequence[float]) -> list[_JudgedPair]:
    pairs: list[_JudgedPair] = []
    start = 0
    labels_of = _labels(comparisons)
    for comparison, labels in zip(comparisons, labels_of, strict=True):
        score = {c.id: scores[start + i] for i, c in enumerate(comparison.completions)}
        length = {c.id: len(c.text) for c in comparison.completions}
        start += len(comparison.completions)
        for judgment in comparison.judgments:
            ranking = judgment.ranking
            if ranking is None:
                continue
            rank = ranking.rank()
            for better, worse, is_tie in ranking.pairs():
                if is_tie:
                    continue
                adjacent = rank[worse] == rank[better] + 1
                strength = ranking.strengths[rank[better]] if ranking.strengths and adjacent else None
                pairs.append(
                    _JudgedPair(
                        comparison.prompt.id,
                        score[better] - score[worse],
                        hit(length[better] - length[worse]),
                        "" if strength is None else f"strength {strength}",
                        labels,
                    )
                )
    return pairs


def _by_source(comparisons: Sequence[Comparison], scores: Sequence[float]) -> dict[str, Bounds]:
    """Bounds of each source that has at least two prompts."""
    members: dict[str, tuple[list[int], list[float]]] = {}
    start = 0
    for place, comparison in enumerate(comparisons):
        own = members.setdefault(str(comparison.meta.get("source", "")), ([], []))
        own[0].append(place)
        own[1].extend(scores[start : start + len(comparison.completions)])
        start += len(comparison.completions)
    found = {}
    for name, (places, some_scores) in sorted(members.items()):
        some = Picked(comparisons, np.array(places, dtype=np.int64))
        pairs = _judged_pairs(some, some_scores)
        prompts = [p.prompt_id for p in pairs]
        if name and len(set(prompts)) > 1:
            longer = clustered_share([p.longer for p in pairs], prompts)
            agreed = rater_agreement(some)
            found[name] = Bounds(
                accuracy=_accuracy(pairs),
                longer_wins=longer,
                rater_agreement=agreed,
                ceiling=ceiling_of(agreed),
                pairs=len(pairs),
            )
    return found


def _labels(comparisons: Sequence[Comparison]) -> list[tuple[str, ...]]:
    """ "key=value" of every slice key that has at most MAX_SLICES values."""
    values: dict[str, list[str]] = {key: [] for key in SLICE_KEYS}
    for one in comparisons:
        meta = {**one.prompt.meta, **one.meta}
        for key, some in values.items():
            some.append(sys.intern(str(meta[key])) if key in meta else "")
    kept = {key: v for key, v in values.items() if 1 < len(set(v) - {""}) <= MAX_SLICES}
    return [tuple(f"{key}={v[i]}" for key, v in kept.items() if v[i]) for i in range(len(comparisons))]


def _by(pairs: Sequence[_JudgedPair], labels: Callable[[_JudgedPair], tuple[str, ...]]) -> dict[str, Estimate]:
    grouped: dict[str, list[_JudgedPair]] = {}
    for pair in pairs:
        for label in labels(pair):
            grouped.setdefault(label, []).append(pair)
    return {k: _accuracy(v) for k, v in sorted(grouped.items()) if len({p.prompt_id for p in v}) > 1}


def _accuracy(pairs: Sequence[_JudgedPair]) -> Estimate:
    return clustered_share([p.is_right for p in pairs], [p.prompt_id for p in pairs])


def _lead_band(lead: float) -> str:
    size = abs(lead)
    for low, high in ((0.0, 0.5), (0.5, 1.0), (1.0, 2.0), (2.0, 4.0), (4.0, math.inf)):
        if size < high:
            return f"lead {low:g} to {high:g}" if high < math.inf else f"lead above {low:g}"
    raise ValueError(f"a lead is a number, got {lead}")
