"""The learner of a model whose states a head beside it reads too: one backward pass gives both their gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from torch import nn

from assent.learner.config import OptimizerConfig
from assent.learner.learner import Output
from assent.learner.local import LocalLearner
from assent.models.groups import GroupBatch


class TrunkLearner(LocalLearner[Output]):
    """Trains the parameters under a head, whose own learner is `head`.

    An objective that reads what the head says gives the head its gradient too, and `head.step` takes the step with it:
    each has its optimizer, schedule, norm and checkpoint. Whoever drops this gradient (a step that begins anew where
    memory ended, an error) drops both. A pass of `head` alone gives the trunk no gradient.
    """

    def __init__(
        self,
        parameters: Mapping[str, nn.Parameter],
        outputs: Callable[[GroupBatch], Output],
        config: OptimizerConfig,
        *,
        head: LocalLearner[Any],
        training: Callable[[int, int], AbstractContextManager[None]] = lambda step, part: nullcontext(),
    ) -> None:
        """`parameters` are the trunk's, those of the head not among them; `outputs` come through both."""
        super().__init__(parameters, outputs, config, training=training)
        self.head = head

    def drop_gradients(self) -> None:
        """Forget what was accumulated since the last step, for the head too."""
        super().drop_gradients()
        self.head.drop_gradients()
