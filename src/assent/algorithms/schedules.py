"""Learning-rate multipliers: pure functions of the step, so that a resumed run needs no scheduler state.

`step` counts the updates already made, 0 to total - 1. The first `warmup` updates rise in equal steps from 1/warmup to
1 (the first update is never wasted at rate 0); after them each curve runs from 1 down to `floor` at step = total.
"""

from __future__ import annotations

import math


def constant(step: int, total: int, *, warmup: int) -> float:
    """1 after the warm-up."""
    return _warming(step, warmup) if step < warmup else 1.0


def linear(step: int, total: int, *, warmup: int, floor: float) -> float:
    """A straight line from 1 to `floor` after the warm-up."""
    return _warming(step, warmup) if step < warmup else 1 - (1 - floor) * _progress(step, total, warmup)


def cosine(step: int, total: int, *, warmup: int, floor: float) -> float:
    """Half a cosine from 1 to `floor` after the warm-up (Loshchilov & Hutter 2017, eq. 5, without restarts)."""
    if step < warmup:
        return _warming(step, warmup)
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * _progress(step, total, warmup)))


def _warming(step: int, warmup: int) -> float:
    return (step + 1) / warmup


def _progress(step: int, total: int, warmup: int) -> float:
    """Share of the way after the warm-up that lies behind, between 0 and 1."""
    return min((step - warmup) / (total - warmup), 1.0) if total > warmup else 1.0
