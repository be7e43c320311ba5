"""Gate: whether a round's policy takes the place of the one before it, with the dossier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from assent.artifacts.stage import StageContext, stage
from assent.artifacts.store import Artifact
from assent.core.config import Config
from assent.evaluation.gate.config import GateConfig
from assent.evaluation.gate.decide import Decision, in_words
from assent.evaluation.gate.dossier import ask
from assent.pipeline.gating import evidence_of

DOSSIER = "dossier"


class GateStage(Config):
    """What decides whether a policy is promoted."""

    gate: GateConfig
    """Its lines, and who may judge."""


@stage(name="gate", version=1, kind="gate")
def run_gate(
    ctx: StageContext,
    config: GateStage,
    *,
    policy: Artifact,
    start: Artifact,
    evaluation: Artifact | None = None,
    measured: Sequence[Artifact] = (),
    measured_before: Sequence[Artifact] = (),
) -> dict[str, Any]:
    """Write the dossier; notes are the decision."""
    evidence = evidence_of(policy, start, evaluation, measured, measured_before)
    decision = ask(ctx.output / DOSSIER, config.gate, evidence)
    for line in in_words(decision):
        ctx.log.say(f"gate: {line.strip()}")
    return decision.model_dump(mode="json")


def decision_of(gate: Artifact) -> Decision:
    """What a gate said."""
    return Decision.model_validate(gate.notes)
