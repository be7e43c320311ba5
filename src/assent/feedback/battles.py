"""Blind battles between models as raters decided them, and the table of models they make.

    P(i preferred to j) = σ(s_i − s_j)                     Bradley and Terry (1952); a tie is half a win for each

Strengths are log-odds against the average model. A weak prior, one tie of each model against an average one, keeps
them finite where a model won or lost everything. A vote on an answer that named its model is void.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from assent.core.types import Judgment, Task
from assent.feedback.records.queue import Queue
from assent.feedback.store import Store
from assent.stats.bradley_terry import Meetings, fit_strengths, share_of
from assent.stats.clustered import in_parts, student
from assent.stats.estimate import Estimate

Outcome = Literal["a", "b", "tie", "both_bad"]
FEWEST_RATERS = 10
"""From so many raters on, raters are left out in turn and not single battles: one person's votes hang together."""
MOST_GROUPS = 100
"""Where there are more battles or raters, they are left out in so many groups (Kott 2001)."""
_PRIOR = 1.0
Floats = NDArray[np.float64]


class Battle(NamedTuple):
    """One vote; `model_a` was shown first."""

    model_a: str
    model_b: str
    outcome: Outcome
    rater_id: str = ""


@dataclass(frozen=True)
class Standing:
    """How a model stands among the others."""

    model: str
    strength: Estimate
    """Log-odds of being preferred to the average model."""
    share: Estimate
    """Expected share of wins against the average model, ties counting half."""
    battles: int
    wins: int
    losses: int
    ties: int
    both_bad: int
    """Ties where neither answer could be used; among `ties`."""


def battles(store: Store, project: str) -> list[Battle]:
    """Every valid vote of a project's battles, in the order of their tasks' ids; void ones are left out."""
    said = store.judgments(Queue(project, "evaluation"))
    return votes_on(store.tasks(sorted({judgment.task_id for judgment in said})), said)


def votes_on(tasks: Mapping[str, Task], said: Iterable[Judgment]) -> list[Battle]:
    """The valid votes among these judgments on those of the tasks that are battles, in the order of the tasks' ids."""
    found = [(j, tasks[j.task_id]) for j in said if j.ranking is not None and j.task_id in tasks]
    ordered = sorted(found, key=lambda pair: (pair[1].id, pair[0].rater_id))
    votes = (_battle(judgment, task) for judgment, task in ordered if task.kind == "battle")
    return [vote for vote in votes if vote is not None]


def standings(fought: Sequence[Battle]) -> list[Standing]:
    """The table of models, strongest first, with 95 % intervals from leaving out battles or raters in turn.

    A single battle or rater says nothing about others: then the strengths have infinite intervals.
    """
    models = sorted({name for battle in fought for name in (battle.model_a, battle.model_b)})
    if not models:
        return []
    place = {name: i for i, name in enumerate(models)}
    a = np.array([place[battle.model_a] for battle in fought])
    b = np.array([place[battle.model_b] for battle in fought])
    won = np.array([{"a": 1.0, "b": 0.0}.get(battle.outcome, 0.5) for battle in fought])
    strengths = fit(a, b, won, np.ones(len(fought)), len(models))
    clusters = _clusters(fought)
    count = int(clusters.max()) + 1
    group_of, groups = in_parts(clusters, count, MOST_GROUPS)
    left_out = np.array([fit(a, b, won, (group_of != group).astype(float), len(models)) for group in range(groups)])
    half = np.full(len(models), math.inf)
    if groups > 1:
        spread = np.sqrt((groups - 1) / groups * ((left_out - left_out.mean(axis=0)) ** 2).sum(axis=0))
        # With few votes the prior pulls strengths together, and then also those that leave one out.
        centre = np.eye(len(models)) - 1 / len(models)
        posterior = centre @ np.linalg.inv(_curvature(a, b, strengths, np.ones(len(fought)))) @ centre
        half = student(groups - 1) * np.maximum(spread, np.sqrt(np.diag(posterior)))
    table = []
    for name, i in place.items():
        at, reach = float(strengths[i]), float(half[i])
        strength = Estimate(estimate=at, low=at - reach, high=at + reach, n=count)
        table.append(Standing(model=name, strength=strength, share=share_of(strength), **_tally(name, fought)))
    return sorted(table, key=lambda standing: (-standing.strength.estimate, standing.model))


def fit(a: NDArray[np.int_], b: NDArray[np.int_], won: Floats, weights: Floats, count: int) -> Floats:
    """Strengths of `count` models that sum to zero, most probable given weighted battles and the prior.

    a, b: places of the two models of each battle. won: 1 where a was preferred, 0.5 for a tie, 0 for b.
    """
    met = Meetings(a, b, won, count, np.zeros((len(won), 0)))
    return fit_strengths(met, weights, prior=_PRIOR).values


def _curvature(a: NDArray[np.int_], b: NDArray[np.int_], strengths: Floats, weights: Floats) -> Floats:
    """Minus the second derivatives of the log posterior [models, models]."""
    p = 1 / (1 + np.exp(strengths[b] - strengths[a]))
    own = 1 / (1 + np.exp(-strengths))
    curve = np.diag(_PRIOR * own * (1 - own))
    heavy = weights * p * (1 - p)
    np.add.at(curve, (a, a), heavy)
    np.add.at(curve, (b, b), heavy)
    np.add.at(curve, (a, b), -heavy)
    np.add.at(curve, (b, a), -heavy)
    return np.asarray(curve)


def _battle(judgment: Judgment, task: Task) -> Battle | None:
    by_id = {completion.id: completion for completion in task.completions}
    if len(by_id) != 2 or any(completion.meta.get("leak") for completion in by_id.values()):
        return None
    first, second = (by_id[i] for i in judgment.order_shown or tuple(by_id))
    rank = judgment.ranking.rank() if judgment.ranking else {}
    if first.source == second.source or not {first.id, second.id} <= rank.keys():
        return None
    outcome: Outcome = "a" if rank[first.id] < rank[second.id] else "b"
    if rank[first.id] == rank[second.id]:
        is_bad = all("unusable" in judgment.flags.get(i, ()) for i in by_id)
        outcome = "both_bad" if is_bad else "tie"
    return Battle(first.source, second.source, outcome, judgment.rater_id)


def _clusters(fought: Sequence[Battle]) -> NDArray[np.int_]:
    raters = sorted({battle.rater_id for battle in fought})
    if len(raters) < FEWEST_RATERS:
        return np.arange(len(fought))
    place = {rater: i for i, rater in enumerate(raters)}
    return np.array([place[battle.rater_id] for battle in fought])


def _tally(name: str, fought: Sequence[Battle]) -> dict[str, int]:
    own = [battle for battle in fought if name in (battle.model_a, battle.model_b)]
    wins = sum(
        (battle.model_a == name and battle.outcome == "a") or (battle.model_b == name and battle.outcome == "b")
        for battle in own
    )
    ties = sum(battle.outcome in ("tie", "both_bad") for battle in own)
    bad = sum(battle.outcome == "both_bad" for battle in own)
    return {"battles": len(own), "wins": wins, "losses": len(own) - wins - ties, "ties": ties, "both_bad": bad}
