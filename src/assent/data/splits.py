"""Splits by prompt: every item of one prompt, tree or debate falls on one side, and stays there when data grow."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from assent.core import seeds
from assent.core.errors import DataError
from assent.core.lazy import pick
from assent.core.shown import turns_shown
from assent.core.types import Comparison, Conversation, Message, Prompt
from assent.data.duplicates import THRESHOLD, near_across
from assent.data.shingling import Ints, Shingled, normalized

HELD_OUT_SEED = 0
"""The same prompts are held out in every round and run, so that what is measured on them can be compared."""

_Item = TypeVar("_Item", Prompt, Conversation, Comparison)


def split(
    items: Sequence[_Item],
    shares: Mapping[str, float],
    *,
    seed: int,
    part_of: Callable[[_Item], str] | None = None,
) -> dict[str, Sequence[_Item]]:
    """Divide items by a hash of their split key; shares add up to 1, for example {"train": 0.9, "heldout": 0.1}.

    An item's side depends on its key, the seed and the shares alone, never on the other items; but where `part_of` is
    given (say, the file an item comes from), every part of two keys or more is on every side: the key that the hash
    puts nearest to an empty side goes there. Raises DataError when a side with a share stays empty.
    """
    if not items or abs(sum(shares.values()) - 1) > 1e-9 or min(shares.values()) < 0:
        raise ValueError(f"split wants items and shares that add up to 1, got {len(items)} items and {dict(shares)}")
    names, number = list(shares), dict[str, int]()
    points, part = np.zeros(len(items), dtype=np.int64), np.zeros(len(items), dtype=np.int64)
    for place, item in enumerate(items):
        points[place] = seeds.derive(seed, "split", split_key(item))
        part[place] = 0 if part_of is None else number.setdefault(part_of(item), len(number))
    known, key = np.unique(points, return_inverse=True)  # keys by their hashes of 63 bits
    side = np.array([names.index(_side(_fraction(int(point)), shares)) for point in known])
    for name in sorted(number):
        _spread(np.unique(key[part == number[name]]), side, known, shares)
    sides = {name: pick(items, np.flatnonzero(side[key] == n)) for n, name in enumerate(names)}
    for name, share in shares.items():
        if share > 0 and not len(sides[name]):
            few = f"{len(items)} items have {len(known)} distinct prompts"
            raise DataError(
                f"the {name} split (share {share}) is empty: {few}; add data, change the seed or the shares"
            )
    return sides


def split_key(item: Prompt | Conversation | Comparison) -> str:
    """What must not be torn apart: meta `split_group` if the source gave one, else the first user turn, normalized."""
    holder = item.prompt if isinstance(item, Comparison) else item
    group = holder.meta.get("split_group")
    if isinstance(group, str):
        return group
    first = first_user_turn(holder.messages)
    return normalized(first) or first


def side_of(key: str, shares: Mapping[str, float], *, seed: int) -> str:
    """The side a key falls on."""
    return _side(_fraction(seeds.derive(seed, "split", key)), shares)


def _side(point: float, shares: Mapping[str, float]) -> str:
    edge = 0.0
    for name, share in shares.items():
        edge += share
        if point < edge:
            return name
    return next(name for name in reversed(list(shares)) if shares[name] > 0)


def _fraction(point: int) -> float:
    """Where a hash stands, from 0 to 1."""
    return point / 2**63


def _spread(keys: Ints, side: Ints, known: Ints, shares: Mapping[str, float]) -> None:
    """Give each side that has none of these keys the one nearest to it, from a side that has two or more.

    `keys` are places in `side`, the number of the side of each key, and in `known`, the hash of each.
    """
    start = 0.0
    for number, share in enumerate(shares.values()):
        low, high = start, start + share
        start = high
        counts = np.bincount(side[keys], minlength=len(shares))
        spare = keys[counts[side[keys]] > 1]
        if share > 0 and not counts[number] and len(spare):
            points = np.array([_fraction(int(known[key])) for key in spare])
            side[spare[np.argmin(np.maximum(low - points, points - high))]] = number


def first_user_turn(messages: Sequence[Message]) -> str:
    """The text of the first user turn, or of the first turn where no user speaks."""
    return next((turn.content for turn in messages if turn.role == "user"), messages[0].content)


def prompt_text(item: Prompt | Conversation | Comparison) -> str:
    """What the model is asked: the turns before the answer, joined; of a plain text its beginning."""
    turns = item.prompt.messages if isinstance(item, Comparison) else item.messages
    if isinstance(item, Conversation):
        last = max((i for i, turn in enumerate(turns) if turn.role == "assistant"), default=len(turns))
        turns = turns[:last] or turns
    return "\n\n".join(one.text for one in turns_shown(turns))


@dataclass(frozen=True)
class Leak:
    """An evaluation prompt that training holds too, exactly (similarity 1.0) or nearly."""

    train: int
    evaluation: int
    similarity: float


@dataclass(frozen=True)
class LeakReport:
    """Which evaluation items have a twin in training; indices into the two sequences that were compared."""

    num_train: int
    num_evaluation: int
    leaks: tuple[Leak, ...]

    @property
    def leaked(self) -> tuple[int, ...]:
        """Evaluation items with at least one twin, in order; drop these."""
        return tuple(sorted({leak.evaluation for leak in self.leaks}))

    @property
    def share(self) -> float:
        """Share of evaluation items with a twin in training."""
        return len(self.leaked) / max(self.num_evaluation, 1)

    def lines(self) -> list[str]:
        """The report in words."""
        if not self.leaks:
            return [
                f"no leakage: none of {self.num_evaluation} evaluation prompts is near one of {self.num_train} trained"
            ]
        exact = len({leak.evaluation for leak in self.leaks if leak.similarity == 1})
        near = len(self.leaked) - exact
        return [
            f"leakage: {len(self.leaked)} of {self.num_evaluation} evaluation prompts are in training"
            f" ({exact} exactly, {near} nearly); drop them"
        ]


def leakage(
    train: Sequence[Prompt | Conversation | Comparison],
    evaluation: Sequence[Prompt | Conversation | Comparison],
    *,
    threshold: float = THRESHOLD,
) -> LeakReport:
    """Compare the prompts of two sets; `threshold` as in `duplicates.near_pairs`."""
    count = len(train)
    held = Shingled.of(prompt_text(item) for item in itertools.chain(train, evaluation))
    asked: dict[int, list[int]] = defaultdict(list)
    for place in range(count, len(held.first)):
        asked[int(held.first[place])].append(place - count)
    leaks = [Leak(first, one, 1.0) for first, places in asked.items() if first < count for one in places]
    pairs = near_across(held, held.distinct < count, np.isin(held.distinct, list(asked)), threshold=threshold)
    for pair in pairs:
        for one, other in ((pair.first, pair.second), (pair.second, pair.first)):
            # The first training item of equal ones stands for all.
            leaks += [Leak(one, place, pair.similarity) for place in asked.get(other, ()) if one < count]
    leaks.sort(key=lambda leak: (leak.evaluation, -leak.similarity))
    return LeakReport(count, len(evaluation), tuple(leaks))
