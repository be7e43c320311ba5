"""Customer messages: every message has a number, and its number decides which split it belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import prod

from assent.lab.language import Intent, Wording, language
from assent.lab.numbering import Shuffle

SPLITS = {"pretrain": 0.25, "sft": 0.25, "reward": 0.15, "ppo": 0.20, "eval": 0.10, "test": 0.05}
"""Share of all messages in each split."""

_AROUND = ("opening", "detail", "closing")


@dataclass(frozen=True)
class Cell:
    """All messages that ask for one intent in one wording, numbered 0 … size - 1 without repeats."""

    intent: Intent
    ask: Wording
    size: int

    @property
    def name(self) -> str:
        """Says which wording of which intent: "refund/3"."""
        return f"{self.intent.name}/{self.intent.asks.index(self.ask)}"

    def message(self, number: int) -> tuple[str, dict[str, str]]:
        """The text of a message and the words in its slots."""
        spoken = language()
        slots = {}
        for slot in self.ask.slots:
            number, digit = divmod(number, len(spoken.slots[slot]))
            slots[slot] = spoken.slots[slot][digit]
        around = {}
        for part in _AROUND:
            number, digit = divmod(number, len(spoken.around[part]))
            around[part] = spoken.around[part][digit]
        sentences = (around["opening"], around["detail"], self.ask.fill(slots), around["closing"])
        if len(around["detail"]) % 2:  # some people say what they want first
            sentences = (around["opening"], self.ask.fill(slots), around["detail"], around["closing"])
        return " ".join(sentence for sentence in sentences if sentence), slots

    def in_split(self, split: str, position: int, *, seed: int) -> int:
        """Number of the message at `position` of this cell's part of a split, in the order of `seed`."""
        start, end = self.bounds(split)
        rank = start + Shuffle.of(end - start, seed, "order", self.name, split)[position]
        return self._ranks.index(rank)

    def split_of(self, number: int) -> str:
        """The split that a message belongs to: a matter of its content, never of a seed."""
        rank = self._ranks[number]
        return next(split for split in SPLITS if rank < self.bounds(split)[1])

    def bounds(self, split: str) -> tuple[int, int]:
        """First rank and end rank of a split."""
        names = list(SPLITS)
        before = sum(SPLITS[name] for name in names[: names.index(split)])
        return round(before * self.size), round((before + SPLITS[split]) * self.size)

    @property
    def _ranks(self) -> Shuffle:
        return Shuffle.of(self.size, 0, "ranks", self.name)


@lru_cache(maxsize=1)
def cells() -> dict[str, tuple[Cell, ...]]:
    """The cells of every intent."""
    spoken = language()
    around = prod(len(spoken.around[part]) for part in _AROUND)
    return {
        name: tuple(Cell(intent, ask, around * prod(len(spoken.slots[s]) for s in ask.slots)) for ask in intent.asks)
        for name, intent in spoken.intents.items()
    }


def capacity(split: str) -> int:
    """How many prompts a split can serve with every intent and wording equally often."""
    per_intent = []
    for of_intent in cells().values():
        sizes = [end - start for start, end in (cell.bounds(split) for cell in of_intent)]
        per_intent.append(min(sizes) * len(of_intent))
    return min(per_intent) * len(per_intent)
