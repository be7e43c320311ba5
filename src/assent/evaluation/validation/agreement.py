"""How often a judge says what people say, beside how often people say what other people say."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import t as student_t

from assent.core.types import Record
from assent.evaluation.reward_report import ceiling_of
from assent.evaluation.validation.labels import LabelledPair, Validated, clustered
from assent.stats.clustered import clustered_mean, clustered_share
from assent.stats.estimate import Estimate
from assent.stats.multiple import benjamini_yekutieli

FEWEST_ITEMS = 30
"""An annotator with fewer items beside others is not put to the alternative-annotator test."""
FEWEST_PEOPLE = 3
"""Fewer people cannot be told apart from each other."""


class Agreement(Record):
    """The judge against people on the same pairs; None where fewer than two prompts have what a number needs."""

    pairs: int
    abstained: int
    """Pairs of which the judge said nothing; in none of the numbers."""
    with_votes: Estimate | None = None
    """How often the judge says what one person says of a pair; ties of either count half."""
    with_majority: Estimate | None = None
    """How often it says what most people say, on pairs with a majority."""
    people: Estimate | None = None
    """How often two people say the same of a pair: what `with_votes` is to be held against."""
    ceiling: Estimate | None = None
    """The most that any judge could reach of `with_votes` (see `reward_report.ceiling_of`)."""
    longer_wins: Estimate | None = None
    """What "the longer answer is better" reaches of `with_votes`."""
    ties: float | None = None
    """Share of the judge's verdicts that are ties."""
    people_ties: float | None = None


def agreement(found: Validated) -> Agreement:
    """The numbers of all pairs."""
    answered = found.answered()
    votes = [(_alike(pick, vote), pair.prompt.id) for pair, _, pick in answered for vote in pair.votes.values()]
    longer = [(_alike(pair.longer, vote), pair.prompt.id) for pair, *_ in answered for vote in pair.votes.values()]
    most = [(_alike(pick, pair.majority), pair.prompt.id) for pair, _, pick in answered if pair.majority is not None]
    people = people_agree([pair for pair, *_ in answered])
    all_votes = [vote for pair, *_ in answered for vote in pair.votes.values()]
    return Agreement(
        pairs=len(found.pairs),
        abstained=len(found.pairs) - len(answered),
        with_votes=clustered(clustered_share, votes),
        with_majority=clustered(clustered_share, most),
        people=people,
        ceiling=ceiling_of(people),
        longer_wins=clustered(clustered_share, longer),
        ties=None if not answered else sum(pick == 0.5 for *_, pick in answered) / len(answered),
        people_ties=None if not all_votes else sum(vote == 0.5 for vote in all_votes) / len(all_votes),
    )


def by_slice(found: Validated) -> dict[str, Estimate]:
    """Agreement with votes in every slice of pairs that has two prompts or more."""
    grouped: dict[str, list[tuple[float, str]]] = {}
    for pair, _, pick in found.answered():
        for name in pair.slices:
            grouped.setdefault(name, []).extend((_alike(pick, vote), pair.prompt.id) for vote in pair.votes.values())
    shares = {name: clustered(clustered_share, some) for name, some in sorted(grouped.items())}
    return {name: share for name, share in shares.items() if share is not None}


def people_agree(pairs: Sequence[LabelledPair]) -> Estimate | None:
    """How often two people who compared the same pair say the same, ties counting half against a side."""
    found = []
    for pair in pairs:
        votes = list(pair.votes.values())
        for number, one in enumerate(votes):
            others = votes[:number] + votes[number + 1 :]
            if others:
                found.append((sum(_alike(one, other) for other in others) / len(others), pair.prompt.id))
    return clustered(clustered_share, found)


class AltTest(Record):
    """The alternative-annotator test (Calderon, Reichart & Dror 2025, arXiv 2501.10970)."""

    winning_rate: float | None
    """Share of the people whom the judge could stand in for, within `epsilon`; None where nobody could be tested."""
    tested: int
    left_out: int
    """People with too few pairs that others judged too."""
    epsilon: float
    passes: bool | None
    """Winning rate of half or more; None where fewer than three people could be tested."""
    advantage: Estimate | None = None
    """How much oftener the judge than a left-out person agrees with the others as well or better, over people."""


def alt_test(found: Validated, *, epsilon: float = 0.15, q: float = 0.05) -> AltTest:
    """For each person: does the judge align with the other people at least as well, give or take `epsilon`?

    On each pair that person j and others judged, the judge scores 1 where it agrees with the others at least as well as
    j does, and j scores 1 where j does at least as well as the judge. H0: the judge's share is no better than j's less
    epsilon; one-sided t test over pairs, p values adjusted as Benjamini and Yekutieli do. `epsilon` pays for the cost
    that the judge saves: 0.2 beside experts, 0.15 beside skilled people, 0.1 beside a crowd.
    """
    answered = found.answered()
    people = sorted({rater for pair, *_ in answered for rater in pair.votes})
    gaps: dict[str, list[float]] = {}
    for person in people:
        for pair, _, pick in answered:
            others = [vote for rater, vote in pair.votes.items() if rater != person]
            if person in pair.votes and others:
                own = sum(_alike(pair.votes[person], vote) for vote in others)
                judges = sum(_alike(pick, vote) for vote in others)
                gaps.setdefault(person, []).append(float(judges >= own) - float(own >= judges))
    tested = {person: some for person, some in gaps.items() if len(some) >= FEWEST_ITEMS}
    if not tested:
        return AltTest(winning_rate=None, tested=0, left_out=len(people), epsilon=epsilon, passes=None)
    adjusted = benjamini_yekutieli([_p_value(some, epsilon) for some in tested.values()])
    rate = float((adjusted < q).mean())
    flat = [(gap, person) for person, some in tested.items() for gap in some]
    return AltTest(
        winning_rate=rate,
        tested=len(tested),
        left_out=len(people) - len(tested),
        epsilon=epsilon,
        passes=None if len(tested) < FEWEST_PEOPLE else rate >= 0.5,
        advantage=clustered(clustered_mean, flat),
    )


def _p_value(gaps: Sequence[float], epsilon: float) -> float:
    """That gaps so high come about where their mean is at most -epsilon."""
    values = np.asarray(gaps) + epsilon
    spread = float(values.std(ddof=1)) / math.sqrt(len(values))
    if spread == 0:
        return 0.0 if values.mean() > 0 else 1.0
    return float(student_t.sf(values.mean() / spread, len(values) - 1))


def _alike(one: float, other: float | None) -> float:
    """1 where both say the same, 0 where the opposite, half where one of them ties and the other does not."""
    return 1 - abs(one - (0.5 if other is None else other))
