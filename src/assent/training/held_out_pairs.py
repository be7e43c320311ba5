"""What a reward model says of pairs that it never learns from, each time it is looked at."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from assent.algorithms.objective import means, merge_metrics, weighted
from assent.core.lazy import places_where
from assent.learner.learner import Scorer
from assent.models.groups import Packed
from assent.training.members import Member, Members
from assent.training.targets import Target, local_pairs


class HeldOutPairs:
    """Held-out answers and how people ranked them; the scores of the last look are kept."""

    def __init__(self, members: Sequence[Member], *, budget: int) -> None:
        given = Members.of(members)
        self._members, self._budget = given.changed(Target.decided), budget
        self._size = int(given.starts[-1])
        self.count = len(places_where(self._members.targets, lambda target: target.weight > 0))
        """Comparisons that decide something: nothing is looked at where there are none."""
        self._newest: tuple[int, Tensor] | None = None

    def look(self, scorer: Scorer[tuple[Tensor, ...]], taken: int) -> dict[str, float]:
        """After so many steps, of decided pairs, each vote alike: log loss, accuracy, and the mean lead.

        The loss is that of Bradley and Terry, -log σ(lead), in nats per pair; log 2: the model knows nothing.
        """
        found, scores = [], torch.zeros(self._size)
        for batch in Packed(self._members.groups, budget=self._budget):
            [(said, *_)] = scorer.score([batch])
            pairs, said = local_pairs(batch, self._members), said.cpu()
            scores[list(batch.rows)] = said
            lead, weight = said[pairs.better] - said[pairs.worse], pairs.weight
            found.append(
                {
                    "loss": weighted(-logsigmoid(lead), weight),
                    "accuracy": weighted((lead > 0).float() + 0.5 * (lead == 0).float(), weight),
                    "margin": weighted(lead, weight),
                }
            )
        self._newest = taken, scores
        return means(merge_metrics(found))

    def scores_after(self, steps: int) -> list[float] | None:
        """The raw score of every answer, group by group, after so many steps; None where nobody looked then."""
        return self._newest[1].tolist() if self._newest is not None and self._newest[0] == steps else None
