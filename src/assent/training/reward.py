"""The reward model: scores whose differences predict how people ranked the answers of a prompt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple, assert_never

import numpy as np
import torch
from torch import Tensor

from assent.algorithms.likelihoods import (
    Pairs,
    bradley_terry_loss,
    centering_penalty,
    davidson_loss,
    davidson_luce_loss,
    plackett_luce_loss,
    rao_kupper_loss,
)
from assent.algorithms.objective import Loss, Weighted, weighted
from assent.algorithms.rater_likelihood import joint_loss
from assent.core import seeds
from assent.core.errors import DataError
from assent.core.group import Group, answer_starts
from assent.core.lazy import Picked, Places, pick, places_where
from assent.learner.learner import Learner, Scorer
from assent.models.groups import GroupBatch, Packed, pack
from assent.training.batches import EpochBatches
from assent.training.config import JointRatersConfig, NoRatersConfig, RewardConfig
from assent.training.criterion_fit import criterion_loss
from assent.training.held_out_pairs import HeldOutPairs
from assent.training.looks import Looks, Schedule
from assent.training.loop import Loop, Resumable
from assent.training.members import Member, Members
from assent.training.rater_fit import JointFit, RaterFit
from assent.training.targets import Target, local_pairs, local_targets, local_votes
from assent.training.tie_fit import TieFit

Outputs = tuple[Tensor, ...]
"""Score of each row [B], the state that it is read from [B, d], and where criteria are learned what their heads say
[B, C]."""
Total = Callable[[Outputs, GroupBatch, Pairs], Tensor]
"""Sum of the weighted losses of a micro-batch."""


def scale_sample(learned: int) -> int:
    """Of so many comparisons that a reward model learned, how many tell mean and deviation of its final scores.

    A quarter, so that scoring them again takes a twelfth of a pass of training; 64 at least, whose 128 answers or more
    tell the deviation to 6 %; 256 at most, which tell it to 3 %.
    """
    return min(learned, max(64, min(256, learned // 4)))


class Settled(NamedTuple):
    """What the trained model says of some of the comparisons that it learned from."""

    numbers: Places
    """Which they are, ascending."""
    starts: Places
    """[n + 1] where the answers of each begin in `outputs`."""
    outputs: Outputs
    """Final scores, and states unless they are of width 0."""

    def states(self, numbers: Places) -> Tensor | None:
        """The states of the answers [answers, d] to these comparisons, in order; None where they are not known."""
        if not len(numbers) or not self.outputs[1].shape[1] or not np.isin(numbers, self.numbers).all():
            return None
        at = np.searchsorted(self.numbers, numbers)
        rows = [np.arange(self.starts[i], self.starts[i + 1]) for i in at]
        return self.outputs[1][torch.from_numpy(np.concatenate(rows))]


class Trained(NamedTuple):
    """What training came to."""

    steps: int
    score_mean: float
    score_std: float
    tie_strength: float | None
    """Learned strength of ties, where all raters count alike."""
    raters: RaterFit | None
    """What was found out about raters, where they are in the loss."""
    settled: Settled
    """What the scale of the scores was told by."""
    held_out: list[float] | None
    """The final raw score of every held-out answer, where the last look on the way was at the final weights."""

    def facts(self) -> dict[str, Any]:
        """The plain numbers."""
        return {name: value for name, value in self._asdict().items() if isinstance(value, int | float)}


@dataclass(frozen=True)
class RewardFit:
    """What a reward model is fitted to: rankings, and how likely they are given scores."""

    members: Members
    likelihood: Likelihood | JointLikelihood
    order: EpochBatches
    places: Places
    """Which of the rankings given the members are."""

    @classmethod
    def of(
        cls,
        ranked: Sequence[Member],
        config: RewardConfig,
        *,
        features: int,
        seed: int,
        attributes: Mapping[str, Mapping[str, str]] | None = None,
        weight: Mapping[str, float] | None = None,
    ) -> RewardFit:
        """Of rankings with their groups; `features` is the width of the model's states.

        `attributes` are what raters said about themselves, by rater and name; groups of taste are made of them.
        `weight` is how much a judgment of each rater counts (see `training.population`); None: all alike.
        """
        members = Members.of(ranked)
        if weight is not None:
            members = members.changed(lambda target: target.weighted(weight))
        places = np.arange(len(members))
        if config.ties == "ignore":
            places = places_where(members.targets, lambda target: not target.pairs.is_tie.all())
            members = Members(pick(members.groups, places), pick(members.targets, places)).changed(Target.decided)
        if not len(members):
            raise DataError("a reward model needs rankings of two answers or more, and there are none; add comparisons")
        order = EpochBatches(len(members), config.batch_size, config.epochs, seed)
        match config.raters:
            case JointRatersConfig() as raters:
                fit = JointFit(members, attributes or {}, raters, features=features)
                return cls(members, JointLikelihood(fit, order), order, places)
            case NoRatersConfig():
                return cls(members, Likelihood(members, config, order), order, places)
            case _ as never:
                assert_never(never)

    def settled(self, seed: int, asked: Places | None = None) -> Places:
        """Numbers of the members that the trained model scores once more: a `scale_sample`, drawn by the seed.

        Where some of the rankings given are `asked` for, it is those. All, where something is fitted to final scores:
        the strength of ties, or tastes of groups.
        """
        count = len(self.members)
        if self.likelihood.needs_all:
            return np.arange(count)
        if asked is not None and len(found := np.flatnonzero(np.isin(self.places, asked))):
            return found
        size = scale_sample(count)
        if size == count:
            return np.arange(count)
        return np.sort(seeds.stream(seed, "settled").choice(count, size=size, replace=False))


def train_reward(
    learner: Learner[Outputs],
    fit: RewardFit,
    config: RewardConfig,
    loop: Loop,
    held_out: Sequence[Member] = (),
    asked: Places | None = None,
) -> Trained:
    """Train the model of `learner`. Its score normalisation is that of its final scores, see `RewardFit.settled`.

    What is `held_out` is measured on the way and never learned. Of the rankings that are `asked` for, the final states
    come back too, so that nobody computes them once more.
    """
    budget = config.optimizer.tokens_per_microbatch
    unseen = HeldOutPairs(held_out, budget=budget)
    measure = (lambda taken: unseen.look(learner, taken)) if unseen.count else None
    schedule = Schedule.of(config, looked_at=unseen.count, learned=config.batch_size)
    looks = Looks(learner, schedule, measure, loop)
    parts: dict[str, Resumable] = {"reward": learner, "looks": looks, **fit.likelihood.parts()}
    for step in loop.steps(fit.order.total_steps, parts, description="training", looks=looks):
        numbers = fit.order.items(step)
        chosen = [fit.members[i] for i in numbers]
        batches = pack([g for g, _ in chosen], budget=budget)
        total = fit.likelihood.at(step, numbers, chosen)
        passed = learner.forward_backward(
            batches,
            partial(reward_objective, members=chosen, total=total, config=config),
            weight=sum(t.weight for _, t in chosen),
        )
        fit.likelihood.remember(numbers, batches, passed.outputs)
        report = learner.step(learning_rate=config.optimizer.rate_at(learner.num_steps, fit.order.total_steps))
        metrics = passed.metrics
        loop.log.record(step, {**metrics, **report._asdict()})
        loop.shown.update(loss=metrics["loss"], accuracy=metrics.get("accuracy", float("nan")))
    looks.take()
    again = fit.settled(loop.seed, asked)
    groups = Picked(fit.members.groups, again)
    # Of all there may be more states than memory holds; the likelihood asks for them where it needs them.
    keeps = fit.likelihood.has_groups or (asked is not None and not fit.likelihood.needs_all)
    with loop.log.progress("final scores", sum(len(one.continuations) for one in groups), is_aside=True) as bar:
        outputs = outputs_of(learner, groups, budget=budget, keep_states=keeps, on_progress=bar.advance)
    mean, std = outputs[0].mean().item(), max(outputs[0].std().item(), 1e-6)
    settled = Settled(fit.places[again], answer_starts(groups), outputs)
    found = fit.likelihood.found(outputs)
    last = None if config.best is not None else unseen.scores_after(fit.order.total_steps)
    return Trained(learner.num_steps, mean, std, **found, settled=settled, held_out=last)


def outputs_of(
    scorer: Scorer[Outputs],
    groups: Sequence[Group],
    *,
    budget: int,
    keep_states: bool,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Outputs:
    """Raw score of every answer, group by group, and the states they are read from (of width 0 unless kept).

    `on_progress` is told of each micro-batch how many answers it holds.
    """
    answers = sum(len(g.continuations) for g in groups)
    scores, kept = torch.zeros(answers), torch.zeros(answers, 0)
    for batch in Packed(groups, budget=budget):
        [(found, states, *_)] = scorer.score([batch])
        scores[list(batch.rows)] = found.cpu()
        if keep_states:
            if not kept.shape[1]:
                kept = torch.zeros(answers, states.shape[1])
            kept[list(batch.rows)] = states.cpu()
        on_progress(len(batch.rows))
    return scores, kept


def taste_scores(scorer: Scorer[Outputs], groups: Sequence[Group], offsets: Tensor, *, budget: int) -> Tensor:
    """What each group of people thinks of every answer beyond the raw score [answers, G], group by group."""
    found = torch.zeros(sum(len(g.continuations) for g in groups), len(offsets))
    if not len(offsets):
        return found
    for batch in Packed(groups, budget=budget):
        [(_, states, *_)] = scorer.score([batch])
        found[list(batch.rows)] = states.cpu() @ offsets.T
    return found


class Likelihood:
    """How likely rankings are given scores, all raters alike; the strength of ties is refitted on the way."""

    def __init__(self, members: Sequence[Member], config: RewardConfig, order: EpochBatches) -> None:
        largest = max(len(tier) for t in Members.of(members).targets for ranking in t.tiers for tier in ranking)
        self.config, self.order, self.has_ties = config, order, largest > 1
        is_learned = config.ties in ("davidson", "rao_kupper") and (config.loss == "bradley_terry" or self.has_ties)
        size = max(1, largest - 1) if config.loss == "plackett_luce" else 1
        self.ties = TieFit(members, config, size=size) if is_learned else None

    def parts(self) -> dict[str, Resumable]:
        """The strength of ties, and the scores it is fitted to."""
        return {} if self.ties is None else {"ties": self.ties}

    has_groups = False

    @property
    def needs_all(self) -> bool:
        """Whether final scores of all answers are needed: the strength of ties is fitted to them."""
        return self.ties is not None

    def remember(self, numbers: Sequence[int], batches: Sequence[GroupBatch], outputs: Sequence[Outputs]) -> None:
        """Keep what the answers of a step scored before it: what the strength of ties is fitted to next."""
        for batch, (scores, *_) in zip(batches, outputs, strict=True):
            if self.ties is not None:
                self.ties.remember(numbers, batch, scores)

    def found(self, outputs: Outputs) -> dict[str, Any]:
        """What was learned about ties; `outputs` are those of the trained model, on all answers if it `needs_all`."""
        if self.ties is None:
            return {"tie_strength": None, "raters": None}
        self.ties.settle(outputs[0])
        return {"tie_strength": self.ties.tie()[0].item(), "raters": None}

    def at(self, step: int, numbers: Sequence[int], members: Sequence[Member]) -> Total:
        """The loss of a step's rankings, summed. Refits the strength of ties first where it is due."""
        if self.ties is not None and self.ties.is_due(step, self.order):
            self.ties.refit()
        return self.total(members)

    def total(self, members: Sequence[Member]) -> Total:
        """The loss of some rankings, summed, with the strength of ties as it is."""

        def total(outputs: Outputs, batch: GroupBatch, pairs: Pairs) -> Tensor:
            scores = outputs[0]
            if self.config.loss == "bradley_terry":
                return (self.pairwise(scores, pairs) * pairs.weight).sum()
            return torch.stack(
                [
                    self.listwise(scores, [[start + i for i in tier] for tier in tiers])
                    for start, target in local_targets(batch, members)
                    for tiers in target.tiers
                ]
            ).sum()

        return total

    def pairwise(self, scores: Tensor, pairs: Pairs) -> Tensor:
        """Loss of each pair."""
        if self.ties is None:
            return bradley_terry_loss(scores, pairs)
        loss = rao_kupper_loss if self.config.ties == "rao_kupper" else davidson_loss
        return loss(scores, pairs, tie=self.ties.tie()[0].to(scores.device))

    def listwise(self, scores: Tensor, tiers: Sequence[Sequence[int]]) -> Tensor:
        """Loss of one whole ranking: Plackett-Luce, or Davidson-Luce where any ranking of the data holds a tie."""
        order = torch.tensor([[i for tier in tiers for i in tier]], device=scores.device)
        if self.ties is None:
            return plackett_luce_loss(scores, order)[0]
        tie = self.ties.tie().to(scores.device)
        return davidson_luce_loss(scores, order, [len(t) for t in tiers], tie=tie)[0]


class JointLikelihood:
    """How likely rankings are given scores and what is known of each rater; the raters are refitted on the way."""

    def __init__(self, fit: JointFit, order: EpochBatches) -> None:
        self.fit, self.order = fit, order

    def parts(self) -> dict[str, Resumable]:
        """Raters, and the scores they are fitted to."""
        return {"raters": self.fit}

    @property
    def has_groups(self) -> bool:
        """Whether tastes of groups are fitted."""
        return self.fit.has_groups

    @property
    def needs_all(self) -> bool:
        """Whether final scores of all answers are needed: tastes are fitted to them, all else to what is remembered."""
        return self.fit.has_groups

    def found(self, outputs: Outputs) -> dict[str, Any]:
        """What was found out about raters; `outputs` are those of the trained model, on all if it `needs_all`."""
        return {"tie_strength": None, "raters": self.fit.result(*outputs)}

    def remember(self, numbers: Sequence[int], batches: Sequence[GroupBatch], outputs: Sequence[Outputs]) -> None:
        """Keep what the answers of a step scored before it: what raters are fitted to next."""
        for batch, (scores, states, *_) in zip(batches, outputs, strict=True):
            self.fit.remember(numbers, batch, scores, states)

    def at(self, step: int, numbers: Sequence[int], members: Sequence[Member]) -> Total:
        """The loss of a step's votes, summed. Refits first where it is due."""
        if self.fit.is_due(step, self.order):
            self.fit.refit()
        terms = self.fit.terms()
        numbered = [
            (group, replace(target, votes=self.fit.votes[i]))
            for i, (group, target) in zip(numbers, members, strict=True)
        ]

        def total(outputs: Outputs, batch: GroupBatch, pairs: Pairs) -> Tensor:
            scores, states = outputs[:2]
            votes = local_votes(batch, numbered)
            return (joint_loss(scores, states, votes, terms.to(scores.device)) * votes.weight).sum()

        return total


def reward_objective(
    outputs: Outputs, batch: GroupBatch, *, members: Sequence[Member], total: Total, config: RewardConfig
) -> Loss:
    """Negative log-likelihood of the rankings, plus the penalty that keeps each group's mean score near zero.

    Where criteria are learned, their heads' squared errors too; with `overall: criteria` in place of the likelihood.
    """
    scores = outputs[0]
    pairs = local_pairs(batch, members)
    likelihood = total(outputs, batch, pairs)
    weight = float(pairs.weight.sum())
    number = {g: i for i, g in enumerate(dict.fromkeys(batch.group_of_row))}
    group = torch.tensor([number[g] for g in batch.group_of_row], device=scores.device)
    off_centre = centering_penalty(scores, group, len(number))
    decided = ~pairs.is_tie
    lead = (scores[pairs.better] - scores[pairs.worse]).detach()[decided]
    metrics = {
        "loss": Weighted(likelihood.detach(), weight),
        "accuracy": weighted((lead > 0).float() + 0.5 * (lead == 0).float(), pairs.weight[decided]),
        "score": weighted(scores),
    }
    whole = likelihood + config.centering * off_centre.sum()
    if config.criteria:
        by_mean = config.overall == "criteria"
        of_criteria = criterion_loss(scores, outputs[2], batch, members, is_overall=by_mean)
        # What is off centre has no place beside scores that were centred by raters.
        whole = config.criteria_weight * of_criteria.total + (0.0 * whole if by_mean else whole)
        metrics |= of_criteria.metrics
    return Loss(whole, weight, metrics)
