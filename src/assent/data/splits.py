"""Splits by prompt: every item of one prompt, tree or debate falls on one side, and stays there when data grow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from assent.core import seeds
from assent.core.errors import DataError
from assent.core.shown import turns_shown
from assent.core.types import Comparison, Conversation, Message, Prompt
from assent.data.duplicates import THRESHOLD, exact_groups, near_pairs, normalized

_Item = TypeVar("_Item", Prompt, Conversation, Comparison)


def split(
    items: Sequence[_Item],
    shares: Mapping[str, float],
    *,
    seed: int,
    part_of: Callable[[_Item], str] | None = None,
) -> dict[str, list[_Item]]:
    """Divide items by a hash of their split key; shares add up to 1, for example {"train": 0.9, "heldout": 0.1}.

    An item's side depends on its key, the seed and the shares alone, never on the other items; but where `part_of` is
    given (say, the file an item comes from), every part of two keys or more is on every side: the key that the hash
    puts nearest to an empty side goes there. Raises DataError when a side with a share stays empty.
    """
    if not items or abs(sum(shares.values()) - 1) > 1e-9 or min(shares.values()) < 0:
        raise ValueError(f"split wants items and shares that add up to 1, got {len(items)} items and {dict(shares)}")
    keys = [split_key(item) for item in items]
    side = {key: side_of(key, shares, seed=seed) for key in keys}
    if part_of is not None:
        parts: dict[str, set[str]] = {}
        for item, key in zip(items, keys, strict=True):
            parts.setdefault(part_of(item), set()).add(key)
        for part in sorted(parts):
            _spread(parts[part], side, shares, seed=seed)
    sides: dict[str, list[_Item]] = {name: [] for name in shares}
    for item, key in zip(items, keys, strict=True):
        sides[side[key]].append(item)
    for name, share in shares.items():
        if share > 0 and not sides[name]:
            few = f"{len(items)} items have {len(side)} distinct prompts"
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
    point, edge = _point(key, seed=seed), 0.0
    for name, share in shares.items():
        edge += share
        if point < edge:
            return name
    return next(name for name in reversed(list(shares)) if shares[name] > 0)


def _point(key: str, *, seed: int) -> float:
    """Where the hash puts a key, from 0 to 1."""
    return seeds.derive(seed, "split", key) / 2**63


def _spread(keys: set[str], side: dict[str, str], shares: Mapping[str, float], *, seed: int) -> None:
    """Give each side that has none of these keys the one nearest to it, from a side that has two or more."""
    start = 0.0
    for name, share in shares.items():
        low, high = start, start + share
        start = high
        counts = Counter(side[key] for key in keys)
        spare = sorted(key for key in keys if counts[side[key]] > 1)
        if share > 0 and not counts[name] and spare:
            points = {key: _point(key, seed=seed) for key in spare}
            side[min(spare, key=lambda key: max(low - points[key], points[key] - high))] = name


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
    texts = [prompt_text(item) for item in (*train, *evaluation)]
    groups = exact_groups(texts)
    copies = {group[0]: group for group in groups}
    leaks = []
    for group in groups:
        leaks += _across(group, group, len(train), 1.0)
    for pair in near_pairs(texts, threshold=threshold):
        one, other = copies[pair.first], copies[pair.second]
        leaks += _across(one, other, len(train), pair.similarity)
        leaks += _across(other, one, len(train), pair.similarity)
    return LeakReport(
        len(train), len(evaluation), tuple(sorted(leaks, key=lambda leak: (leak.evaluation, -leak.similarity)))
    )


def _across(one: Sequence[int], other: Sequence[int], num_train: int, similarity: float) -> list[Leak]:
    """Leaks from `one` (its first training item stands for all) into the evaluation items of `other`."""
    source = next((index for index in one if index < num_train), None)
    if source is None:
        return []
    return [Leak(source, index - num_train, similarity) for index in other if index >= num_train]
