"""What an audience ranked itself, for a method that learns a profile's adapter from rankings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from assent.artifacts.jsonl import read_records, write_records
from assent.artifacts.stage import StageContext, stage
from assent.artifacts.store import Artifact
from assent.core.config import Config
from assent.core.types import Comparison, Rater
from assent.pipeline.imported import MARKS
from assent.pipeline.stages.profile_reward import COMPARISONS, RATERS
from assent.profiles.audience import members_of, ranked_by
from assent.profiles.holdout import is_held_out
from assent.profiles.principles import prompt_under


class ProfileRankingsStage(Config):
    """Whose rankings are learned from."""

    audience: dict[str, tuple[str, ...]]
    """Who belongs."""
    principles: tuple[str, ...]
    """What the policy is told before each prompt."""


@stage(name="profile rankings", version=1, kind="judgments")
def run_profile_rankings(ctx: StageContext, config: ProfileRankingsStage, *, votes: Artifact) -> dict[str, Any]:
    """Write comparisons.jsonl and raters.jsonl: rankings of the audience whose rater and prompt are not held out."""
    raters = read_records(votes.file(RATERS), Rater)
    members = members_of(raters, config.audience)
    kept = own_rankings(read_records(votes.file(COMPARISONS), Comparison), members, config.principles)
    ranked = {judgment.rater_id for one in kept for judgment in one.judgments}
    write_records(ctx.output / COMPARISONS, kept, is_private=True)
    write_records(ctx.output / RATERS, [one for one in raters if one.id in ranked], is_private=True)
    write_records(ctx.output / MARKS, [], is_private=True)
    return {"judgments": sum(len(one.judgments) for one in kept), "comparisons": len(kept), "raters": len(ranked)}


def own_rankings(
    comparisons: Sequence[Comparison], members: frozenset[str], principles: Sequence[str]
) -> list[Comparison]:
    """Comparisons under principles with the rankings by members, where neither the prompt nor the rater is held out."""
    asked = (one for one in comparisons if not is_held_out("prompt", one.prompt.id))
    kept = ranked_by(asked, {one for one in members if not is_held_out("rater", one)})
    return [one.model_copy(update={"prompt": prompt_under(one.prompt, principles)}) for one in kept]
