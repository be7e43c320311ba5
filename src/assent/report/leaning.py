"""Cards on bias and collapse: leans of a reward and whom it has them from, swaps of words for people, diversity."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from assent.evaluation.collapse import FALLS, RISES
from assent.evaluation.reward_report import RewardReport
from assent.report.cards import Card, card
from assent.report.figures import Bar, Row, Trend, bars, levels, trends
from assent.report.plots import AFTER, BAD, BEFORE, GOOD, WARM
from assent.report.run_folder import Run
from assent.stats.estimate import Estimate

MOST_ROWS = 14
"""Rows of a card; those that are surest are shown."""
_TRENDS = ("ead", "distinct_2", "opener_entropy", "self_bleu", "largest_cluster", "top_opener", "words")


def inherited(report: RewardReport) -> list[Card]:
    """What the reward leans on, and what each group of raters leans on more than the others."""
    found = report.inheritance
    if found is None or not found.leans:
        return []
    cards = []
    rows = [Row(name, value, AFTER if _is_unsure(value) else WARM) for name, value in found.leans.items()]
    note = "What one more unit of it (a log word; naming the group) adds to the score, in its standard deviations."
    cards.append(
        card("What the reward leans on", note, levels(rows[:MOST_ROWS], "Leans of the reward", references=(0,)))
    )
    own = [
        Row(f"{one.group} · {feature}", value, AFTER if _is_unsure(value) else WARM)
        for one in found.groups
        for feature, value in one.leans.items()
    ]
    if own:
        note = "Logits by which a group of raters likes it more than the other raters do."
        cards.append(_ranked("Leans of rater groups", note + _look(found.alarms), own))
        moved = [
            Row(f"{one.group} · {feature}", value, AFTER if _is_unsure(value) else WARM)
            for one in found.groups
            for feature, value in one.influence.items()
        ]
        note = "Lean of the reward less its lean when the head is fitted anew without the group."
        if found.too_small:
            note += f" Too few raters to tell: {', '.join(found.too_small)}."
        cards.append(_ranked("What each group does to the reward", note, moved))
    return cards


def taken_out(report: RewardReport) -> list[Card]:
    """Leans before and after they were taken out of the head."""
    found = report.debias
    if found is None:
        return []
    rows = []
    for name, before in list(found.leans_before.items())[:MOST_ROWS]:
        after = found.leans_after.get(name, 0.0)
        rows.append(Bar(name, abs(before), f"{before:+.2f} → {after:+.2f}"))
    note = f"Taken out: {', '.join(found.terms)}."
    if (moved := found.accuracy_difference) is not None:
        note += f" Accuracy on held-out pairs moved by {moved.estimate:+.3f} [{moved.low:+.3f}, {moved.high:+.3f}]."
    return [card("Leans before and after", note, bars(rows, "Leans before and after debiasing", width=520))]


def counterfactuals(run: Run) -> list[Card]:
    """Gaps of the newest policy and reward model between groups of people, as the suite found them."""
    if not run.rounds:
        return []
    cards = []
    for title, measures in _suites(run, -1).items():
        rows = [
            Row(name.replace("_", " "), after)
            for name, one in measures.items()
            if name.endswith(("_gap", "_excess")) and (after := Estimate.of(one.get("after"))) is not None
        ]
        if rows:
            note = (
                "Gap: a group less the reference, less what a placebo moves. Excess: size of a swap beyond a placebo's."
            )
            cards.append(card(title, note, levels(rows, f"{title}: gaps", references=(0,)), size="wide"))
    return cards


def diversity_over_rounds(run: Run) -> list[Card]:
    """How unlike the answers of each policy are, from the first on, with alarms in words."""
    titles = [title for title, found in _suites(run, 0).items() if "ead" in found and "opener_entropy" in found]
    cards = []
    for title in titles:
        found = [_suites(run, i).get(title, {}) for i in range(len(run.rounds))]
        ticks = ["start", *(f"round {one.number}" for one in run.rounds)]
        alarms = run.result["rounds"][-1].get("drift", [])
        for name in _TRENDS:
            if not all(name in one for one in found):
                continue
            values = [
                Estimate.of(found[0][name].get("before")),
                *(Estimate.of(one[name].get("after")) for one in found),
            ]
            words = name.replace("_", " ").replace("ead", "EAD")
            mine = [alarm for alarm in alarms if f": {words} " in alarm]
            note = "Held against the first policy." + _look(mine)
            scale = "share" if name in RISES or name.startswith("distinct") else "number"
            colour = BAD if mine else GOOD if name in FALLS else BEFORE
            svg = trends([Trend(words, values, colour)], f"{words} per round", ticks=ticks, scale=scale)  # type: ignore[arg-type]
            cards.append(card(f"{title}: {words}", note, svg))
    return cards


def _ranked(title: str, note: str, rows: list[Row]) -> Card:
    """The surest rows first."""
    ranked = sorted(rows, key=lambda row: -abs(row.value.estimate) / max(row.value.half_width, 1e-9))
    return card(title, note, levels(ranked[:MOST_ROWS], title, references=(0,)), size="tall")


def _is_unsure(value: Estimate) -> bool:
    return value.low <= 0 <= value.high or not math.isfinite(value.half_width)


def _look(alarms: Any) -> str:
    return "".join(f" Look into this: {alarm.rstrip('.')}." for alarm in alarms)


def _suites(run: Run, number: int) -> Mapping[str, Mapping[str, Any]]:
    """Measures of every suite of a round, by its title, from result.json."""
    rounds = run.result.get("rounds") or [{}]
    found: Mapping[str, Mapping[str, Any]] = rounds[number].get("suites") or {}
    return found
