"""Votes of raters on pairs of answers, and how far each vote, rater and pair of raters agrees with the others."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import NamedTuple

from assent.core.types import Judgment, Ranking
from assent.feedback.quality.agreement import hit

Pair = tuple[str, str]
"""Two answer ids, sorted."""


class Vote(NamedTuple):
    """What one rater says about two answers of one prompt."""

    rater_id: str
    prompt_id: str
    pair: Pair
    value: int
    """1 the first is better, 0 a tie, -1 worse."""


@dataclass(frozen=True)
class Said:
    """One rater's ranking of the answers of one prompt."""

    rater_id: str
    prompt_id: str
    ranking: Ranking
    judgment: Judgment

    @cached_property
    def values(self) -> dict[Pair, int]:
        """What it says about every pair."""
        return pair_values(self.ranking)


def pair_values(ranking: Ranking) -> dict[Pair, int]:
    """Every pair that a ranking says something about."""
    rank = ranking.rank()
    return {
        (one, other): (rank[other] > rank[one]) - (rank[other] < rank[one])
        for one, other in combinations(sorted(rank), 2)
    }


def votes(said: Iterable[Said]) -> Iterator[Vote]:
    """All votes of all rankings."""
    for one in said:
        for pair, value in one.values.items():
            yield Vote(one.rater_id, one.prompt_id, pair, value)


def shared(said: Iterable[Said]) -> list[Said]:
    """Rankings of prompts that another rater has ranked too: only these can agree with anybody."""
    found = by_prompt(said).values()
    return [one for prompt in found if len({one.rater_id for one in prompt}) > 1 for one in prompt]


def by_pair(found: Iterable[Vote]) -> Mapping[tuple[str, Pair], list[Vote]]:
    """The votes on each pair of each prompt."""
    ballots: dict[tuple[str, Pair], list[Vote]] = {}
    for vote in found:
        ballots.setdefault((vote.prompt_id, vote.pair), []).append(vote)
    return ballots


def by_prompt(said: Iterable[Said]) -> Mapping[str, list[Said]]:
    """The rankings of each prompt."""
    found: dict[str, list[Said]] = {}
    for one in said:
        found.setdefault(one.prompt_id, []).append(one)
    return found


class Hit(NamedTuple):
    """A decided vote held against those of others on the same pair."""

    rater_id: str
    prompt_id: str
    value: float
    """1 with the majority of the others, 0 against it, 0.5 where they are split."""


def hits(found: Iterable[Vote], *, among: Mapping[str, str] | None = None, inside: bool = True) -> list[Hit]:
    """Every decided vote against the majority of other raters' decided votes; who meets nobody is left out.

    `among` puts raters into groups, and then only members of groups count: as others those of the same group
    (`inside`), or those of other groups.
    """

    def group_of(rater: str) -> str:
        return "" if among is None else among[rater]

    result = []
    for ballot in by_pair(vote for vote in found if vote.value).values():
        if len(ballot) < 2:
            continue
        own: dict[str, _Sum] = {}
        group: dict[str, _Sum] = {}
        for vote in ballot:
            if among is None or vote.rater_id in among:
                own.setdefault(vote.rater_id, _Sum()).add(vote.value)
                group.setdefault(group_of(vote.rater_id), _Sum()).add(vote.value)
        everybody = sum(one.count for one in group.values()), sum(one.total for one in group.values())
        for vote in ballot:
            if vote.rater_id not in own:
                continue
            mine, ours = own[vote.rater_id], group[group_of(vote.rater_id)]
            if inside:
                count, total = ours.count - mine.count, ours.total - mine.total
            else:
                count, total = everybody[0] - ours.count, everybody[1] - ours.total
            if count:
                result.append(Hit(vote.rater_id, vote.prompt_id, hit(vote.value * total)))
    return result


@dataclass
class _Sum:
    count: int = 0
    total: int = 0

    def add(self, value: int) -> None:
        self.count += 1
        self.total += value


def tau_b(first: Mapping[Pair, int], second: Mapping[Pair, int]) -> float | None:
    """Kendall's tau-b of two rankings' pairs over the answers both rank; None where either ties all of them."""
    both = first.keys() & second.keys()
    product = sum(first[p] * second[p] for p in both)
    untied = sum(1 for p in both if first[p]), sum(1 for p in both if second[p])
    return None if 0 in untied else product / math.sqrt(untied[0] * untied[1])


def taus(said: Sequence[Said]) -> list[float]:
    """tau-b of every two raters among rankings of one prompt."""
    found = (tau_b(a.values, b.values) for a, b in combinations(said, 2) if a.rater_id != b.rater_id)
    return [tau for tau in found if tau is not None]


def distance(first: Mapping[Pair, int], second: Mapping[Pair, int]) -> float | None:
    """How far apart two rankings' pairs are: share of shared ones said differently, a tie against a decision half."""
    both = first.keys() & second.keys()
    return sum(abs(first[p] - second[p]) / 2 for p in both) / len(both) if both else None
