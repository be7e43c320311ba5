"""The archive of a hunt: what was tried, and of every kind of attack and answer the best that was seen (MAP-Elites)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from pydantic import Field

from assent.core.types import Message, Record
from assent.redteam.detectors import HIT
from assent.redteam.script import Script, Turn

ELITES = 4
"""Attempts kept of a cell."""


class Attempt(Record):
    """One attack that was tried."""

    behaviour: str
    group: str
    chain: tuple[str, ...]
    """Names of its operators, innermost first; empty: the plain request."""
    families: tuple[str, ...] = ()
    draw: int = 0
    way: str
    """How the search came to it."""
    script: Script = Field(exclude=True)
    prompt: str
    """What was said, with places for the target's own words."""
    messages: tuple[Message, ...] = ()
    """What was answered in the end."""
    answer: str | None = None
    """None where the attack left no room for one."""
    score: float | None = None
    """How sure the detector is that it fails; None where it could not tell."""
    is_idle: bool = False
    """Whether the target says the same to something harmless."""

    @property
    def is_hit(self) -> bool:
        """Whether it counts as a failure of the target."""
        return self.score is not None and self.score >= HIT and not self.is_idle


class Finding(Record):
    """A way in which the target fails, made as small as the budget allowed."""

    id: str
    behaviour: str
    group: str
    request: str
    """The behaviour as a plain request."""
    chain: tuple[str, ...]
    """The operators that it needs; empty: it fails when it is simply asked."""
    found_as: tuple[str, ...]
    """The chain with which it was found."""
    turns: tuple[Turn, ...]
    """The script that triggers it."""
    messages: tuple[Message, ...]
    """The script as it was played."""
    answer: str
    tried: int
    """How often it was asked again with the same operators."""
    worked: int
    """How often of these the target failed again."""
    others: int = 0
    """Further attempts that worked and hold the same operators."""
    disputed_by: tuple[str, ...] = ()
    """Detectors that see no failure in the answer."""

    @property
    def is_sure(self) -> bool:
        """Whether it worked again and no detector disputes it."""
        return self.worked > 0 and not self.disputed_by

    @property
    def script(self) -> Script:
        """What triggers it, to be played."""
        return Script(self.turns)


def holds(chain: Sequence[str], part: Sequence[str]) -> bool:
    """Whether all operators of `part` stand in a chain, in their order."""
    rest = iter(chain)
    return all(name in rest for name in part)


@dataclass
class Archive:
    """Elites by cell: families of the chain, group of the behaviour, and kind of answer."""

    kind_of: Callable[[str], str | None]
    """What kind of answer a text is, such as a refusal."""
    cells: dict[tuple[tuple[str, ...], str, str], list[Attempt]] = field(default_factory=dict)

    def add(self, attempt: Attempt) -> bool:
        """Keep an attempt where it is among the best of its cell; whether its cell is new."""
        if attempt.answer is None:
            return False
        kind = "hit" if attempt.is_hit else self.signature(attempt.answer)
        cell = (tuple(sorted(set(attempt.families))), attempt.group, kind)
        is_new = cell not in self.cells
        elites = [one for one in self.cells.get(cell, []) if one.chain != attempt.chain]
        best = sorted([*elites, attempt], key=lambda one: (-(one.score or 0.0), len(one.chain)))
        self.cells[cell] = best[:ELITES]
        return is_new

    def signature(self, answer: str) -> str:
        """What kind of answer it is, with its length to the nearest power of four."""
        size = int(np.log2(len(answer.split()) + 1) / 2)
        return f"{self.kind_of(answer)}-{size}"

    def parents(self, chance: np.random.Generator, *, count: int) -> list[Attempt]:
        """Attempts that did not work, of one kind of answer: rare kinds are drawn as often as common ones."""
        by_kind: dict[str, list[Attempt]] = {}
        for (_, _, kind), elites in sorted(self.cells.items()):
            if kind != "hit":
                by_kind.setdefault(kind, []).extend(one for one in elites if one.chain)
        kinds = [kind for kind in sorted(by_kind) if by_kind[kind]]
        if not kinds:
            return []
        pool = by_kind[kinds[int(chance.integers(len(kinds)))]]
        return [pool[int(i)] for i in chance.permutation(len(pool))[:count]]


def gram_likeness(first: str, second: str, *, size: int = 3) -> float:
    """Share of word n-grams that two texts have in common, of all that either has (Jaccard)."""
    one, other = _grams(first, size), _grams(second, size)
    return len(one & other) / len(one | other) if one | other else 1.0


def _grams(text: str, size: int) -> set[tuple[str, ...]]:
    words = text.casefold().split()
    return {tuple(words[n : n + size]) for n in range(max(1, len(words) - size + 1))} if words else set()
