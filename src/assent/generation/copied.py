"""The engine that samples from a copy of the policy: for one that is trained elsewhere, or parted over processes."""

from __future__ import annotations

import torch

from assent.core.errors import RunError
from assent.generation.engine import Weights
from assent.generation.local import LocalEngine


class CopiedEngine(LocalEngine):
    """Samples from a policy of its own, which takes over what was trained whenever it is told to.

    The policy is opened as the one that is trained, so that what is trained has the same names in both.
    """

    @torch.no_grad()
    def load_weights(self, source: Weights, *, version: int) -> None:
        """Copy the trained weights. Raises RunError where they are those of another model."""
        own, given = self._policy.parameters(), source.weights()
        if own.keys() != given.keys():
            odd = sorted(own.keys() ^ given.keys())
            raise RunError(f"the weights are not those of the engine's model: {odd[0]} is in one of them only")
        for name, weight in given.items():
            own[name].copy_(weight)
        self.version = version
