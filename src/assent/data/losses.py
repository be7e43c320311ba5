"""What a file format could not hold, in words and numbers: "212 ties dropped", "41 rankings became 246 pairs"."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from assent.core.types import Comparison, Judgment


@dataclass(frozen=True)
class Lost:
    """One kind of thing that was left out or changed."""

    one: str
    many: str
    what: str = "dropped"

    @property
    def name(self) -> str:
        """The loss without its number."""
        return f"{self.many} {self.what}"

    def said(self, count: int) -> str:
        """The loss with its number."""
        return f"{count} {self.one if count == 1 else self.many} {self.what}"


TIES = Lost("tie", "ties")
SAME_TEXT = Lost("pair", "pairs", "dropped: both answers have the same text")
TWINS = Lost("judgment", "judgments", "dropped: two of the answers have the same text")
SEVERAL_TURNS = Lost("judgment", "judgments", "dropped: the prompt has several turns or a system turn")
LOOKS_LIKE_TURN = Lost("pair", "pairs", "dropped: a text holds 'Human:' or 'Assistant:' as if it were a turn")
SYSTEM_TURNS = Lost("system turn", "system turns", "laid before the first human turn")
OPENED_BY_ASSISTANT = Lost("judgment", "judgments", "dropped: the conversation is not by turns of user and assistant")
TOOL_TURNS = Lost("judgment", "judgments", "dropped: the prompt holds tools, calls of them or reasoning")
CALLS_AS_TEXT = Lost("tool, call or result of one", "tools, calls and results of them", "written as text")
UNPLACED = Lost("answer", "answers", "without a place dropped")
ALONE = Lost("judgment", "judgments", "dropped: fewer than two answers have a place")
UNRANKED = Lost("judgment", "judgments", "without a ranking dropped")
RATERS = Lost("rater", "raters")
STRENGTHS = Lost("strength", "strengths")
CRITIQUES = Lost("critique", "critiques")
NOTES = Lost("note", "notes")
FLAGS = Lost("flag", "flags")
SCORES = Lost("score", "scores")
EDITS = Lost("edit", "edits")
SECONDS = Lost("reading time", "reading times")
ORDERS = Lost("order of display", "orders of display")
DETAILS = Lost("record of a judge's margins", "records of a judge's margins")
MARKS = Lost("judgment without a ranking", "judgments without a ranking")
RANKINGS = Lost("ranking", "rankings", "dropped, since only edits are written")
ATTRIBUTES = Lost("attribute", "attributes", "of raters left out: fewer than five people share them")
NO_ATTRIBUTES = Lost("attribute", "attributes", "of raters dropped")
SINGLES = Lost("judgment", "judgments", "of single answers dropped: there is nothing to compare")
SKIPS = Lost("skip", "skips")
RENAMED = Lost("rater", "raters", "renamed")
DECISIONS = Lost("decision of an adjudicator", "decisions of adjudicators")
TIMES = Lost("time of a judgment", "times of judgments")
GUIDELINES = Lost("version of the guideline that was read", "versions of the guideline that were read")
PROPENSITIES = Lost("propensity", "propensities")
REPEATS = Lost("judgment of a task that was asked again", "judgments of tasks that were asked again")
EARLIER = Lost("judgment that was corrected later", "judgments that were corrected later")
KNOWN_ANSWERS = Lost("known answer of a task", "known answers of tasks")
UNJUDGED = Lost("task that nobody judged", "tasks that nobody judged")
FACTS = Lost("kind, date and state of a task", "kinds, dates and states of tasks")
VIEWINGS = Lost("account of how a task was seen", "accounts of how tasks were seen")
TEXTS = Lost("text of a guideline", "texts of guidelines")
KINDS = Lost("kind of a rater that is no person", "kinds of raters that are no people")

KEPT_BY_NAME = {
    "raters": RATERS,
    "strengths": STRENGTHS,
    "critiques": CRITIQUES,
    "notes": NOTES,
    "flags": FLAGS,
    "scores": SCORES,
    "edits": EDITS,
    "seconds": SECONDS,
    "orders": ORDERS,
    "details": DETAILS,
}
"""What a judgment may say besides its order, and the loss of it."""


@dataclass(frozen=True)
class LossReport:
    """How many rows a file holds, and what it could not hold."""

    format: str
    rows: int
    unit: str
    """What a row is: pairs, records, tasks, …"""
    counts: tuple[tuple[Lost, int], ...] = ()
    notes: tuple[str, ...] = ()
    """What was changed rather than lost."""

    @property
    def losses(self) -> dict[str, int]:
        """Losses by name, each with its number."""
        return {loss.name: count for loss, count in self.counts}

    def lines(self) -> list[str]:
        """The report in words."""
        unit = self.unit[:-1] if self.rows == 1 else self.unit
        said = [loss.said(count) for loss, count in self.counts]
        return [f"wrote {self.rows} {unit} as {self.format}", *said, *self.notes]

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON."""
        return {
            "format": self.format,
            "rows": self.rows,
            "unit": self.unit,
            "losses": self.losses,
            "notes": list(self.notes),
            "lines": self.lines(),
        }


@dataclass
class Losses:
    """Counts while a file is written."""

    counts: dict[Lost, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, loss: Lost, count: int = 1) -> None:
        """Count a loss."""
        if count:
            self.counts[loss] = self.counts.get(loss, 0) + count

    def report(self, format: str, rows: int, unit: str) -> LossReport:
        """The report of a file of so many rows."""
        return LossReport(format, rows, unit, tuple(self.counts.items()), tuple(self.notes))


def count_unsaid(comparisons: Iterable[Comparison], losses: Losses, *, keeps: frozenset[str]) -> None:
    """Count everything the judgments say that a format with these `keeps` (names of KEPT_BY_NAME) does not write."""
    raters = set()
    for comparison in comparisons:
        for judgment in comparison.judgments:
            raters.add(judgment.rater_id)
            for name, count in _amounts(judgment).items():
                if name not in keeps:
                    losses.add(KEPT_BY_NAME[name], count)
    if "raters" not in keeps:
        losses.add(RATERS, len(raters))


def _amounts(judgment: Judgment) -> dict[str, int]:
    strengths = judgment.ranking.strengths if judgment.ranking else None
    return {
        "strengths": sum(strength is not None for strength in strengths or ()),
        "critiques": judgment.critique is not None,
        "notes": len(judgment.notes),
        "flags": sum(len(flags) for flags in judgment.flags.values()),
        "scores": sum(len(scores) for scores in judgment.scores.values()),
        "edits": len(judgment.edits),
        "seconds": judgment.seconds is not None,
        "orders": bool(judgment.order_shown),
        "details": bool(judgment.details),
    }
