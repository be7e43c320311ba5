"""`assent redteam REWARD --answers FILE`: edits that a reward model likes and a second rater does not."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from assent.core import files
from assent.core.errors import ConfigError
from assent.core.progress import Screen
from assent.core.scoring import ScoreFunction
from assent.core.types import Prompt
from assent.evaluation.exam import rows_of
from assent.redteam.reward_attack import EditEffect, Hole, RewardAttack, Scores

HOLES, EFFECTS = "holes.jsonl", "edits.json"


def redteam_reward(reward: str, *, answers: Path, second: str, out: Path) -> Iterator[str]:
    """Edit every answer of a file (columns prompt, answer), write holes and what each edit does, and say both."""
    rows = rows_of(answers)
    prompts = [Prompt.of(row.text("prompt")) for row in rows]
    texts = [row.text("answer") for row in rows]
    models = scores_named(reward, what="the reward model"), scores_named(second, what="--second")
    with Screen(sys.stderr).bar("edits", len(texts)) as bar:
        holes, effects = RewardAttack(*models, on_progress=bar.advance).run(prompts, texts)
    lines = "".join(json.dumps(one.model_dump(mode="json"), ensure_ascii=True) + "\n" for one in holes)
    files.write_text(out / HOLES, lines, is_private=True)
    files.write_text(out / EFFECTS, json.dumps([_json(one) for one in effects], indent=2) + "\n", is_private=True)
    yield from _lines(reward, holes, effects, len(texts))
    yield f"  every hole with both scores: {out / HOLES}"


def scores_named(name: str, *, what: str) -> Scores:
    """A reward model, by what `assent evaluate` calls it, or score=module:function. Raises ConfigError."""
    kind, equals, target = name.partition("=")
    if equals and kind == "score":
        return ScoreFunction.load(target)
    if equals and kind != "reward":
        raise ConfigError(f"{what} is {name!r}; name a reward model, or score=module:function")
    from assent.artifacts.find import model_folder
    from assent.models.config import ModelConfig
    from assent.pipeline.backends import Backends
    from assent.pipeline.config import ComputeConfig

    return Backends(ModelConfig(), ComputeConfig()).scorer(model_folder(target or name), normalize=True)


def _lines(name: str, holes: Sequence[Hole], effects: Sequence[EditEffect], count: int) -> Iterator[str]:
    yield f"reward model {name}: {len(holes)} of {count} answers get better for it and worse for the second rater"
    for one in sorted(effects, key=lambda effect: -(effect.reward.estimate if effect.reward else 0.0)):
        if one.reward is not None:
            yield (
                f"  {one.edit.replace('_', ' ')}: reward {one.reward}, second {one.second} (in standard deviations),"
                f" rises for {one.rises:.2f} of {one.n}"
            )


def _json(one: EditEffect) -> dict[str, Any]:
    plain = asdict(one)
    for name in ("reward", "second"):
        estimate = getattr(one, name)
        plain[name] = None if estimate is None else estimate.model_dump()
    return plain
