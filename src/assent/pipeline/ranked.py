"""Comparisons as a model reads them: token groups with their targets, those that say nothing or do not fit left out."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from assent.core.group import Group
from assent.core.lazy import Picked, pick
from assent.core.types import Comparison, Prompt
from assent.data.fit import Policy
from assent.data.render import Renderer
from assent.data.talks import Fitted, fit_comparisons
from assent.training.target_store import TargetStore
from assent.training.targets import Target, target_of


@dataclass(frozen=True)
class RankedGroups:
    """Comparisons that say something and fit, as token groups with their targets."""

    comparisons: Sequence[Comparison]
    groups: Sequence[Group]
    targets: Sequence[Target]
    fitted: Fitted


@dataclass(frozen=True)
class Reading:
    """How comparisons become groups."""

    renderer: Renderer
    limit: int
    """Tokens of the longest row."""
    too_long: Policy
    margins: Sequence[float] | None
    budget: int
    """Tokens of a micro-batch."""

    def of(self, comparisons: Sequence[Comparison]) -> RankedGroups:
        """The groups of some comparisons."""
        return ranked_groups(comparisons, self.renderer, limit=self.limit, too_long=self.too_long, margins=self.margins)


def ranked_groups(
    comparisons: Sequence[Comparison],
    renderer: Renderer,
    *,
    limit: int,
    too_long: Policy,
    margins: Sequence[float] | None = None,
) -> RankedGroups:
    """Render each comparison as one group: its prompt once, all its answers.

    Comparisons are read once, in order, and none is held.
    """
    places, targets = array("q"), TargetStore()

    def asked() -> Iterator[tuple[Prompt, list[str], list[bool]]]:
        for place, one in enumerate(comparisons):
            target = target_of(one, margins=margins)
            if target is not None:
                places.append(place)
                targets.append(target)
                yield one.prompt, [a.text for a in one.completions], [a.finished for a in one.completions]

    fitted = fit_comparisons(asked(), renderer, max_length=limit, policy=too_long)
    kept = np.array(fitted.checked("comparisons", max_length=limit).kept, dtype=np.int64)
    own = pick(comparisons, np.array(places, dtype=np.int64)[kept])
    return RankedGroups(own, fitted.flat, Picked(targets, kept), fitted)
