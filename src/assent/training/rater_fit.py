"""Raters while a reward model learns: what each answer scored when it was last seen, and the fit of raters to it.

Scores and states are kept as they come by in training, before the step that learns from them: they cost no pass of
their own, and in the first epoch no answer's score has yet been moved by the very judgments that it is held against.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch import Tensor

from assent.algorithms.rater_likelihood import TIE, RaterTerms, Votes
from assent.algorithms.rater_posterior import Evidence, Posterior, RaterState, Spreads, cut_points
from assent.core.group import Group
from assent.core.lazy import Mapped
from assent.models.groups import GroupBatch
from assent.training.batches import EpochBatches
from assent.training.config import JointRatersConfig
from assent.training.members import Members
from assent.training.targets import Target, shifted

Floats = NDArray[np.float64]
MANY_VOTES, ONE_SIDED = 20, 0.9
"""From so many votes on, a mean of `first` (1 better, -1 worse) beyond this is no lean of people."""
MIN_SCALE = 0.1
"""Scores are never taken to be larger than ten times what they should be."""


@dataclass(frozen=True, eq=False)
class RaterFit:
    """What training found out about raters and groups; it is reported, and no part of the saved reward model."""

    raters: tuple[str, ...]
    judgments: tuple[int, ...]
    sharpness: Floats
    errors: Floats
    """Posterior standard deviation of each sharpness."""
    position: Floats
    """Logits for the answer shown first; the pool's lean included."""
    length: Floats
    """Logits per unit of log words, beside those of the pool's mean."""
    cuts: Floats
    """[R, 4]"""
    group_by: str | None
    """The attribute that forms the groups."""
    groups: tuple[str, ...]
    group: NDArray[np.int64]
    """Group of each rater, -1 where it is not known."""
    shares: Floats
    """Weight of each group in the mean that the saved score is."""
    offsets: Tensor
    """[G, d], on the states that the scores are read from; weighted by the shares they sum to zero."""
    scale: float
    """By how much the scores should have been larger for sharpness to have mean 1; near 1 once training has settled."""
    ignores_order: bool = False
    """The orders shown were those of the ranks (see `is_by_rank`), so there are no position leans."""


@dataclass(frozen=True)
class Grouping:
    """The groups of raters by one attribute."""

    attribute: str | None
    names: tuple[str, ...]
    of_rater: tuple[int, ...]

    @classmethod
    def of(
        cls, raters: Sequence[str], attributes: Mapping[str, Mapping[str, str]], group_by: Sequence[str]
    ) -> Grouping:
        """By the first attribute of which the raters have two values or more; none: no groups."""
        for name in group_by:
            values = [attributes.get(rater, {}).get(name) for rater in raters]
            known = tuple(sorted({v for v in values if v is not None}))
            if len(known) > 1:
                return cls(name, known, tuple(-1 if v is None else known.index(v) for v in values))
        return cls(None, (), (-1,) * len(raters))


class JointFit:
    """The raters' side of a joint fit; a part of the training's checkpoint."""

    def __init__(
        self,
        members: Sequence[tuple[Group, Target]],
        attributes: Mapping[str, Mapping[str, str]],
        config: JointRatersConfig,
        *,
        features: int,
    ) -> None:
        """`members` are all that is trained on, `features` the width of the model's states."""
        self.config = config
        learned = Members.of(members)
        judged = Counter(name for target in learned.targets for name in target.raters)
        self.raters = tuple(sorted(judged))
        number = {name: i for i, name in enumerate(self.raters)}
        self.grouping = Grouping.of(self.raters, attributes, config.group_by)
        self.starts = learned.starts
        self._ends = array("q", [0])
        """Where the votes on each member end among all votes."""
        everything = Votes.join(self._all_votes(learned, number))
        self.ignores_order = is_by_rank(everything)
        if self.ignores_order:
            everything = replace(everything, first=torch.zeros_like(everything.first))
        self._everything = everything
        self.votes: Sequence[Votes] = Mapped(self._votes_on, range(len(learned)))
        """Votes on each member, on its own answers, with the numbers of all raters."""
        self._has_ties = bool((everything.lower == 0).any())
        answers, groups = int(self.starts[-1]), len(self.grouping.names)
        self._scores = torch.zeros(answers)
        self._states = torch.zeros(answers, features if groups else 0)
        self._is_seen = torch.zeros(answers, dtype=torch.bool)
        self.known = RaterState.start(len(self.raters), groups, features)
        self._judgments = [judged[name] for name in self.raters]
        self._fit()

    def _votes_on(self, member: int) -> Votes:
        own = slice(self._ends[member], self._ends[member + 1])
        votes = Votes(*(getattr(self._everything, field.name)[own] for field in fields(Votes)))
        return shifted(votes, -int(self.starts[member]))

    def _all_votes(self, members: Members, number: Mapping[str, int]) -> Iterator[Votes]:
        """Votes on each member, on answers by their places among all answers."""
        for target, start in zip(members.targets, self.starts[:-1], strict=True):
            votes = _numbered(target, number)
            self._ends.append(self._ends[-1] + len(votes.weight))
            yield shifted(votes, int(start))

    @property
    def has_groups(self) -> bool:
        """Whether any group's taste is fitted, so that states are needed."""
        return bool(self.grouping.names)

    def terms(self) -> RaterTerms:
        """The raters as they are known now, for the loss."""
        offsets = self._centred_offsets()
        return RaterTerms(
            sharpness=_tensor(self.known.sharpness),
            position=_tensor(self.known.pool[0] + self.known.position),
            length=_tensor(self._centred_length()),
            cuts=_tensor(cut_points(self.known, has_ties=self._has_ties)),
            group=torch.tensor(self.grouping.of_rater),
            offsets=_tensor(offsets),
        )

    def remember(self, chosen: Sequence[int], batch: GroupBatch, scores: Tensor, states: Tensor) -> None:
        """Keep what the answers of a micro-batch scored; `chosen` are the members of its optimizer batch."""
        places = np.concatenate([np.arange(self.starts[i], self.starts[i + 1]) for i in chosen])
        rows = torch.from_numpy(places[list(batch.rows)])
        self._scores[rows] = scores.detach().float().cpu()
        if self.has_groups:
            self._states[rows] = states.detach().float().cpu()
        self._is_seen[rows] = True

    def is_due(self, step: int, order: EpochBatches) -> bool:
        """Is the fit due before this step? After the warm-up, and then several times in each pass."""
        per_epoch = order.steps_per_epoch
        warm = max(1, round(self.config.warmup * per_epoch))
        every = max(1, round(per_epoch / self.config.refits_per_epoch))
        return step >= warm and (step - warm) % every == 0

    def refit(self) -> None:
        """Fit the raters to all answers seen so far, from where they are."""
        self._fit()

    def result(self, scores: Tensor, states: Tensor) -> RaterFit:
        """Fit once more, and tell. `scores` and `states` are those of the trained model, of all if `has_groups`.

        Tastes have to fit the model as it is now, so they are fitted to these; everything else is told from what was
        remembered, which the judgments in question had not moved yet (or not as often).
        """
        posterior = self._fit()
        state = self.known
        if self.has_groups:
            self._scores, self._states = scores.float(), states.float()
            self._is_seen[:] = True
            self._fit()
        return RaterFit(
            raters=self.raters,
            judgments=tuple(int(n) for n in self._judgments),
            sharpness=state.sharpness,
            errors=posterior.sharpness_errors(state),
            position=state.pool[0] + state.position,
            length=self._centred_length(),
            cuts=cut_points(state, has_ties=self._has_ties),
            group_by=self.grouping.attribute,
            groups=self.grouping.names,
            group=np.array(self.grouping.of_rater),
            shares=self._shares(),
            offsets=_tensor(self._centred_offsets()),
            scale=float(np.exp(state.pool[5])),
            ignores_order=self.ignores_order,
        )

    def tensors(self) -> dict[str, Tensor]:
        """What was seen, and every parameter."""
        parameters = {f"state/{f.name}": torch.tensor(getattr(self.known, f.name)) for f in fields(RaterState)}
        return {"scores": self._scores, "states": self._states, "is_seen": self._is_seen, **parameters}

    def state(self) -> dict[str, Any]:
        """Nothing that is not a tensor."""
        return {}

    def restore(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Go back to a checkpoint."""
        self._scores, self._states, self._is_seen = (tensors[n].clone() for n in ("scores", "states", "is_seen"))
        self.known = RaterState(*(tensors[f"state/{f.name}"].numpy().copy() for f in fields(RaterState)))

    def _fit(self) -> Posterior:
        votes = self._everything
        seen = self._is_seen[votes.better] & self._is_seen[votes.worse]
        if seen.any():
            votes = Votes(*(getattr(votes, f.name)[seen] for f in fields(Votes)))
        evidence = Evidence(
            votes=votes,
            scores=self._scores.double().numpy(),
            states=self._states.double().numpy(),
            group=np.array(self.grouping.of_rater),
            groups=len(self.grouping.names),
            has_ties=self._has_ties,
        )
        c = self.config
        spreads = Spreads(c.sharpness_spread, c.position_spread, c.length_spread, c.cuts_spread, c.taste_spread)
        posterior = Posterior(evidence, spreads)
        with threadpool_limits(1, user_api="blas"):  # products this thin cost several times as much divided
            self.known = posterior.minimize(self.known)
        return posterior

    def _shares(self) -> Floats:
        """Share of each group in the votes of raters whose group is known."""
        group = np.array(self.grouping.of_rater)[self._everything.rater.numpy()]
        weight = self._everything.weight.double().numpy()
        total = np.bincount(group + 1, weight, len(self.grouping.names) + 1)[1:]
        return total / max(float(total.sum()), 1e-12)

    def _centred_offsets(self) -> Floats:
        """Zero-sum, in the units that the scores have now."""
        if not self.has_groups:
            return self.known.offsets
        return (self.known.offsets - self._shares() @ self.known.offsets) / max(np.exp(self.known.pool[5]), MIN_SCALE)

    def _centred_length(self) -> Floats:
        weight = np.bincount(self._everything.rater, self._everything.weight, len(self.raters))
        return self.known.length - weight @ self.known.length / weight.sum()


def is_by_rank(votes: Votes) -> bool:
    """Is the answer shown first nearly always the better one, or the worse one, as in files that list answers by rank?

    Nobody leans so much; read as a lean it would explain the rankings, and the reward model would learn nothing.
    """
    told = votes.first[(votes.first != 0) & (votes.lower > TIE)]
    return len(told) >= MANY_VOTES and bool(told.mean().abs() > ONE_SIDED)


def _numbered(target: Target, number: Mapping[str, int]) -> Votes:
    of_all = torch.tensor([number[name] for name in target.raters])
    return replace(target.votes, rater=of_all[target.votes.rater])


def _tensor(values: Floats) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)
