"""What of raters' attributes may leave: nothing that fewer than five people share, alone or together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from assent.core.types import Rater
from assent.data.losses import ATTRIBUTES, Losses

SMALLEST = 5
"""Fewest people who must share what is said about each of them."""


def suppressed(raters: Iterable[Rater], losses: Losses, *, smallest: int = SMALLEST) -> list[Rater]:
    """The raters with as many attributes as may leave; what was left out is counted.

    Afterwards everyone's whole set of attributes is shared by at least `smallest` raters. Of those in too small a
    group the rarest attribute goes first. Machines have no privacy and keep theirs.
    """
    given = list(raters)
    people = {rater.id: dict(rater.attributes) for rater in given if rater.kind == "person"}
    left_out = 0
    while lonely := _lonely(people, smallest):
        frequency = Counter(pair for attributes in people.values() for pair in attributes.items())
        # All of a round are chosen before any is changed: the result does not depend on the order of raters.
        rarest = {i: min(people[i].items(), key=lambda pair: (frequency[pair], pair))[0] for i in lonely}
        for rater_id, name in rarest.items():
            del people[rater_id][name]
            left_out += 1
    losses.add(ATTRIBUTES, left_out)
    return [r.model_copy(update={"attributes": people.get(r.id, r.attributes)}) for r in given]


def _lonely(people: Mapping[str, Mapping[str, str]], smallest: int) -> list[str]:
    """Those who say something about themselves that, taken together, too few others say too."""
    cells = Counter(frozenset(attributes.items()) for attributes in people.values())
    return [i for i, attributes in people.items() if attributes and cells[frozenset(attributes.items())] < smallest]
