"""Proposals: what a hunt tries next. First everything once, then what chance, success and rare answers suggest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from assent.core import seeds
from assent.redteam.archive import Archive, Attempt, holds
from assent.redteam.bandit import Bandit
from assent.redteam.behaviours import Behaviour
from assent.redteam.operators.operator import Operator

Way = Literal["direct", "sweep", "pair", "again", "mutate", "cross", "written"]
WAYS: tuple[Way, ...] = ("pair", "again", "mutate", "cross")
LONGEST = 4
"""Operators of a chain."""
_PATIENCE = 30


@dataclass(frozen=True)
class Proposal:
    """What is to be tried."""

    behaviour: Behaviour
    chain: tuple[Operator, ...]
    way: Way
    draw: int = 0
    written: str = field(default="", repr=False)
    """What an attacker wrote in place of the request."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the operators."""
        return ("written", *(one.name for one in self.chain)) if self.written else tuple(o.name for o in self.chain)

    @property
    def key(self) -> tuple[str, tuple[str, ...], int, str]:
        """What makes it another one."""
        return self.behaviour.id, self.names, self.draw, self.written


def sweep(behaviours: Sequence[Behaviour], operators: Sequence[Operator], *, seed: int) -> list[Proposal]:
    """Every operator on every behaviour; of a beginning every operator is in it equally often, up to one."""
    order = seeds.stream(seed, "sweep").permutation(len(operators)).tolist()
    return [
        Proposal(behaviours[(place + turn) % len(behaviours)], (operators[place],), "sweep")
        for turn in range(len(behaviours))
        for place in order
    ]


@dataclass
class Proposer:
    """Draws proposals that hold no chain of which it is known that it works, and none twice."""

    behaviours: Sequence[Behaviour]
    operators: Sequence[Operator]
    archive: Archive
    seed: int
    tried: set[tuple[str, tuple[str, ...], int, str]] = field(default_factory=set)
    ways: Bandit = field(default_factory=Bandit)
    cells: Bandit = field(default_factory=Bandit)

    def propose(self, count: int, step: int, known: Callable[[str], Sequence[Sequence[str]]]) -> list[Proposal]:
        """Up to `count` new proposals; `known` gives the chains that work for a behaviour."""
        chance = seeds.stream(self.seed, "propose", step)
        found: list[Proposal] = []
        for _ in range(count * _PATIENCE):
            if len(found) == count:
                break
            one = self._draw(chance)
            if one is None or one.key in self.tried or any(holds(one.names, c) for c in known(one.behaviour.id)):
                continue
            self.tried.add(one.key)
            found.append(one)
        return found

    def learn(self, attempt: Attempt, *, is_new: bool) -> None:
        """What a try was worth: a failure of the target that was not known, or a new kind of answer."""
        worth = 1.0 if attempt.is_hit else 0.3 if is_new else 0.0
        self.ways.learn(attempt.way, worth)
        for family in set(attempt.families):
            self.cells.learn((family, attempt.group), worth)

    def _draw(self, chance: np.random.Generator) -> Proposal | None:
        behaviour = self.behaviours[int(chance.integers(len(self.behaviours)))]
        match self.ways.pick(WAYS, chance):
            case "pair":
                return self._made(
                    behaviour, (self._operator(behaviour, chance), self._operator(behaviour, chance)), "pair"
                )
            case "again":
                chancy = [one for one in self.operators if one.family in ("perturbation", "context")] or self.operators
                one = chancy[int(chance.integers(len(chancy)))]
                return Proposal(behaviour, (one,), "again", draw=int(chance.integers(1, 1000)))
            case "mutate":
                parents = self.archive.parents(chance, count=1)
                return self._mutated(behaviour, parents[0], chance) if parents else None
            case "cross":
                parents = self.archive.parents(chance, count=2)
                if len(parents) < 2:
                    return None
                first, second = (self._chain(one.chain) for one in parents)
                head = first[: int(chance.integers(1, len(first) + 1))] if first else ()
                tail = second[int(chance.integers(len(second))) :] if second else ()
                return self._made(behaviour, (*head, *tail), "cross")
        return None

    def _mutated(self, behaviour: Behaviour, parent: Attempt, chance: np.random.Generator) -> Proposal | None:
        chain = list(self._chain(parent.chain))
        place = int(chance.integers(len(chain) + 1))
        match int(chance.integers(3)):
            case 0:
                chain.insert(place, self._operator(behaviour, chance))
            case 1 if chain:
                chain[min(place, len(chain) - 1)] = self._operator(behaviour, chance)
            case _ if len(chain) > 1:
                chain = [chain[int(i)] for i in chance.permutation(len(chain))]
        return self._made(behaviour, tuple(chain), "mutate")

    def _made(self, behaviour: Behaviour, chain: tuple[Operator, ...], way: Way) -> Proposal | None:
        names = [one.name for one in chain]
        return Proposal(behaviour, chain, way) if 0 < len(chain) <= LONGEST and len(set(names)) == len(names) else None

    def _operator(self, behaviour: Behaviour, chance: np.random.Generator) -> Operator:
        families = sorted({one.family for one in self.operators})
        family, _ = self.cells.pick([(name, behaviour.group) for name in families], chance)
        own = [one for one in self.operators if one.family == family]
        return own[int(chance.integers(len(own)))]

    def _chain(self, names: Sequence[str]) -> tuple[Operator, ...]:
        known = {one.name: one for one in self.operators}
        return tuple(known[name] for name in names if name in known)
