"""Gate: whether a round's policy takes the place of the one before it, with the dossier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from assent.artifacts.find import store_at
from assent.artifacts.stage import StageContext
from assent.artifacts.store import Artifact
from assent.evaluation.gate.decide import Decision, in_words
from assent.evaluation.gate.dossier import take_look
from assent.evaluation.gate.evidence import Evidence
from assent.pipeline.gating import evidence_of
from assent.pipeline.stages.settings import GateStage

DOSSIER = "dossier"


def run_gate(
    ctx: StageContext,
    config: GateStage,
    *,
    policy: Artifact,
    start: Artifact,
    evaluation: Artifact | None = None,
    reward: Artifact | None = None,
    measured: Sequence[Artifact] = (),
    measured_before: Sequence[Artifact] = (),
) -> dict[str, Any]:
    """Write the dossier; notes are the decision.

    An evaluation of the same two policies that was asked before, such as one of fewer prompts, was an earlier look.
    """
    evidence = evidence_of(policy, start, evaluation, reward, measured, measured_before)
    decision = take_look(ctx.output / DOSSIER, config.gate, evidence, _look(ctx, evidence, policy, start))
    for line in in_words(decision):
        ctx.log.say(f"gate: {line.strip()}")
    return decision.model_dump(mode="json")


def _look(ctx: StageContext, evidence: Evidence, policy: Artifact, start: Artifact) -> int:
    """Number of this look at two policies of a run; the same evidence again is the same look."""
    said = [
        one.notes
        for one in store_at(policy.folder.parent).all()
        if one.kind == "gate"
        and one.key != ctx.key
        and (one.manifest.parents.get("policy"), one.manifest.parents.get("start")) == (policy.key, start.key)
    ]
    same = [int(one["look"]) for one in said if one["evidence"] == evidence.hash]
    return same[0] if same else 1 + max((int(one["look"]) for one in said), default=0)


def decision_of(gate: Artifact) -> Decision:
    """What a gate said."""
    return Decision.model_validate(gate.notes)
