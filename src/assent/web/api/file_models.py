"""What the API says about files: formats, what a file lost, what an import did."""

from __future__ import annotations

from assent.web.api.models import Out


class FormatOut(Out):
    """A format that can be downloaded."""

    name: str
    about: str
    unit: str
    endings: tuple[str, ...]


class LossOut(Out):
    """What a file holds and what it could not hold, in numbers and words."""

    format: str
    rows: int
    unit: str
    losses: dict[str, int]
    notes: tuple[str, ...]
    lines: tuple[str, ...]


class ImportOut(Out):
    """What an import did. The same file again gives 0 added."""

    comparisons: int
    added: int
    known: int
    new_raters: int
    tasks: int = 0
    """New tasks that nobody judged."""
    decisions: int = 0
    """New decisions of adjudicators."""
    known_answers: int = 0
    guidelines: int = 0
    """New versions of the guideline."""
    renumbered: int = 0
    """Those of them whose number another text has here."""
    otherwise: int = 0
    """Raters who are known here as another kind, and stay it."""
