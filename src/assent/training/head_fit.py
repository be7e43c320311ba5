"""The head of a reward model, refitted on states that stay as they are: with leans beside it, and without some votes.

Each vote says which of two answers is better, and is explained by the answers' states h and their features f (length,
words for people, the place where they were shown):

    P(better) = sigmoid((h_better - h_worse) · w + (f_better - f_worse) · c)

a ridge logistic regression (Bradley & Terry 1952 with covariates). What c takes is dropped at scoring. As states hold
the features too, w is kept from saying them again (`debiased`): it is orthogonal to how states go with a feature over
answers, which for one head is what Belrose et al. (2023, LEACE) do to all, and to how states change where words for
people are exchanged, which is no correlation but a cause.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PRIOR_LEAD = 2.0
"""Prior standard deviation, in logits, of what all states together say of a pair."""
MOST_DIRECTIONS = 64
"""Directions of the states that a fit uses: those in which answers to one prompt differ most."""
_STEPS, _SMALL = 30, 1e-7


@dataclass(frozen=True, eq=False)
class HeadVotes:
    """Decided votes with what is known of their two answers."""

    states: Floats
    """[P, d], of the better answer less those of the worse."""
    features: Floats
    """[P, F], the same of features that belong to answers: length, words for people."""
    first: Floats
    """[P], 1 where the better answer was shown first, -1 where the worse one was, 0 where that is not known."""
    weight: Floats
    """[P]"""
    rater: Ints
    """[P], number of who said so."""
    prompt: Ints
    """[P], number of what was asked."""

    def without(self, drop: NDArray[np.bool_]) -> HeadVotes:
        """Those that are not dropped."""
        keep = ~drop
        return HeadVotes(
            states=self.states[keep],
            features=self.features[keep],
            first=self.first[keep],
            weight=self.weight[keep],
            rater=self.rater[keep],
            prompt=self.prompt[keep],
        )


@dataclass(frozen=True, eq=False)
class Answers:
    """Every answer once, with its prompt: what leans of a reward are measured on."""

    states: Floats
    """[N, d]"""
    features: Floats
    """[N, F]"""
    prompt: Ints
    """[N]"""

    def centred(self) -> tuple[Floats, Floats]:
        """States and features less the mean of the prompt's answers."""
        return _less_means(self.states, self.prompt), _less_means(self.features, self.prompt)


def projected(votes: HeadVotes, answers: Answers) -> tuple[HeadVotes, Answers]:
    """Both on the directions in which answers to one prompt differ most, so that many fits are quick."""
    directions = top_directions(votes.states)
    return (
        replace(votes, states=votes.states @ directions),
        replace(answers, states=answers.states @ directions),
    )


def fit_head(votes: HeadVotes, *, start: Floats | None = None) -> Floats:
    """Weights [d] of the states alone, as a reward model without leans beside it learns them."""
    return logistic(votes.states, votes.weight, _penalty(votes.states), start=start)


def debiased(
    head: Floats,
    votes: HeadVotes,
    answers: Answers,
    *,
    drop: Sequence[int] = (),
    directions: Floats | None = None,
    beside: Sequence[int] = (),
) -> Floats:
    """A head [d] near `head` whose score says nothing of some features, nor moves along some `directions` [m, d].

    On `answers` its lean (see `leans`) on each feature numbered in `drop` is 0. Fitted jointly with these, with the
    features in `beside` and with the place shown, which take what votes say of them; the part of `head` that says what
    is dropped is taken out, and what is left is scaled and mended by a ridge.
    """
    states, features = answers.centred()
    kept = [i for i in drop if features[:, i].std() > 0]
    basis = np.eye(states.shape[1])
    # w says nothing of a feature where what the feature does to the states, the others given, is orthogonal to it.
    forbidden = np.linalg.lstsq(features, states, rcond=None)[0][kept]
    if directions is not None:
        forbidden = np.concatenate([forbidden, directions])
    forbidden = forbidden[np.linalg.norm(forbidden, axis=1) > 0]
    if len(forbidden):
        unit = forbidden / np.linalg.norm(forbidden, axis=1, keepdims=True)
        _, sizes, rows = np.linalg.svd(unit, full_matrices=True)
        rank = int((sizes > 1e-6 * sizes[0]).sum())
        basis = rows[rank:].T
    start = basis @ (basis.T @ head)
    inside = votes.states @ basis
    chosen = top_directions(inside)
    free = inside @ chosen
    terms = votes.features[:, sorted({*drop, *beside})]
    columns = np.column_stack([free, votes.states @ start, terms, votes.first])
    penalty = np.concatenate([_penalty(free), np.full(columns.shape[1] - free.shape[1], 1e-3)])
    found = logistic(columns, votes.weight, penalty)
    size = free.shape[1]
    return basis @ (chosen @ found[:size]) + start * found[size]


def leans(head: Floats, answers: Answers) -> Floats:
    """How much the score of a head rises with each feature [F], in standard deviations of the score per unit of it.

    Least squares over answers to the same prompts, all features at once; 0 for a feature that never differs.
    """
    states, features = answers.centred()
    scores = states @ head[: states.shape[1]]
    spread = float(scores.std())
    there = features.std(axis=0) > 0
    found = np.zeros(features.shape[1])
    if spread > 0 and there.any():
        found[there] = np.linalg.lstsq(features[:, there], scores / spread, rcond=None)[0]
    return found


def logistic(
    columns: Floats,
    weight: Floats,
    penalty: Floats,
    *,
    start: Floats | None = None,
    beside: Floats | float = 0.0,
) -> Floats:
    """Coefficients that make every row's "yes" likely: minimizes Σ w · softplus(-b - x·c) + ½ Σ penalty · c².

    By Newton. `beside`, b [rows], are logits that are known already.
    """
    found = np.zeros(columns.shape[1]) if start is None else start.copy()
    for _ in range(_STEPS):
        said = expit(beside + columns @ found)
        gradient = columns.T @ (weight * (1 - said)) - penalty * found
        bend = (columns * (weight * said * (1 - said))[:, None]).T @ columns + np.diag(penalty)
        step = np.linalg.solve(bend, gradient)
        size = float(np.abs(columns @ step).max(initial=0.0))
        found += step * min(1.0, 4.0 / size if size > 0 else 1.0)  # no step moves a pair by more than four logits
        if size < _SMALL * 1e2:
            break
    return found


def top_directions(states: Floats) -> Floats:
    """Directions [d, k] in which pairs differ most; all of them where there are few."""
    size = states.shape[1]
    if size <= MOST_DIRECTIONS:
        return np.eye(size)
    values, vectors = np.linalg.eigh(states.T @ states)
    return vectors[:, np.argsort(values)[::-1][:MOST_DIRECTIONS]]


def _penalty(columns: Floats) -> Floats:
    """By which all columns together are expected to say `PRIOR_LEAD` of a pair, each the same share of it."""
    sizes = (columns**2).mean(axis=0)
    return np.maximum(sizes, 1e-12 * max(float(sizes.max(initial=0.0)), 1e-300)) * columns.shape[1] / PRIOR_LEAD**2


def _less_means(values: Floats, groups: Ints) -> Floats:
    known, number = np.unique(groups, return_inverse=True)
    sums = np.zeros((len(known), values.shape[1]))
    np.add.at(sums, number, values)
    return values - (sums / np.bincount(number)[:, None])[number]
