"""The blind comparison: how often judges prefer the new policy's answer."""

from __future__ import annotations

import math

from assent.evaluation.suite import Asked, Measure, SuiteReport
from assent.evaluation.winrate import WinRate


def blind_comparison(asked: Asked) -> SuiteReport | None:
    """The win rates of the verdicts, and each prompt's own share; None where nobody compared the answers."""
    if asked.win_rate is None:
        return None
    shares: dict[str, list[float]] = {}
    for verdict in asked.verdicts:
        shares.setdefault(verdict.prompt_id, []).append(verdict.score)
    rows = ({"preferred": _mean(shares.get(prompt.id))} for prompt in asked.prompts)
    return SuiteReport(measures=measures_of(asked.win_rate), rows=tuple(rows))


def measures_of(found: WinRate) -> dict[str, Measure]:
    """The rates that compare both policies."""
    rates = {"win_rate": found.win_rate, "length_controlled": found.length_controlled}
    return {name: Measure(after=rate, n=found.prompts) for name, rate in rates.items()}


def _mean(scores: list[float] | None) -> float | None:
    return None if not scores else math.fsum(scores) / len(scores)
