"""Two runs on one page: what differs in their settings, what came out, and their curves over one another."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from assent.core import files
from assent.pipeline.commands.compare import Comparison, shared_words
from assent.pipeline.commands.runs import Told
from assent.report.cards import Card, Section, card
from assent.report.figures import PANEL, WIDE, Curve, Frame, Row, curves, intervals
from assent.report.page import rendered
from assent.report.plots import AFTER, BEFORE
from assent.report.training import METHODS, Shown
from assent.stats.estimate import Estimate

Log = Sequence[Mapping[str, Any]]
HELD_OUT = Shown("eval_loss", "Held-out loss", "Nats per token, of demonstrations that were not trained on.")
FINE_TUNING = (
    Shown("loss", "Loss", "Nats per token, training batches."),
    HELD_OUT,
)
REWARD = (
    Shown("loss", "Loss", "Negative log-likelihood of the rankings, training batches.", low=0),
    Shown("accuracy", "Training accuracy", "Pairs ordered as raters did.", is_share=True, low=0, high=1),
)


def write_comparison(found: Comparison, to: Path) -> str:
    """Write the page and say in one line where it is."""
    files.write_text(to, comparison_page(found))
    return f"compared: {to}"


def comparison_page(found: Comparison) -> str:
    """The whole page. What models and people wrote is escaped, and what could turn or hide text is spelled out."""
    return rendered(
        "compare.html.jinja",
        first=found.first,
        second=found.second,
        settings=found.settings,
        facts=found.facts,
        shared=shared_words(found),
        sections=[one for one in _sections(found) if one.cards],
    )


def _sections(found: Comparison) -> Iterator[Section]:
    both = (found.first, found.second)
    yield Section("verdicts", "Verdicts", "With 95 % intervals, each against its own start.", tuple(_verdicts(both)))
    moved = _shown(both)
    yield Section("optimization", "Optimization", "How the policies moved.", tuple(_overlaid(both, "optimize", moved)))
    yield Section("reward", "Reward models", "On training batches.", tuple(_overlaid(both, "fit reward", REWARD)))
    yield Section("sft", "Fine-tuning", "Before the first round.", tuple(_overlaid(both, "sft", FINE_TUNING)))


def _verdicts(both: tuple[Told, Told]) -> Iterator[Card]:
    measures = (
        ("Preferred to its start", "Share of blind comparisons; the line is as often as not.", "policy", "win_rate"),
        (
            "Reward model right",
            "Held-out pairs ordered as raters did; the line is a coin.",
            "reward",
            "heldout_accuracy",
        ),
    )
    for title, note, part, name in measures:
        rows = [
            Row(told.name, estimate, colour)
            for told, colour in zip(both, (BEFORE, AFTER), strict=True)
            if (estimate := Estimate.of((told.deciding.get(part) or {}).get(name))) is not None
        ]
        if rows:
            yield card(title, note, intervals(rows, title, reference=0.5), size="wide")


def _shown(both: tuple[Told, Told]) -> list[Shown]:
    """What is logged by the methods of the runs, each number once."""
    found: dict[str, Shown] = {}
    for told in both:
        for shown in METHODS.get(told.method, ()):
            found.setdefault(shown.name, shown)
    return list(found.values())


def _overlaid(both: tuple[Told, Told], stage: str, shown: Sequence[Shown]) -> Iterator[Card]:
    logs = [told.metrics(stage) for told in both]
    for one in shown:
        lines, keys = [], []
        for told, rounds, colour in zip(both, logs, (BEFORE, AFTER), strict=True):
            drawn = [Curve(x, y, colour=colour, smooth=True, dots=one is HELD_OUT) for x, y in _series(rounds, one)]
            lines += drawn
            keys += [(colour, told.name)] if drawn else []
        if not lines:
            continue
        frame = Frame(low=one.low, high=one.high, is_share=one.is_share, is_log=one.is_log)
        note = one.note.replace("; the dashed line is the target", "")
        is_first = one is shown[0]
        svg = curves(lines, f"{one.title} over steps", frame=frame, size=WIDE if is_first else PANEL)
        yield card(one.title, note, svg, keys=keys, size="wide" if is_first else "small")


def _series(rounds: Sequence[Log], shown: Shown) -> Iterator[tuple[list[float], list[float]]]:
    """Steps and values of each round that logged the number, the rounds one after the other."""
    start = 0.0
    for log in rounds:
        rows = [m for m in log if _finite(m.get(shown.name)) and (not shown.is_log or m[shown.name] > 0)]
        if rows:
            yield [start + float(m["step"]) for m in rows], [float(m[shown.name]) for m in rows]
        start += max((float(m["step"]) for m in log), default=-1.0) + 1


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
