"""What raters are asked about a task, as it is kept with every showing: settings may change while people work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, get_args

from assent.core.types import Flag, Judgment
from assent.feedback.records.settings import ProjectSettings

MOST_STEPS = 7
"""Steps of the longest scale."""


@dataclass(frozen=True)
class Asked:
    """What a form asked besides the order."""

    criteria: Mapping[str, int]
    """Name -> number of steps."""
    flags: tuple[str, ...]
    strengths: bool
    critique: bool
    edits: bool

    @classmethod
    def of(cls, settings: ProjectSettings) -> Asked:
        """What is asked under settings."""
        criteria = {criterion.name: len(criterion.anchors) for criterion in settings.criteria}
        return cls(criteria, settings.flags, settings.strengths, settings.critique, settings.edits)

    @classmethod
    def read(cls, kept: Mapping[str, Any]) -> Asked:
        """What `plain` wrote."""
        return cls(**{**kept, "flags": tuple(kept["flags"])})

    def plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {**asdict(self), "flags": list(self.flags)}

    def missing(self, said: Judgment) -> list[str]:
        """What a judgment says that this form does not ask: "criterion X", "flag X", edits, critique or strengths."""
        found = [
            f"criterion {name}"
            for scores in said.scores.values()
            for name, score in scores.items()
            if score != int(score) or not 1 <= score <= self.criteria.get(name, 0)
        ]
        found += [f"flag {flag}" for flags in said.flags.values() for flag in flags if flag not in self.flags]
        found += ["edits"] if said.edits and not self.edits else []
        found += ["critique"] if (said.critique or said.notes) and not self.critique else []
        has_strengths = said.ranking is not None and any(said.ranking.strengths or ())
        found += ["strengths"] if has_strengths and not self.strengths else []
        return list(dict.fromkeys(found))


NOTHING = Asked(criteria={}, flags=(), strengths=False, critique=False, edits=False)


def unasked(said: Judgment, forms: Sequence[Asked] | None) -> list[str]:
    """What a judgment says that none of these forms asked; None: it is not known what was asked."""
    if forms is None:
        names = {name for scores in said.scores.values() for name in scores}
        forms = (Asked(dict.fromkeys(names, MOST_STEPS), get_args(Flag), strengths=True, critique=True, edits=True),)
    left = NOTHING.missing(said)
    for form in forms:
        missing = form.missing(said)
        left = [one for one in left if one in missing]
    return left
