"""The waste ledger of a stage: what was computed beside what was asked for, told and kept in its notes."""

from __future__ import annotations

import math

from assent.core.runlog import RunLog
from assent.generation.engine import Engine
from assent.models.policy import PolicyModel
from assent.models.scalar import ScalarModel


def told(log: RunLog, model: PolicyModel | ScalarModel, engine: Engine | None = None) -> dict[str, float]:
    """Positions per real token, head rows per scored token, and how full the sampler was; 1 is no waste.

    A ratio of something that was never computed (a reward model has no language head) is left out.
    """
    facts = model.ledger.facts()
    if engine is not None:
        facts |= {f"sampling_{name}": value for name, value in engine.facts().items()}
    known = {name: round(value, 4) for name, value in facts.items() if not math.isnan(value)}
    log.say("waste: " + ", ".join(f"{value:.3f} {name.replace('_', ' ')}" for name, value in known.items()))
    return known
