"""How a stage computed: what it did beside what was asked for, and in which type; told and kept in its notes."""

from __future__ import annotations

import math
from typing import Any

from assent.core.runlog import RunLog
from assent.generation.engine import Engine
from assent.models.policy import PolicyModel
from assent.models.scalar import ScalarModel

_WORTH_SAYING = 1.1


def told(log: RunLog, model: PolicyModel | ScalarModel, engine: Engine | None = None) -> dict[str, Any]:
    """Computed beside what was asked for; said where it is more than a tenth.

    Positions per real token, head rows per scored token, and how full the sampler was; 1 is no waste.

    A ratio of something that was never computed (a reward model has no language head) is left out. What products
    were computed in is told where it was asked for or measured.
    """
    facts = model.ledger.facts()
    if engine is not None:
        facts |= {f"sampling_{name}": value for name, value in engine.facts().items()}
    known = {name: round(value, 4) for name, value in facts.items() if not math.isnan(value)}
    for name, value in known.items():
        if name.endswith("positions_per_token") and value > _WORTH_SAYING:
            what = "sampling" if name.startswith("sampling_") else "training"
            log.say(f"{value - 1:.0%} of the computation of {what} beside its tokens was padding or done twice")
    if not model.products.is_told:
        return known
    log.say(f"products in {model.products.kind}: {model.products.reason}")
    return {**known, "products": model.products.kind, "products_because": model.products.reason}
