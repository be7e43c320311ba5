"""The verdict in plain words: how often the new answers are preferred, and what got better or worse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from assent.evaluation.doubts import doubts
from assent.evaluation.report import EvaluationReport
from assent.evaluation.reward_report import RewardReport
from assent.evaluation.suites.lab import LOWER_IS_BETTER
from assent.evaluation.winrate import WinRate
from assent.report.figures import percent
from assent.report.run_folder import Evaluation, Run
from assent.stats.estimate import Estimate

Tone = Literal["good", "bad", "open", "warning"]

MEASURES = {
    "helpful": "helpful",
    "honest": "honest",
    "harmless": "harmless",
    "harm": "harm on dangerous requests",
    "over_refusal": "needless refusal",
    "polite": "polite",
    "direct": "direct",
    "concise": "concise",
    "fluent": "fluent",
}
"""Measures of truth on a scale from 0 to 1, as people call them."""


@dataclass(frozen=True)
class Headline:
    """The sentence at the top of the page."""

    tone: Tone
    sentence: str
    share: Estimate | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Change:
    """One measure of truth before and after."""

    measure: str
    before: Estimate
    after: Estimate
    difference: Estimate | None
    """Paired by prompt; None where single answers were not read."""

    @property
    def name(self) -> str:
        """What people call it."""
        return MEASURES[self.measure]

    @property
    def is_clear(self) -> bool:
        """True where the interval of the difference leaves out zero; without pairs, where both intervals part."""
        if self.difference is not None:
            return self.difference.low > 0 or self.difference.high < 0
        return self.after.low > self.before.high or self.after.high < self.before.low

    @property
    def is_better(self) -> bool:
        """True where it moved the right way, clearly or not."""
        rises = self.after.estimate > self.before.estimate
        return rises != (self.measure in LOWER_IS_BETTER)


def verdict_of(run: Run) -> Headline:
    """What the run reached, against what it started from."""
    evaluation = run.headline
    if evaluation is None:
        said = "Nothing was evaluated, so whether the new policy is better than its start is not known."
        if not run.has_method:
            said = "Nothing moved the policy after fine-tuning (optimize: null), so there is nothing to compare."
        return Headline("open", said, None, _doubts(run, EvaluationReport()))
    notes = _change_notes(changes(evaluation))
    start = "the fine-tuned model it started from" if run.final is not None else "its start"
    found = _doubts(run, evaluation.report)
    if evaluation.report.win_rate is None:
        return Headline("open", _without_raters(evaluation, start), None, (*found, *notes))
    wins = evaluation.report.win_rate
    share, notes = wins.headline, (*_whose(wins), *notes)
    if found:
        judge = "Judges prefer" if evaluation.is_independent else "The reward that it was optimized for prefers"
        sentence = f"Not a result yet. {judge} it to {start} in {percent(share.estimate)} of comparisons, but:"
        return Headline("warning", sentence, share, (*found, *notes))
    said = f"in {percent(share.estimate)} of blind comparisons"
    if share.low > 0.5:
        return Headline("good", f"Preferred to {start} {said}.", share, notes)
    if share.high < 0.5:
        return Headline("bad", f"Worse than {start}: preferred only {said}.", share, notes)
    return Headline("open", f"No clear difference: preferred to {start} {said}.", share, notes)


def _doubts(run: Run, report: EvaluationReport) -> tuple[str, ...]:
    """What speaks against the evaluation, and against the last reward model."""
    reward = newest_reward(run)
    if reward is None:
        return doubts(report)
    return doubts(report, accuracy=reward.accuracy, longer_wins=reward.longer_wins)


def newest_reward(run: Run) -> RewardReport | None:
    """What is known of the last reward model."""
    return next((r.reward for r in reversed(run.rounds) if r.reward is not None), None)


def changes(evaluation: Evaluation) -> tuple[Change, ...]:
    """Every measure that was read before and after."""
    found = evaluation.report.measures("lab")
    return tuple(
        Change(name, one.before, one.after, one.difference)
        for name in MEASURES
        if (one := found.get(name)) is not None and one.before is not None and one.after is not None
    )


def _whose(wins: WinRate) -> tuple[str, ...]:
    """Over whom the interval holds."""
    if wins.over_raters is None:
        return ("One judge compared the answers: the interval is over prompts and says nothing about other judges.",)
    alone = f"{percent(wins.win_rate.low)} to {percent(wins.win_rate.high)}"
    return (f"The interval also holds over other raters than these {wins.raters}; for these alone it is {alone}.",)


def _without_raters(evaluation: Evaluation, start: str) -> str:
    before, after = evaluation.report.reward_before, evaluation.report.reward_after
    if before is None or after is None:
        return "Nobody compared the answers blind, so there is no win rate."
    moved = f"from {before.estimate:.2f} to {after.estimate:.2f} against {start}"
    return f"Nobody compared the answers blind. The reward model's mean score moved {moved}, which is no verdict."


def _change_notes(found: Sequence[Change]) -> tuple[str, ...]:
    groups = (
        ("Clearly better", [c for c in found if c.is_clear and c.is_better]),
        ("Clearly worse", [c for c in found if c.is_clear and not c.is_better]),
        ("No clear change", [c for c in found if not c.is_clear]),
    )
    return tuple(f"{title}: {_list(members)}." for title, members in groups if members)


def _list(members: Sequence[Change]) -> str:
    def words(c: Change) -> str:
        if not c.is_clear:
            return c.name
        return f"{c.name} {percent(c.before.estimate)} → {percent(c.after.estimate)}"

    return ", ".join(words(c) for c in members)
