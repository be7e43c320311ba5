"""The trial of an offset: does an audience want something of its own, and is it met in people and prompts not seen?"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_expit

from assent.core.types import Record
from assent.profiles.config import Level
from assent.profiles.holdout import Holdout
from assent.profiles.offset import Known, Offset, own_head, pulls, raters_of, shrunken_offset
from assent.profiles.permutation import over_raters
from assent.stats.clustered import paired_difference
from assent.stats.estimate import Estimate
from assent.stats.power import detectable, look
from assent.training.head_fit import HeadVotes, logistic, top_directions

Floats = NDArray[np.float64]
Marks = NDArray[np.bool_]
ALPHA = 0.05
"""The permutation test's p must not be above this."""
FOLDS = 5
"""Of the audience's raters, by which an own head is chosen."""
FEWEST_PROMPTS, FEWEST_RATERS = 10, 2
"""Held-out prompts and held-out raters of the audience without which nothing is decided."""


class Side(Record):
    """How much there is on one side of the split."""

    votes: int
    raters: int
    prompts: int

    def __str__(self) -> str:
        return f"{self.votes} votes of {self.raters} raters on {self.prompts} prompts"


class OffsetTrial(Record):
    """What was found of an audience's offset. Losses are log-losses in nats a vote; differences are child - parent."""

    level: Level
    learned: Side
    """Votes of the audience that it was fitted to."""
    others: Side
    """Votes of the parent's other raters, learning side: whom the audience is held against."""
    tested: Side
    """Votes of the audience whose rater and prompt are both held out."""
    spread: float | None
    """τ, the deviation of the offset between two answers in logits; None for a head of its own."""
    p: float | None
    """Of the permutation test; None where it could not be made."""
    permutations: int = 0
    is_exact: bool = False
    accuracy: Estimate | None = None
    """Difference of the share of held-out votes that are ordered rightly."""
    accuracy_parent: float | None = None
    gain: Estimate | None = None
    """Parent's held-out loss less the child's, by prompt: above 0 the audience is better served."""
    gain_by_rater: Estimate | None = None
    """The same with an interval over raters."""
    parents_loss: Estimate | None = None
    """Child's loss less the parent's with held-out raters of the parent's whole audience: what others would lose."""
    smallest: float | None = None
    """The smallest true gain that so many held-out prompts show in four of five cases."""
    reasons: tuple[str, ...] = ()
    """Why it does not pass; empty: it passes."""

    @property
    def passes(self) -> bool:
        """Whether the offset may be used."""
        return not self.reasons


@dataclass(frozen=True, eq=False)
class Poll:
    """Votes of a parent's audience, and which of its raters belong to the profile."""

    votes: HeadVotes
    """Of raters and prompts by number."""
    raters: tuple[str, ...]
    prompts: tuple[str, ...]
    members: Marks
    """[R]"""
    head: Floats
    """[d], the parent's."""

    def split(self, seen: Collection[str] = ()) -> Holdout:
        """Who and what is held out, told by the ids alone."""
        votes = self.votes
        return Holdout.of([self.raters[i] for i in votes.rater], [self.prompts[i] for i in votes.prompt], seen=seen)

    def side(self, kept: Marks) -> Side:
        """How much some votes are."""
        raters, prompts = set(self.votes.rater[kept].tolist()), set(self.votes.prompt[kept].tolist())
        return Side(votes=int(kept.sum()), raters=len(raters), prompts=len(prompts))


def try_offset(poll: Poll, *, level: Level, seen: Collection[str] = (), seed: int = 0) -> tuple[Offset, OffsetTrial]:
    """Fit an audience's offset on the learning side, and put it to its trial. Raises ValueError without any vote.

    `seen` are prompts that the parent's reward model was trained on.
    """
    split, votes = poll.split(seen), poll.votes
    inside = poll.members[votes.rater]
    learn, test = split.learn & inside, split.test & inside
    pool = votes.without(~split.learn)
    sides = {"learned": poll.side(learn), "others": poll.side(split.learn & ~inside), "tested": poll.side(test)}
    offset = Offset(np.zeros(votes.states.shape[1]), 0.0, 0.0)
    found = OffsetTrial(level=level, **sides, spread=0.0, p=None)
    if not sides["learned"].votes or not sides["others"].votes:
        what = "of the audience" if not sides["learned"].votes else "outside the audience to hold it against"
        return offset, found.model_copy(update={"reasons": (f"no vote to learn from is by a rater {what}",)})
    known, directions = raters_of(pool, poll.head), top_directions(pool.states)
    own = poll.members[pool.rater]
    offset = shrunken_offset(pool.without(~own), known.of(own), directions)
    if level == "own" and _is_own_better(pool.without(~own), known.of(own), directions, poll.head):
        offset = own_head(pool.without(~own), poll.head, known)
    scores, weight = pulls(pool, known, directions, len(poll.raters))
    there = weight > 0
    permuted = over_raters(scores[there], weight[there], poll.members[there], seed=seed)
    update: dict[str, object] = {
        "spread": offset.spread if np.isfinite(offset.spread) else None,
        "p": permuted.p,
        "permutations": permuted.permutations,
        "is_exact": permuted.is_exact,
    }
    if sides["tested"].prompts >= 2 and np.any(offset.direction):
        update |= _held_out(poll, offset.direction, learn, test)
        update |= _others(poll, offset.direction, split)
    found = found.model_copy(update=update)
    return offset, found.model_copy(update={"reasons": tuple(_reasons(found))})


def _is_own_better(votes: HeadVotes, known: Known, directions: Floats, parent: Floats) -> bool:
    """Whether a head of its own predicts the audience's raters better than the offset, each fold from the others'.

    Told on the learning side alone; what is held out sees the better one once.
    """
    _, number = np.unique(votes.rater, return_inverse=True)
    fold, lost = number % FOLDS, np.zeros(2)
    for one in range(FOLDS):
        out = fold == one
        if not 0 < out.sum() < len(out):
            return False
        kept, about = votes.without(out), known.of(~out)
        offsets = shrunken_offset(kept, about, directions), own_head(kept, parent, about)
        lost += [_losses(votes, parent + found.direction, ~out, out).sum() for found in offsets]
    return bool(lost[1] < lost[0])


def _held_out(poll: Poll, direction: Floats, learn: Marks, test: Marks) -> dict[str, object]:
    """The audience's held-out votes under both rewards, each scaled as well as the learning side knows."""
    before, after = (_losses(poll.votes, head, learn, test) for head in (poll.head, poll.head + direction))
    prompts, raters = poll.votes.prompt[test], poll.votes.rater[test]
    right = [_right(poll.votes.states[test] @ head) for head in (poll.head, poll.head + direction)]
    seen = look(before - after, prompts)
    return {
        "gain": paired_difference(before, after, prompts),
        "gain_by_rater": paired_difference(before, after, raters) if len(set(raters.tolist())) > 1 else None,
        "accuracy": paired_difference(right[1], right[0], prompts),
        "accuracy_parent": float(right[0].mean()),
        "smallest": detectable(seen.clusters, seen.variance),
    }


def _others(poll: Poll, direction: Floats, split: Holdout) -> dict[str, object]:
    before, after = (_losses(poll.votes, head, split.learn, split.test) for head in (poll.head, poll.head + direction))
    return {"parents_loss": paired_difference(after, before, poll.votes.prompt[split.test])}


def _losses(votes: HeadVotes, head: Floats, learn: Marks, test: Marks) -> Floats:
    """-log P of the test votes, with the scale and the lean to the place shown that the learning votes have."""
    columns = np.column_stack([votes.states @ head, votes.first])
    size = max(float((columns[learn, 0] ** 2).mean()), 1e-12)
    found = logistic(columns[learn], votes.weight[learn], np.array([1e-3 * size, 1.0]))
    losses: Floats = -log_expit(columns[test] @ found)
    return losses


def _right(lead: Floats) -> Floats:
    right: Floats = (lead > 0) + 0.5 * (lead == 0)
    return right


def _reasons(found: OffsetTrial) -> Iterator[str]:
    if found.p is not None and found.p > ALPHA:
        yield (
            f"as many raters chosen by chance pull as strongly as the audience's (p = {found.p:.3f} of"
            f" {found.permutations} permutations over raters, {ALPHA} or less is wanted)"
        )
    if found.spread == 0:
        yield "the audience's votes are as likely without any offset: it wants what its parent wants, or too few voted"
    if found.tested.prompts < FEWEST_PROMPTS or found.tested.raters < FEWEST_RATERS:
        yield (
            f"held out are {found.tested}; {FEWEST_PROMPTS} prompts and {FEWEST_RATERS} raters of the audience are"
            " wanted: gather more labels"
        )
    if found.gain is not None and not found.gain.low > 0:
        yield (
            f"it does not surely win with people and prompts not seen: gain {found.gain} nats a vote; a true gain below"
            f" {found.smallest:.3f} would often go unseen with so many"
        )
