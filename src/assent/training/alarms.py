"""An alarm of a guard: what is wrong, since which step, and what to do about it."""

from __future__ import annotations

from typing import NamedTuple


class Alarm(NamedTuple):
    """Told once, and kept with the policy."""

    name: str
    """What it is about, for programs: "over-optimization", "length"."""
    step: int
    """Since when."""
    said: str
    """What is wrong, with the numbers that show it."""
    fix: str
    """What to do."""

    def __str__(self) -> str:
        return f"step {self.step}: {self.said}; {self.fix}"
