"""The strength of ties where all raters count alike: the likeliest one, given what answers scored when last seen.

It is one number (or one per size of tie), and the scores move at the pace of a large model's learning rate; as one of
that model's parameters it would stay where it started. So it is fitted apart, as raters are in `training/rater_fit.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from assent.algorithms.likelihoods import Pairs, davidson_loss, rao_kupper_loss, tie_terms
from assent.core.group import Group
from assent.models.groups import GroupBatch
from assent.training.batches import EpochBatches
from assent.training.config import RewardConfig
from assent.training.members import Members
from assent.training.targets import Target

LEAST, MOST = -8.0, 4.0
"""Bounds of the log of the strength: without ties its likelihood grows for ever as it falls."""
_REFITS_PER_EPOCH = 20
_HALVINGS = 40
_SWEEPS = 8


class TieFit:
    """The log of the tie strength, its evidence, and the scores it was last seen with."""

    def __init__(self, members: Sequence[tuple[Group, Target]], config: RewardConfig, *, size: int) -> None:
        """`size` is 1, or with Plackett-Luce the number of sizes that a tie may have."""
        self.log_tie = torch.full((size,), -1.0, dtype=torch.float64)
        self._config = config
        learned = Members.of(members)
        self._starts = learned.starts
        self._scores = torch.zeros(int(self._starts[-1]), dtype=torch.float64)
        self._is_seen = torch.zeros(len(members), dtype=torch.bool)
        self._evidence = (
            _Rankings(learned, self._starts, sizes=size + 1)
            if config.loss == "plackett_luce"
            else _Pairs(learned, self._starts, config)
        )
        self.refit()

    def tie(self) -> Tensor:
        """The strengths, for the loss."""
        return self.log_tie.exp().float()

    def remember(self, chosen: Sequence[int], batch: GroupBatch, scores: Tensor) -> None:
        """Keep what the answers of a micro-batch scored; `chosen` are the members of its optimizer batch."""
        places = np.concatenate([np.arange(self._starts[i], self._starts[i + 1]) for i in chosen])
        self._scores[torch.from_numpy(places[list(batch.rows)])] = scores.detach().double().cpu()
        self._is_seen[list(chosen)] = True

    def is_due(self, step: int, order: EpochBatches) -> bool:
        """Is the fit due before this step? Several times in each pass."""
        return step > 0 and step % max(1, order.steps_per_epoch // _REFITS_PER_EPOCH) == 0

    def settle(self, scores: Tensor) -> None:
        """Fit to the scores of the trained model, answer by answer."""
        self._scores = scores.double().cpu()
        self._is_seen[:] = True
        self.refit()

    def refit(self) -> None:
        """Move to the maximum of the likelihood of what was seen, before anything was: of all, at equal scores.

        The likelihood has one maximum along each coordinate, and in the logs of Davidson's strengths it is concave.
        """
        loss = self._evidence.loss(self._scores, self._is_seen if self._is_seen.any() else ~self._is_seen)
        if loss is None:
            return
        for _ in range(1 if len(self.log_tie) == 1 else _SWEEPS):
            for place in range(len(self.log_tie)):
                self.log_tie[place] = _lowest(loss, self.log_tie, place)

    def tensors(self) -> dict[str, Tensor]:
        """What was seen, and where the fit is."""
        return {"log_tie": self.log_tie, "scores": self._scores, "is_seen": self._is_seen}

    def state(self) -> dict[str, Any]:
        """Nothing that is not a tensor."""
        return {}

    def restore(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Go back to a checkpoint."""
        self.log_tie, self._scores, self._is_seen = (tensors[n].clone() for n in ("log_tie", "scores", "is_seen"))


_Loss = Callable[[Tensor], Tensor]


def _lowest(loss: _Loss, at: Tensor, place: int) -> float:
    """Where the loss is least along one coordinate, by halving the interval that its slope points into."""
    low, high = LEAST, MOST
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        point = at.clone()
        point[place] = middle
        point.requires_grad_(True)
        with torch.enable_grad():
            (slope,) = torch.autograd.grad(loss(point.exp()), point)
        if slope[place] > 0:
            high = middle
        else:
            low = middle
    return (low + high) / 2


class _Pairs:
    """All pairs of all members, with the places of their answers in the list of all answers."""

    def __init__(self, members: Members, starts: np.ndarray, config: RewardConfig) -> None:
        self._loss = rao_kupper_loss if config.ties == "rao_kupper" else davidson_loss
        counts = np.zeros(len(members), dtype=np.int64)

        def counted() -> Iterator[Pairs]:
            for number, target in enumerate(members.targets):
                counts[number] = len(target.pairs.better)
                yield target.pairs

        joined = Pairs.join(counted())
        self._member = torch.from_numpy(np.repeat(np.arange(len(members)), counts))
        offset = torch.from_numpy(starts)[self._member]
        self._pairs = Pairs(
            joined.better + offset, joined.worse + offset, joined.is_tie, joined.weight.double(), joined.margin.double()
        )

    def loss(self, scores: Tensor, is_seen: Tensor) -> _Loss | None:
        """The loss of the members seen, by the strength."""
        of = is_seen[self._member]
        if not of.any():
            return None
        p = self._pairs
        seen = Pairs(p.better[of], p.worse[of], p.is_tie[of], p.weight[of], p.margin[of])
        return lambda tie: (self._loss(scores, seen, tie=tie[0]) * seen.weight).sum()


class _Rankings:
    """Whole rankings, those of one shape together."""

    def __init__(self, members: Members, starts: np.ndarray, *, sizes: int) -> None:
        """`sizes` is the number of answers that may share a tier."""
        self._sizes = sizes
        self._shapes: dict[tuple[int, ...], list[tuple[int, list[int]]]] = {}
        for number, target in enumerate(members.targets):
            for tiers in target.tiers:
                order = [int(starts[number]) + i for tier in tiers for i in tier]
                self._shapes.setdefault(tuple(map(len, tiers)), []).append((number, order))

    def loss(self, scores: Tensor, is_seen: Tensor) -> _Loss | None:
        """The loss of the members seen, by the strengths, less what holds none of them."""
        terms, drawn = [], torch.zeros(self._sizes, dtype=torch.float64)
        for shape, listed in self._shapes.items():
            seen = [order for number, order in listed if is_seen[number]]
            if not seen:
                continue
            terms.append(tie_terms(scores, torch.tensor(seen), shape, sizes=self._sizes))
            drawn += len(seen) * torch.bincount(torch.tensor(shape), minlength=self._sizes + 1)[1:]
        if not terms:
            return None
        every = torch.cat(terms)

        def loss(tie: Tensor) -> Tensor:
            log_weight = torch.cat([tie.new_zeros(1), tie.log()])
            return (every + log_weight).logsumexp(-1).sum() - drawn @ log_weight

        return loss
