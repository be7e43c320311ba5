"""The lab as a reward function: its truth, to watch beside a reward model, and noise, which teaches nothing.

optimize:
  rewards:
    - {kind: model}
    - {kind: python, target: "assent.lab.reward:truth", weight: 0}      # watched in the curves, not optimized
"""

from __future__ import annotations

from collections.abc import Sequence

from assent.core import seeds
from assent.core.types import Prompt
from assent.lab.people import utility
from assent.lab.truth import read


def truth(prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
    """What the neutral group thinks of each answer, without noise."""
    return [utility(read(prompt, text)) for prompt, text in zip(prompts, completions, strict=True)]


def noise(prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
    """A standard normal number per (prompt, answer) that has nothing to do with either."""
    return [
        float(seeds.stream(0, "noise", prompt.id, text).normal())
        for prompt, text in zip(prompts, completions, strict=True)
    ]
