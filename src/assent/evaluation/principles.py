"""Principles held against each other: which conflict, which never fire, which say the same, on the same pairs.

The margins of two principles go together by their cosine, Σ m n / √(Σ m² Σ n²): of pairs of answers, whichever comes
first, it is their correlation. Intervals leave out prompts in turn; those of pairs of principles hold together, at
1 - 0.05 / (number of pairs of principles) each (Bonferroni).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from assent.core.types import Record
from assent.stats.clustered import clustered_share
from assent.stats.estimate import Estimate
from assent.stats.resampled import left_out

RARELY = 0.05
"""A principle whose share of pairs surely lies below this never fires, as far as one can see."""
SAME = 0.8
"""Two whose cosine surely lies above this say the same."""
FEWEST = 10
"""Of two principles that prefer an answer on fewer of the same pairs nothing is said: leaving out one of a handful of
prompts says little of what other prompts would do."""
LEAST_MARGIN = 0.05
"""A smaller margin, in logits, is no preference."""
NO_MASS = 0.5
"""Where verdicts cover less of the probability there is none."""
Margins = Mapping[str, tuple[float, float]]
"""Principle -> margin for the first of two answers, and the probability that its verdicts had together."""


@dataclass(frozen=True)
class PairMargins:
    """What the principles say of one pair of answers."""

    prompt: str
    """Id of the prompt: pairs of one prompt hang together."""
    margins: Margins


class Fires(Record):
    """One principle by itself."""

    principle: str
    pairs: int
    fires: Estimate | None
    """Share of the pairs on which it prefers one answer; None with fewer than two prompts."""
    no_mass: float
    """Share of the pairs on which the judge wanted to say no verdict."""

    @property
    def never(self) -> bool:
        """Whether it surely prefers an answer on hardly any pair."""
        return self.fires is not None and self.fires.high < RARELY


class Together(Record):
    """Two principles on the same pairs."""

    first: str
    second: str
    pairs: int
    """Pairs on which both were asked."""
    both: int
    """Those on which both prefer an answer."""
    cosine: Estimate | None
    """None where one of them prefers nothing."""

    @property
    def is_seen(self) -> bool:
        """Whether both prefer an answer often enough for the interval to be believed."""
        return self.both >= FEWEST

    @property
    def conflict(self) -> bool:
        """Whether they surely prefer opposite answers more than the same."""
        return self.is_seen and self.cosine is not None and self.cosine.high < 0

    @property
    def same(self) -> bool:
        """Whether they surely say nearly the same."""
        return self.is_seen and self.cosine is not None and self.cosine.low > SAME


class PrinciplesReport(Record):
    """All of them."""

    alone: tuple[Fires, ...]
    together: tuple[Together, ...]

    @property
    def conflicts(self) -> list[Together]:
        """Pairs of principles that conflict."""
        return [one for one in self.together if one.conflict]

    @property
    def doubled(self) -> list[Together]:
        """Pairs that say the same."""
        return [one for one in self.together if one.same]

    @property
    def silent(self) -> list[Fires]:
        """Principles that never fire."""
        return [one for one in self.alone if one.never]

    def lines(self) -> list[str]:
        """Two tables, then what is wrong."""
        found = [f"{'principle':<24}{'pairs':>7}  prefers an answer on         no verdict"]
        for one in self.alone:
            shown = "too few prompts" if one.fires is None else str(one.fires)
            found.append(f"{one.principle:<24}{one.pairs:>7}  {shown:<28} {one.no_mass:>9.0%}")
        found.append(f"{'on the same pairs':<48}{'pairs':>7}{'both':>7}  go together")
        for two in self.together:
            shown = "one prefers nothing, or too few prompts" if two.cosine is None else str(two.cosine)
            if two.cosine is not None and not two.is_seen:
                shown += f", and nothing is said of fewer than {FEWEST} that both decide"
            found.append(f"{f'{two.first}, {two.second}':<48}{two.pairs:>7}{two.both:>7}  {shown}")
        opposed = "prefer opposite answers"
        found += [f"conflict: {one.first} and {one.second} {opposed} ({one.cosine})" for one in self.conflicts]
        found += [f"never fires: {one.principle} (on {one.fires} of {one.pairs} pairs)" for one in self.silent]
        found += [f"the same twice: {one.first} and {one.second} ({one.cosine})" for one in self.doubled]
        if not (self.conflicts or self.silent or self.doubled):
            found.append("no two principles surely conflict or say the same, and none surely never fires")
        return found


def principles_report(ids: Sequence[str], rows: Sequence[PairMargins]) -> PrinciplesReport:
    """What margins on pairs say of principles, in the order of `ids`; a principle may be missing from some pairs."""
    couples = list(combinations(ids, 2))
    confidence = 1 - 0.05 / max(1, len(couples))
    return PrinciplesReport(
        alone=tuple(_alone(name, rows) for name in ids),
        together=tuple(_together(a, b, rows, confidence=confidence) for a, b in couples),
    )


def _alone(name: str, rows: Sequence[PairMargins]) -> Fires:
    own = [(row.margins[name], row.prompt) for row in rows if name in row.margins]
    fired = [float(_prefers(said)) for said, _ in own]
    prompts = [prompt for _, prompt in own]
    share = clustered_share(fired, prompts).model_copy(update={"n": len(own)}) if len(set(prompts)) > 1 else None
    no_mass = sum(mass < NO_MASS for (_, mass), _ in own) / max(1, len(own))
    return Fires(principle=name, pairs=len(own), fires=share, no_mass=no_mass)


def _together(first: str, second: str, rows: Sequence[PairMargins], *, confidence: float) -> Together:
    own = [row for row in rows if first in row.margins and second in row.margins]
    values = [(_counted(row.margins[first]), _counted(row.margins[second])) for row in own]
    prompts = [row.prompt for row in own]
    both = sum(a != 0 and b != 0 for a, b in values)
    found = None
    if len(set(prompts)) > 1:
        found = left_out(values, prompts, _cosine, between=(-1.0, 1.0), confidence=confidence)
    return Together(first=first, second=second, pairs=len(own), both=both, cosine=found)


def _cosine(values: list[tuple[float, float]]) -> float | None:
    size = math.sqrt(math.fsum(a * a for a, _ in values) * math.fsum(b * b for _, b in values))
    return max(-1.0, min(1.0, math.fsum(a * b for a, b in values) / size)) if size > 0 else None


def _prefers(said: tuple[float, float]) -> bool:
    return _counted(said) != 0


def _counted(said: tuple[float, float]) -> float:
    """The margin where it is a preference, else 0."""
    margin, mass = said
    return margin if abs(margin) > LEAST_MARGIN and mass >= NO_MASS else 0.0
