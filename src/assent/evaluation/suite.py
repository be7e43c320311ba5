"""Suite: a way to measure two policies' answers to the same prompts, and the report that every suite gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ConfigDict, Field

from assent.core.types import Completion, Prompt, Record
from assent.evaluation.winrate import Verdict, WinRate
from assent.feedback.quality.sheets import Score
from assent.stats.estimate import Estimate


class Measure(Record):
    """One measure of both policies' answers."""

    model_config = ConfigDict(extra="ignore")

    before: Estimate | None = None
    """Of the baseline's answers; None where the measure is of both together, or applies to no answer."""
    after: Estimate | None = None
    """Of the new policy's answers; None where the measure applies to no answer."""
    difference: Estimate | None = None
    """after - before, paired by prompt; None where it was not taken."""
    lower_is_better: bool | None = False
    """None: neither is better, as of a length."""
    n: int
    """Answers of each policy that it applies to; of both together, prompts."""


class SuiteReport(Record):
    """What one suite found."""

    model_config = ConfigDict(extra="ignore")

    measures: dict[str, Measure]
    slices: dict[str, dict[str, Measure]] = Field(default_factory=dict)
    """The same of each slice of the suite's items; exploratory: many slices find something by chance."""
    nulls: dict[str, dict[str, float | None]] = Field(default_factory=dict)
    """What answers without any thought reach: name of the baseline -> measure -> number."""
    notes: dict[str, int | str] = Field(default_factory=dict)
    """Counts of what was left out, versions, signatures."""
    rows: tuple[dict[str, Any], ...] = Field(default=(), exclude=True)
    """What it says of each prompt, in their order, for samples.jsonl; not in the report's own file."""

    def means(self) -> dict[str, dict[str, float | None]]:
        """{"before": {measure: mean}, "after": {measure: mean}}."""
        return {
            side: {name: None if (e := getattr(m, side)) is None else e.estimate for name, m in self.measures.items()}
            for side in ("before", "after")
        }


@dataclass(frozen=True)
class Asked:
    """What a suite may look at: prompts, both policies' answers to them in the same order, and what judges said."""

    prompts: Sequence[Prompt]
    before: Sequence[Completion]
    after: Sequence[Completion]
    verdicts: Sequence[Verdict] = ()
    win_rate: WinRate | None = None
    """Of the verdicts; None where nobody compared the answers."""
    scores: Sequence[Score] = ()
    """What judges gave answers by criterion; their models are "before" and "after"."""
    is_lab: bool = False
    """Whether the prompts are the lab's, of which the truth can be read."""


AnswerSuite = Callable[[Asked], SuiteReport | None]
"""None where the suite has nothing to measure."""
