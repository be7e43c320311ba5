"""Who belongs to an audience, and how much evidence of them there is."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterable, Mapping, Sequence

from assent.core.types import Comparison, Judgment, Rater
from assent.profiles.config import Evidence, level_of

Audience = Mapping[str, Sequence[str]]


def belongs(rater: Rater, audience: Audience) -> bool:
    """Whether somebody told, and consented to have used, everything that the audience names; everybody to an empty one.

    The store gives out only what is consented to; what was withdrawn is not there any more.
    """
    return all(rater.attributes.get(attribute) in values for attribute, values in audience.items())


def members_of(raters: Iterable[Rater], audience: Audience) -> frozenset[str]:
    """Ids of those who belong."""
    return frozenset(rater.id for rater in raters if belongs(rater, audience))


def is_label(judgment: Judgment) -> bool:
    """A ranking of two answers or more; ties count, skips and flags do not."""
    return judgment.ranking is not None and len(judgment.ranking.ids) > 1


def ranked_by(comparisons: Iterable[Comparison], people: Collection[str]) -> list[Comparison]:
    """Comparisons with the labels of these people alone; those that have none are left out."""
    kept = []
    for one in comparisons:
        own = tuple(j for j in one.judgments if j.rater_id in people and is_label(j))
        if own:
            kept.append(one.model_copy(update={"judgments": own}))
    return kept


def counted(comparisons: Iterable[Comparison], members: frozenset[str], *, today: datetime.date) -> Evidence:
    """What there is by these raters, and what it allows."""
    found = [(one.prompt.id, j.rater_id) for one in comparisons for j in one.judgments if is_label(j)]
    own = [(prompt, rater) for prompt, rater in found if rater in members]
    raters, prompts = {rater for _, rater in own}, {prompt for prompt, _ in own}
    return Evidence(
        labels=len(own),
        raters=len(raters),
        prompts=len(prompts),
        level=level_of(len(own), len(raters)),
        counted=today,
    )
