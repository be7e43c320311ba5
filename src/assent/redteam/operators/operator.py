"""What an operator is, and how a chain of them makes a script of a request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from assent.core import seeds
from assent.redteam.script import Script

Family = Literal["wrapper", "encoding", "perturbation", "context", "persuasion", "multi_turn"]
FAMILIES: tuple[Family, ...] = ("wrapper", "encoding", "perturbation", "context", "persuasion", "multi_turn")
Apply = Callable[[Script, np.random.Generator], Script]


@dataclass(frozen=True)
class Operator:
    """One way to ask otherwise."""

    name: str
    family: Family
    apply: Apply = field(repr=False)
    """The script it makes of another; the same for the same chance."""
    decode: Callable[[str], str] | None = field(default=None, repr=False)
    """For an encoding: the text behind what it wrote."""


def applied(chain: Sequence[Operator], request: str, *, seed: int, draw: int = 0) -> Script:
    """The script of a request after each operator of a chain in turn; `draw` tells repeated tries apart."""
    script = Script.of(request)
    for operator in chain:
        # By its name and not its place: what is left of a chain is the same when another operator is taken out.
        script = operator.apply(script, seeds.stream(seed, "operator", operator.name, draw, request))
    return script
