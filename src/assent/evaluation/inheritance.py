"""Inherited bias: what a reward leans on, and which group of raters it has that from.

Two questions, for every group that raters told they belong to. Does the group itself lean (more than the others do)?

    logit P(better) = a · lead + c · Δf + [rater in group] · (a' · lead + c' · Δf)            c' is what it leans more

And does the reward have it from them? Its head is refitted without the group's votes, on the same states; by how much
its leans change is the group's influence. Intervals are of jackknives over raters and over
prompts, less that over votes, which both hold (Cameron, Gelbach & Miller 2011).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field
from threadpoolctl import threadpool_limits

from assent.core import seeds
from assent.core.types import Record
from assent.stats.clustered import student
from assent.stats.estimate import Estimate
from assent.training.head_fit import Answers, Floats, HeadVotes, fit_head, leans, logistic, projected

BLOCKS = 20
"""Blocks of raters, and of prompts, that are left out one at a time."""
LEAST_RATERS = 2
"""A group of fewer raters is a person; it is counted and not told."""
MOST_GROUPS = 12
"""An attribute with more groups is a name, not a group."""
SMALL = 0.2
"""Logits per unit of a feature: a group that leans less than this beyond the others is no alarm, however sure."""
FAMILY = 0.05
"""Chance that any alarm of a report is false, all groups and features together (Bonferroni)."""
POSITION = "shown first"


class GroupInfluence(Record):
    """What one group of raters does to the reward."""

    attribute: str
    group: str
    raters: int
    votes: int
    """Decided pairs."""
    leans: dict[str, Estimate]
    """Feature -> logits by which the group leans on it more than the other raters."""
    influence: dict[str, Estimate]
    """Feature -> lean of the reward less its lean without the group, in standard deviations of the score per unit."""


class Inheritance(Record):
    """Where the leans of a reward come from."""

    leans: dict[str, Estimate] = Field(default_factory=dict)
    """Feature -> what one unit more of it adds to the score, in its standard deviations, of a head fitted to all."""
    saved: dict[str, float] = Field(default_factory=dict)
    """The same of the head that is saved: after weights, copies, and what was taken out of it."""
    groups: tuple[GroupInfluence, ...] = ()
    too_small: tuple[str, ...] = ()
    """Groups of fewer raters than can be told apart from persons, as "attribute=group"."""
    alarms: tuple[str, ...] = ()


class Debias(Record):
    """A reward before and after leans were taken out of its head."""

    terms: tuple[str, ...]
    """What was fitted beside the reward and dropped."""
    leans_before: dict[str, float]
    """Feature -> what one unit more of it adds to the score, in its standard deviations."""
    leans_after: dict[str, float]
    accuracy_before: Estimate | None = None
    """On held-out pairs."""
    accuracy_difference: Estimate | None = None
    """After less before, on the same pairs."""


@dataclass(frozen=True)
class _Group:
    attribute: str
    name: str
    members: np.ndarray
    """[R], whether a rater belongs to it."""


def inheritance(
    votes: HeadVotes,
    answers: Answers,
    names: Sequence[str],
    raters: Sequence[str],
    attributes: Mapping[str, Mapping[str, str]],
    saved: Floats | None = None,
) -> Inheritance:
    """`names` are those of the features, `raters` those whose numbers the votes hold, `saved` the head that scores."""
    if len(votes.weight) < 2 * BLOCKS or len(set(votes.prompt.tolist())) < BLOCKS:
        return Inheritance()
    own = {} if saved is None else dict(zip(names, leans(saved, answers).tolist(), strict=True))
    groups, too_small = _groups(raters, attributes)
    with threadpool_limits(1, user_api="blas"):
        small, few = projected(votes, answers)
        first = fit_head(small)
        starts = [fit_head(_without(small, one), start=first) for one in groups]

        def numbers(kept: HeadVotes) -> Floats:
            return _numbers(kept, few, groups, first, starts)

        estimates, errors, freedom = _jackknifed(numbers, small)
    return _told(estimates, errors, freedom, names, groups, votes).model_copy(
        update={"saved": own, "too_small": too_small}
    )


def has_groups(raters: Sequence[str], attributes: Mapping[str, Mapping[str, str]]) -> bool:
    """Whether raters told of themselves what makes groups that can be held against each other."""
    return bool(_groups(raters, attributes)[0])


def _groups(raters: Sequence[str], attributes: Mapping[str, Mapping[str, str]]) -> tuple[list[_Group], tuple[str, ...]]:
    """Groups of two raters or more, of attributes whose other raters are two or more as well."""
    found, small = [], []
    for attribute in sorted({name for rater in raters for name in attributes.get(rater, {})}):
        told = [attributes.get(rater, {}).get(attribute) for rater in raters]
        values = sorted({one for one in told if one is not None})
        if not 2 <= len(values) <= MOST_GROUPS:
            continue
        for value in values:
            members = np.array([one == value for one in told])
            if members.sum() < LEAST_RATERS or (~members).sum() < LEAST_RATERS:
                small.append(f"{attribute}={value}")
            else:
                found.append(_Group(attribute, value, members))
    return found, tuple(small)


def _without(votes: HeadVotes, group: _Group) -> HeadVotes:
    return votes.without(group.members[votes.rater])


def _numbers(
    votes: HeadVotes, answers: Answers, groups: Sequence[_Group], first: Floats, starts: Sequence[Floats]
) -> Floats:
    """Leans of the reward [F], then of each group its influence [F] and what it leans more [F + 1]."""
    head = fit_head(votes, start=first)
    everybody = leans(head, answers)
    lead = votes.states @ head
    base = np.column_stack([lead, votes.features, votes.first])
    parts = [everybody]
    for group, start in zip(groups, starts, strict=True):
        inside = group.members[votes.rater]
        without = leans(fit_head(votes.without(inside), start=start), answers)
        columns = np.column_stack([base, base * inside[:, None]])
        # A weak ridge only: features that never differ within a group have no coefficient otherwise.
        found = logistic(columns, votes.weight, np.full(columns.shape[1], 0.05))
        parts += [everybody - without, found[base.shape[1] + 1 :]]
    return np.concatenate(parts)


def _jackknifed(numbers: Callable[[HeadVotes], Floats], votes: HeadVotes) -> tuple[Floats, Floats, float]:
    """The numbers, their standard errors, and degrees of freedom."""
    whole = numbers(votes)
    apart, freedom = [], np.inf
    each = np.arange(len(votes.weight))
    for label, name in ((votes.rater, "raters"), (votes.prompt, "prompts"), (each, "votes")):
        known, number = np.unique(label, return_inverse=True)
        order = seeds.stream(0, "inheritance", name).permutation(len(known))
        block = (order % min(len(known), BLOCKS))[number]
        count = int(block.max()) + 1
        if count < 2:  # one rater who judged everything says nothing of other raters
            apart.append(np.zeros_like(whole))
            continue
        found = np.array([numbers(votes.without(block == one)) for one in range(count)])
        apart.append((count - 1) / count * ((found - found.mean(axis=0)) ** 2).sum(axis=0))
        freedom = min(freedom, count - 1)
    by_rater, by_prompt, by_vote = apart
    variance = np.maximum(by_rater + by_prompt - by_vote, np.maximum(by_rater, by_prompt))
    return whole, np.sqrt(variance), float(freedom)


def _told(
    estimates: Floats,
    errors: Floats,
    freedom: float,
    names: Sequence[str],
    groups: Sequence[_Group],
    votes: HeadVotes,
) -> Inheritance:
    def of(place: int) -> Estimate:
        half = student(freedom) * float(errors[place])
        value = float(estimates[place])
        return Estimate(estimate=value, low=value - half, high=value + half)

    size, told, places = len(names), [], {}
    for number, group in enumerate(groups):
        start = size + number * (2 * size + 1)
        inside = group.members[votes.rater]
        told.append(
            GroupInfluence(
                attribute=group.attribute,
                group=group.name,
                raters=int(group.members.sum()),
                votes=int(inside.sum()),
                influence={name: of(start + i) for i, name in enumerate(names)},
                leans={name: of(start + size + i) for i, name in enumerate((*names, POSITION))},
            )
        )
        places[number] = start + size
    reward = {name: of(i) for i, name in enumerate(names)}
    alarms = _alarms(told, reward, estimates, errors, freedom, places)
    return Inheritance(leans=reward, groups=tuple(told), alarms=alarms)


def _alarms(
    told: Sequence[GroupInfluence],
    reward: Mapping[str, Estimate],
    estimates: Floats,
    errors: Floats,
    freedom: float,
    places: Mapping[int, int],
) -> tuple[str, ...]:
    """Of each feature and attribute the group that leans most, where chance does not explain it."""
    if not told:
        return ()
    features = list(told[0].leans)
    critical = student(freedom, 1 - FAMILY / (len(told) * len(features)))
    found = []
    for attribute in dict.fromkeys(one.attribute for one in told):
        numbers = [i for i, one in enumerate(told) if one.attribute == attribute]
        for place, feature in enumerate(features):
            at = {i: places[i] + place for i in numbers}
            sure = {i: abs(float(estimates[p])) - critical * float(errors[p]) for i, p in at.items()}
            most = max(numbers, key=lambda i: (sure[i] > 0, abs(float(estimates[at[i]]))))
            one = told[most]
            lean = one.leans[feature]
            if sure[most] > 0 and abs(lean.estimate) >= SMALL:
                found.append(_alarm(one, feature, lean, reward.get(feature)))
    return tuple(found)


def _alarm(one: GroupInfluence, feature: str, lean: Estimate, of_reward: Estimate | None) -> str:
    more = "more" if lean.estimate > 0 else "less"
    what = (
        "longer answers"
        if feature == "length"
        else "the answer shown first"
        if feature == POSITION
        else "answers that name " + feature
    )
    said = (
        f"the {one.raters} raters of {one.attribute} {one.group!r} like {what} {abs(lean.estimate):.2f} logits {more}"
        f" than the others [{lean.low:.2f}, {lean.high:.2f}]"
    )
    influence = one.influence.get(feature)
    if influence is None or of_reward is None:
        return said
    without = of_reward.estimate - influence.estimate
    return f"{said}; without them the reward's lean on it goes from {of_reward.estimate:+.2f} to {without:+.2f}"
