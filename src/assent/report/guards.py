"""What the guards saw while a policy was trained: both rewards over the distance from the start, and the forecast."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from assent.report.cards import Card, Section, card
from assent.report.figures import Track, tracks
from assent.report.plots import AFTER, WARM
from assent.report.run_folder import Round, Run
from assent.stats.overoptimization import forecast


def alarms(run: Run) -> list[str]:
    """Every alarm of a guard, and where one ended the training, in words."""
    said = []
    many = len(run.rounds) > 1
    for values in run.result.get("rounds") or ():
        guards = values.get("guards") or {}
        where = f"round {values.get('round')}, " if many else ""
        said += [f"{where}{alarm}" for alarm in guards.get("alarms", ())]
        if guards.get("ended"):
            kept = guards.get("kept_step")
            which = "" if kept is None else f"; the policy is that after step {kept}"
            said.append(f"{where}training ended early, after {guards.get('steps')} steps{which}")
    return said


def gauge(run: Run) -> Section:
    """Over-optimization of each round that had a held-out reward."""
    cards = [made for one in run.rounds if (made := _gauge(one, many=len(run.rounds) > 1)) is not None]
    text = "What held-out prompts showed every few steps, by the reward that trains and by one that does not."
    return Section("guards", "Guards while training", text, tuple(cards))


def _gauge(one: Round, *, many: bool) -> Card | None:
    """Both rewards over √KL, less where they began, with the fitted curve of the held-out one and its peak."""
    rows = [row for row in one.metrics("optimize") if row.get("kind") == "guard" and _is_number(row.get("gold"))]
    if len(rows) < 2:
        return None
    distance = [float(row["distance"]) for row in rows]
    lines = []
    for name, colour in (("proxy", AFTER), ("gold", WARM)):
        scores = [float(row[name]) - float(rows[0][name]) for row in rows]
        fitted = forecast(distance, scores)
        grid = [float(d) for d in np.linspace(0, 1.15 * max(distance), 80)] if max(distance) > 0 else []
        curve = [fitted.at(d) for d in grid] if fitted is not None else []
        peak = None if fitted is None or name == "proxy" else fitted.peak()
        lines.append(Track(distance, scores, colour, grid if curve else [], curve, peak))
    svg = tracks(lines, "Both rewards over the square root of KL", x="√KL to the start", y="reward gained")
    title = f"Over-optimization, round {one.number}" if many else "Over-optimization"
    keys = [(AFTER, "reward that trains"), (WARM, "held-out reward")]
    return card(title, _note(rows, lines[1]), svg, keys=keys, size="wide")


def _note(rows: list[dict[str, Any]], gold: Track) -> str:
    best = max(rows, key=lambda row: row["gold"])
    note = f"Lines: d (a − b log d) after Gao et al., fitted to the dots. Measured best after step {best['after']:.0f}."
    if gold.peak is None:
        return note + " No peak is forecast."
    far = gold.peak.estimate > 4 * max(gold.x)
    where = "far beyond what was seen" if far else f"at √KL {gold.peak.estimate:.2f}"
    low = f"{gold.peak.low:.2f}"
    span = f"[{low}, {gold.peak.high:.2f}]" if math.isfinite(gold.peak.high) else f"[{low}, no upper end]"
    return note + f" Forecast peak {where} {span}."


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
