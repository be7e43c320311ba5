"""K-wise DPO (Rafailov et al. 2023, app. A.3): a reward model's likelihood of whole orders, of β log π/π_ref."""

from __future__ import annotations

from collections.abc import Sequence

from assent.algorithms.preference import implicit_reward
from assent.models.groups import GroupBatch
from assent.models.policy import TokenScores
from assent.training.batches import EpochBatches
from assent.training.config import NoRatersConfig, RewardConfig
from assent.training.members import Members
from assent.training.preference import Reference, both_logps
from assent.training.preference_config import DPOConfig
from assent.training.reward import Likelihood

READ = RewardConfig(raters=NoRatersConfig(), loss="plackett_luce", ties="davidson")
"""How a reward model would read whole orders."""


class WholeOrders:
    """How likely whole orders are under the policy's own rewards, with the strength of ties fitted on the way."""

    def __init__(self, members: Members, order: EpochBatches, reference: Reference, config: DPOConfig) -> None:
        self.likelihood = Likelihood(members, READ, order)
        self._reference, self._config = reference, config

    def remember(self, chosen: Sequence[int], batches: Sequence[GroupBatch], outputs: Sequence[TokenScores]) -> None:
        """Keep the rewards of a step's answers before it: what the strength of ties is fitted to next."""
        start = self._reference.of(chosen)
        for batch, scores in zip(batches, outputs, strict=True):
            now = both_logps(scores, batch, start, normalized=self._config.length_normalized)
            rewards = implicit_reward(*now, beta=self._config.beta)
            self.likelihood.remember(chosen, [batch], [(rewards, rewards[:, None])])
