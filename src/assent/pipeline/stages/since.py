"""What has changed outside since a stage made its artifact, though nothing in its key says so."""

from __future__ import annotations

from collections.abc import Collection

from assent.artifacts.identity import FromOutside
from assent.artifacts.jsonl import Records, read_records
from assent.artifacts.store import Artifact
from assent.core.hashing import hash_json
from assent.core.types import Comparison, Rater
from assent.feedback.config import StoreConfig
from assent.feedback.opening import open_store
from assent.pipeline.late import spoiled_since
from assent.pipeline.stages.settings import CollectStage, GatherStage


def tried_since(artifact: Artifact, config: GatherStage) -> FromOutside:
    """What the rows would be tried against now and were not then; artifacts of old say nothing of it, and stay."""
    changes: dict[str, str] = {}
    if artifact.notes.get("strict", config.strict) != config.strict:
        changes["rows fit"] = hash_json(config.strict)
    if artifact.notes.get("reads", []) != config.reads:
        changes["prompts have"] = hash_json(config.reads)
    now = config.passed
    is_as_then = artifact.notes.get("passed", now.said) in (now.content, now.said)
    return FromOutside.of(changes) | (None if is_as_then else now)


def told_since(judgments: Artifact, config: CollectStage) -> dict[str, str]:
    """What raters say about themselves now, where it is not what the artifact holds: the joint fit of raters reads it.

    And whether what came late in earlier rounds was erased since. Simulated people are left out: what is known of them
    stands in the config.
    """
    if not config.store.exists:
        return {}
    spoiled: dict[str, str] = {}
    if config.store.has_content:
        with open_store(config.store) as store:
            spoiled = spoiled_since(store, judgments)
    then = [r for r in read_records(judgments.file("raters.jsonl"), Rater) if r.kind != "simulated"]
    now = [r for r in _telling(config.store) if r.kind != "simulated"]
    if now:  # else nobody tells anything, whoever ranked
        comparisons = Records(judgments.file("comparisons.jsonl"), Comparison)
        ranked = {j.rater_id for c in comparisons for j in c.judgments}
        now = [r for r in now if r.id in ranked]
    return spoiled if now == then else spoiled | {"raters": hash_json([r.model_dump(mode="json") for r in now])}


def known_raters(store: StoreConfig, ranked: Collection[str]) -> list[Rater]:
    """Those of these raters that the store knows something about."""
    return [rater for rater in _telling(store) if rater.id in ranked]


def _telling(store: StoreConfig) -> list[Rater]:
    if not store.has_content:
        return []
    with open_store(store) as opened:
        return [rater for rater in opened.raters() if rater.attributes]
