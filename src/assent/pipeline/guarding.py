"""What guards see and training does not: prompts kept apart, judgments kept apart, and the reward fitted to those."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, replace

from assent.artifacts.store import Artifact
from assent.core.errors import DataError
from assent.core.hashing import hash_json
from assent.core.lazy import where
from assent.core.scoring import Score
from assent.core.types import Comparison, Prompt
from assent.data.splits import side_of, split_key
from assent.pipeline.rewarding import Opener
from assent.training.guard_config import FittedGoldConfig

SEED = 1
"""Another than that of the reward model's own held-out prompts; the same in every round and run."""


def set_apart(count: int, prompts: Sequence[Prompt], *, key: str) -> tuple[Sequence[Prompt], list[Prompt]]:
    """Prompts to train on, and `count` to watch with; none of the second asks what one of the first asks.

    Which they are depends on their texts alone, so that they are the same in every round. Raises DataError, naming the
    setting by its `key`, where fewer than half would be left to train on.
    """
    if not count:
        return prompts, []
    watched = heapq.nsmallest(count, prompts, key=lambda one: (hash_json([SEED, split_key(one)]), one.id))
    keys = {split_key(one) for one in watched}
    left = where(prompts, lambda one: split_key(one) not in keys)
    if len(left) < len(prompts) / 2:
        raise DataError(
            f"{key} keeps {len(prompts) - len(left)} of {len(prompts)} prompts apart; lower it, or give more prompts"
        )
    return left, watched


def held_out_reward(opener: Opener, gold: Artifact | None) -> Score | None:
    """The reward that guards watch; None where the settings want none."""
    config = opener.config
    if config.guards is None or config.guards.gold is None:
        return None
    term = config.guards.gold
    if isinstance(term, FittedGoldConfig):
        assert gold is not None
        return opener.backends.scorer(
            gold.file("reward"),
            normalize=config.normalize_reward,
            tokens_per_microbatch=config.optimizer.tokens_per_microbatch,
        )
    return replace(opener, trained=None).term(term).score


@dataclass(frozen=True)
class Parted:
    """Judgments in two parts that share no prompt and no rater."""

    train: list[Comparison]
    gold: list[Comparison]
    unused: int
    """Judgments of a rater of one part on a prompt of the other."""
    raters: tuple[int, int]
    """Raters of each part."""

    def lines(self) -> list[str]:
        """The parts in words."""
        counts = [sum(len(one.judgments) for one in part) for part in (self.train, self.gold)]
        return [
            f"guards: {counts[0]} judgments of {self.raters[0]} raters for the reward model, {counts[1]} of"
            f" {self.raters[1]} others on other prompts for the held-out one; {self.unused} are used by neither"
        ]


def part(comparisons: Sequence[Comparison], share: float) -> Parted:
    """Give about `share` of the prompts, and of the judgments by rater, to the held-out reward.

    Raters go there whole, in an order by their ids' hashes, until they have given that share of all judgments; at least
    one stays on each side. Raises DataError for fewer than two raters.
    """
    given: dict[str, int] = {}
    for one in comparisons:
        for judgment in one.judgments:
            given[judgment.rater_id] = given.get(judgment.rater_id, 0) + 1
    if len(given) < 2:
        raise DataError(
            f"optimize.guards.gold kind fitted wants judgments of two raters or more, and there are {len(given)}; name"
            " a reward model or a function instead, or set it to null"
        )
    order = sorted(given, key=lambda rater: hash_json([SEED, rater]))
    wanted, held, has = share * sum(given.values()), set[str](), 0
    for rater in order[:-1]:
        if held and has + given[rater] / 2 > wanted:
            break
        held.add(rater)
        has += given[rater]
    sides: dict[str, list[Comparison]] = {"train": [], "gold": []}
    shares = {"train": 1 - share, "gold": share}
    for one in comparisons:
        side = side_of(split_key(one), shares, seed=SEED)
        kept = tuple(j for j in one.judgments if (j.rater_id in held) == (side == "gold"))
        if kept:
            sides[side].append(one.model_copy(update={"judgments": kept}))
    for name, some in sides.items():
        if not some:
            raise DataError(
                f"optimize.guards.gold: no judgment is left for the {name} side of a share of {share}; give more"
                " judgments, or another share"
            )
    used = sum(len(one.judgments) for some in sides.values() for one in some)
    return Parted(sides["train"], sides["gold"], sum(given.values()) - used, (len(given) - len(held), len(held)))
