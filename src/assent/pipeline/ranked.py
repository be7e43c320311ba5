"""Comparisons as a model reads them: token groups with their targets, those that say nothing or do not fit left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assent.core.group import Group
from assent.core.types import Comparison
from assent.data.fit import Policy
from assent.data.render import Renderer
from assent.data.talks import Fitted, fit_comparisons
from assent.training.targets import Target, target_of


@dataclass(frozen=True)
class RankedGroups:
    """Comparisons that say something and fit, as token groups with their targets."""

    comparisons: list[Comparison]
    groups: list[Group]
    targets: list[Target]
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
    """Render each comparison as one group: its prompt once, all its answers."""
    targets = [(c, target_of(c, margins=margins)) for c in comparisons]
    found = [(comparison, target) for comparison, target in targets if target is not None]
    asked = [(c.prompt, [a.text for a in c.completions], [a.finished for a in c.completions]) for c, _ in found]
    fitted = fit_comparisons(asked, renderer, max_length=limit, policy=too_long)
    kept = [found[i] for i in fitted.checked("comparisons", max_length=limit).kept]
    return RankedGroups([c for c, _ in kept], list(fitted.flat), [t for _, t in kept], fitted)
