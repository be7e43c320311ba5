"""Alarm when a whole group of raters stands apart or falls off: a region with other taste, or a question misread.

A group that differs is easily taken for a group that errs. So its agreement is read twice: with everybody else, and
among its own members. High inside and low outside is another taste (fit group offsets, ask whether the guideline is
meant for them); low in both is a misunderstanding (look at the wording in their language). Raters, not votes, are the
unit of every interval.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from assent.feedback.quality.ballots import Hit, Said, hits, shared, votes
from assent.stats.clustered import ratio
from assent.stats.estimate import Estimate

MIN_RATERS = 3
"""A smaller group is not looked at: it would be persons, not a group."""
MIN_VOTES = 30
DROP = 0.05
"""An alarm wants at least this distance, however sure it is."""

Reason = Literal["other_taste", "misread", "fell"]
"""other_taste: at one inside, apart from the rest. misread: apart from a rest that is at one, and not at one inside.
fell: below its own earlier agreement."""


@dataclass(frozen=True)
class GroupAgreement:
    """How one group of raters agrees with the rest and in itself."""

    key: str
    """What groups them: language, region …"""
    group: str
    raters: int
    outside: Estimate | None
    """Decided votes that go with the majority of raters of other groups."""
    inside: Estimate | None
    """Decided votes that go with the majority of the same group's other members."""
    rest: Estimate | None
    """The same between the raters of other groups: what is usual."""
    change: Estimate | None
    """Agreement with everybody in the later half of its time minus that in the earlier half."""
    alarm: Reason | None = None


def group_agreement(
    said: Sequence[Said], groups: Mapping[str, str], *, key: str, at: Mapping[str, float] | None = None
) -> list[GroupAgreement]:
    """Agreement of every group of at least `MIN_RATERS` raters, sorted by name, with an alarm where one is due.

    `groups` says rater -> group; `at` judgment id -> time, for a drop over time. Nothing where there is one group only.
    """
    sizes: dict[str, int] = {}
    for rater in {one.rater_id for one in said} & groups.keys():
        sizes[groups[rater]] = sizes.get(groups[rater], 0) + 1
    if len(sizes) < 2:
        return []
    found = list(votes(shared(said)))
    outside = hits(found, among=groups, inside=False)
    inside = hits(found, among=groups, inside=True)
    everybody = hits(found)
    result = []
    for group, size in sorted(sizes.items()):
        if size < MIN_RATERS:
            continue
        others = {rater: g for rater, g in groups.items() if g != group}
        rest = hits([v for v in found if v.rater_id in others])
        earlier_later = None if at is None else _change(said, everybody, groups, group, at)
        found_here = GroupAgreement(
            key=key,
            group=group,
            raters=size,
            outside=_share([h for h in outside if groups[h.rater_id] == group]),
            inside=_share([h for h in inside if groups[h.rater_id] == group]),
            rest=_share(rest),
            change=earlier_later,
        )
        result.append(_with_alarm(found_here, is_minority=2 * size <= sum(sizes.values())))
    return result


def _with_alarm(one: GroupAgreement, *, is_minority: bool) -> GroupAgreement:
    """The alarm that is due. Where two groups stand apart, it is the smaller one that a majority would mark down."""
    reason: Reason | None = None
    if is_minority and one.outside is not None:
        if one.inside is not None and _is_above(one.inside, one.outside):
            reason = "other_taste"
        elif one.rest is not None and _is_above(one.rest, one.outside):
            reason = "misread"
    if reason is None and one.change is not None and one.change.estimate < -DROP and one.change.high < 0:
        reason = "fell"
    return dataclasses.replace(one, alarm=reason)


def _is_above(one: Estimate, other: Estimate) -> bool:
    return one.estimate - other.estimate > DROP and one.low > other.high


def _share(found: Sequence[Hit]) -> Estimate | None:
    """Share of votes with the majority; raters are the clusters."""
    if len(found) < MIN_VOTES:
        return None
    tops: dict[str, float] = {}
    bottoms: dict[str, float] = {}
    for hit in found:
        tops[hit.rater_id] = tops.get(hit.rater_id, 0.0) + hit.value
        bottoms[hit.rater_id] = bottoms.get(hit.rater_id, 0.0) + 1
    share = ratio(list(tops.values()), list(bottoms.values()))
    if share is None or not share.half_width > 0:
        return share  # raters of many votes who all agree are surer than so many single votes, as `between` takes them
    return ratio(list(tops.values()), list(bottoms.values()), between=(0.0, 1.0))


def _change(
    said: Sequence[Said], everybody: Sequence[Hit], groups: Mapping[str, str], group: str, at: Mapping[str, float]
) -> Estimate | None:
    """Later minus earlier agreement with everybody, each rater's own halves."""
    of_rater: dict[str, list[Said]] = {}
    for one in said:
        if groups.get(one.rater_id) == group:
            of_rater.setdefault(one.rater_id, []).append(one)
    half: dict[str, set[str]] = {}
    for rater, mine in of_rater.items():
        mine.sort(key=lambda one: at.get(one.judgment.id, 0.0))
        half[rater] = {one.prompt_id for one in mine[len(mine) // 2 :]}
    sums: dict[str, list[float]] = {rater: [0.0, 0.0, 0.0, 0.0] for rater in half}
    total = 0
    for hit in everybody:
        rater = hit.rater_id
        if rater in half:
            is_later = hit.prompt_id in half[rater]
            sums[rater][2 if is_later else 0] += hit.value
            sums[rater][3 if is_later else 1] += 1
            total += 1
    rows = [row for row in sums.values() if row[1] and row[3]]
    if total < 2 * MIN_VOTES or len(rows) < MIN_RATERS:
        return None
    differences = [row[2] / row[3] - row[0] / row[1] for row in rows]
    weights = [min(row[1], row[3]) for row in rows]
    found = ratio([d * w for d, w in zip(differences, weights, strict=True)], weights)
    return None if found is None else found.inside(-1.0, 1.0)
