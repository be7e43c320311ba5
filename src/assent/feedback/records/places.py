"""The address of a place in a run where people are asked, as the store keeps it and as people write it."""

from __future__ import annotations

import re
from dataclasses import dataclass

FINAL = 1_000_000
"""Step of the last comparison of a run, which comes after all rounds."""
_PLACE = re.compile(r"(?P<run>.+)@(?P<folder>[^@/]+)/(?P<step>\d+)")


@dataclass(frozen=True)
class Address:
    """A place in a run as people write it: first/round-1/rankings, first/round-1/evaluation, first/final."""

    run: str
    folder: str
    """Tells runs of one name apart."""
    step: int

    @classmethod
    def of(cls, place: str) -> Address | None:
        """That of a place; None for what is none."""
        found = _PLACE.fullmatch(place)
        return None if found is None else cls(found["run"], found["folder"], int(found["step"]))

    def __str__(self) -> str:
        if self.step == FINAL:
            return f"{self.run}/final"
        return f"{self.run}/round-{self.step // 2}/{'evaluation' if self.is_evaluation else 'rankings'}"

    @property
    def is_evaluation(self) -> bool:
        """Whether two policies are compared there."""
        return self.step == FINAL or self.step % 2 == 1

    def is_below(self, named: str) -> bool:
        """Whether a name means it: its own, that of its round, or that of its run."""
        return named == str(self) or str(self).startswith(f"{named}/")
