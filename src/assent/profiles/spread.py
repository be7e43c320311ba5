"""Candidates spread along axes of tone: each answer of a task stands elsewhere, so that a taste can show itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from assent.core import seeds

Position = Mapping[str, float]
"""Axis -> from -1, the opposite, to 1, wholly."""


def positions(axes: Sequence[str], number: int, *, seed: int, name: str) -> list[dict[str, float]]:
    """`number` positions, for the answers of the task `name`: on each axis every one of so many strata is taken once.

    A Latin hypercube (McKay et al. 1979): no two answers share a stratum of any axis, and axes are not correlated.
    """
    random = seeds.stream(seed, "tones", name)
    columns = {axis: random.permutation(number) for axis in axes}
    return [{axis: round(float(2 * (columns[axis][i] + 0.5) / number - 1), 3) for axis in axes} for i in range(number)]


def instruction(position: Position, axes: Mapping[str, str]) -> str:
    """A position as a sentence for a policy; `axes` say of each what an answer wholly there is like.

    Near the middle of an axis nothing is said of it.
    """
    words = {True: ("very ", ""), False: ("not at all ", "not ")}
    said = [
        f"{words[value > 0][abs(value) <= 2 / 3]}{axes[axis]}" for axis, value in position.items() if abs(value) > 1 / 3
    ]
    return f"Let your answer be {', '.join(said)}." if said else ""
