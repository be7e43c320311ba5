"""Who and what is held out: raters and prompts, told by a hash of their ids before anything is fitted.

A vote is learned from where neither its rater nor its prompt is held out, and tested on where both are. All profiles
hold out the same, so what a child is tested on its parents never learned from either.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Marks = NDArray[np.bool_]
SHARE = 0.4
"""Of raters, and of prompts, that are held out: 36 % of the votes are learned from, 16 % are a test."""


def is_held_out(kind: str, name: str, share: float = SHARE) -> bool:
    """Whether a rater (`kind` "rater") or a prompt ("prompt") of this id is held out."""
    digest = hashlib.sha256(f"profiles\x1f{kind}\x1f{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


@dataclass(frozen=True)
class Holdout:
    """Which votes are learned from and which are a test [P]; the others have one foot on either side and do neither."""

    learn: Marks
    test: Marks

    @classmethod
    def of(cls, raters: Sequence[str], prompts: Sequence[str], *, seen: Collection[str] = ()) -> Holdout:
        """Of the votes' raters and prompts, one id each.

        `seen` are prompts that the frozen reward model was trained on: they are never a test.
        """
        rater = _marks("rater", raters)
        known = np.array([one in seen for one in prompts], bool)
        prompt = _marks("prompt", prompts) & ~known
        return cls(~rater & ~prompt, rater & prompt)


def _marks(kind: str, names: Sequence[str]) -> Marks:
    held = {name: is_held_out(kind, name) for name in set(names)}
    return np.array([held[name] for name in names], bool)
