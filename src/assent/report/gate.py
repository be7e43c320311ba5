"""The gate of every round: which lines held, which did not, and which rounds were promoted."""

from __future__ import annotations

import math

from assent.evaluation.gate.decide import Decision, Said, line_in_words
from assent.report.cards import Card, Section, card
from assent.report.diff import visible
from assent.report.figures import Row, levels
from assent.report.plots import BAD, GOOD, SOFT
from assent.report.run_folder import Round, Run

_COLOURS = {"pass": GOOD, "fail": BAD, "undecided": SOFT}
_FARTHEST = 2.0
"""Differences of shares and ratios share an axis; numbers of another scale would flatten them and are only said."""


def gates(run: Run) -> Section:
    """One card per round that was asked to pass a gate; no section where none was."""
    found = [(one, decision) for one in run.rounds if (decision := decision_of(one)) is not None]
    passed = [f"round {one.number}" for one, decision in found if decision.verdict == "pass"]
    text = (
        "A policy takes the place of the one before it only where every line of the gate surely holds. Promoted:"
        f" {', '.join(passed) or 'no round, so the policy that the run started from stays'}."
    )
    return Section("gate", "Gate", text, tuple(_card(one, decision) for one, decision in found))


def decision_of(one: Round) -> Decision | None:
    """What the gate said of a round; None without a gate."""
    artifact = one.artifacts.get("gate")
    return None if artifact is None else Decision.model_validate(artifact.notes)


def _card(one: Round, decision: Decision) -> Card:
    rows = [
        Row(visible(f"{said.verdict.upper()} {said.measure}"), said.found, _COLOURS[said.verdict])
        for said in decision.lines
        if said.found is not None and _fits(said)
    ]
    open_lines = [line_in_words(said) for said in decision.lines if said.verdict != "pass"]
    end = "promoted" if decision.verdict == "pass" else "not promoted"
    note = "\n".join([f"{decision.verdict.upper()}, {end}.", *(open_lines or ["Every line holds."])])
    svg = levels(rows, f"Gate of round {one.number}", references=(0.0,)) if rows else ""
    return card(f"Round {one.number}", note, svg, size="wide")


def _fits(said: Said) -> bool:
    found = said.found
    return found is not None and all(math.isfinite(x) and abs(x) <= _FARTHEST for x in (found.low, found.high))
