"""Thompson sampling: what has worked more often is tried more often, and nothing is given up (Thompson 1933)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

Arm = TypeVar("Arm", bound=Hashable)


@dataclass
class Bandit:
    """Successes and failures of arms, each with a Beta prior that expects little."""

    prior: tuple[float, float] = (1.0, 3.0)
    counts: dict[Hashable, tuple[float, float]] = field(default_factory=dict)

    def pick(self, arms: Sequence[Arm], chance: np.random.Generator) -> Arm:
        """The arm whose drawn success rate is highest."""
        drawn = [chance.beta(*self._posterior(arm)) for arm in arms]
        return arms[int(np.argmax(drawn))]

    def learn(self, arm: Hashable, reward: float) -> None:
        """Count a try: 1 worked, 0 did not."""
        good, bad = self.counts.get(arm, (0.0, 0.0))
        self.counts[arm] = (good + reward, bad + 1 - reward)

    def _posterior(self, arm: Hashable) -> tuple[float, float]:
        good, bad = self.counts.get(arm, (0.0, 0.0))
        return self.prior[0] + good, self.prior[1] + bad
