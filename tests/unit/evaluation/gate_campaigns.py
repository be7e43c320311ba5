"""Campaigns for tests of the gate: two policies on the same items, with a planted difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from assent.core.hashing import hash_json
from assent.evaluation.gate.evidence import Compared, Evidence
from assent.evaluation.outcomes import Found, Outcome
from assent.evaluation.report import Judge, KnownJudge


def found(kind: str, subject: str, values: Sequence[Mapping[str, float]], *, groups: Sequence[str] = ()) -> Found:
    """Outcomes of these values, an item and a cluster each."""
    outcomes = tuple(
        Outcome(item=f"i{n}", cluster=f"c{n}", values=dict(one), group=groups[n] if groups else "", prompt=f"p{n}")
        for n, one in enumerate(values)
    )
    source = hash_json([one.item for one in outcomes])
    return Found(suite=kind, subject=subject, source=source, outcomes=outcomes, kind=kind)


def shares(kind: str, name: str, after: Sequence[float], before: Sequence[float] | None = None) -> Compared:
    """One measure of both policies."""
    new = found(kind, "new", [{name: value} for value in after])
    return Compared(new, None if before is None else found(kind, "old", [{name: value} for value in before]))


def wins(scores: Sequence[float], longer: Sequence[float] | None = None) -> Compared:
    """Verdicts, one per prompt."""
    longer = longer or [0.0] * len(scores)
    rows = [{"win_rate": score, "longer": more} for score, more in zip(scores, longer, strict=True)]
    return Compared(found("winrate", "new", rows))


def evidence(judge: Judge | None = None, known: KnownJudge | None = None, **suites: Compared) -> Evidence:
    """What two policies showed; people judged them unless it is said otherwise."""
    return Evidence("new", "old", suites, judge or Judge(kind="people", is_independent=True), known)


def coins(rate: float, size: int, seed: int) -> list[float]:
    """Zeros and ones."""
    return (np.random.default_rng(seed).random(size) < rate).astype(float).tolist()
