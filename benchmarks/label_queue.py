"""Which tasks first? Orders of a queue, and the labels each needs to reach what a random order reaches in the end.

A stand-in for hundreds of trainings, stated plainly: the reward is linear in the last states of a reward model that was
trained on rankings of earlier prompts (so what a state means is known already), and is fitted by Newton's method to
all pairs of the rankings, a tie as half a win each way. Run by `benchmarks/k_and_queue.py queue`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from lab_answers import Floats

from assent.core.types import Judgment, Task
from assent.feedback.queue.priorities import Predicted, information_share, priorities

RANDOM_SHARE = 0.2
RIDGE = 30.0
STEPS = 10
"""Batches of labels; the first is drawn at random for every order."""


@dataclass(frozen=True, eq=False)
class Offer:
    """Tasks that could be asked next, with what people would say."""

    tasks: Sequence[Task]
    judgments: Sequence[Judgment]
    states: Floats
    """[N, K, d]"""

    def pairs(self, chosen: Sequence[int]) -> tuple[Floats, Floats]:
        """Differences of states [P, d] and outcomes [P] (1, ½, 0) of all pairs of some tasks."""
        first, second = np.triu_indices(self.states.shape[1], 1)
        own = self.states[list(chosen)]
        return (own[:, first] - own[:, second]).reshape(-1, own.shape[2]), np.concatenate(
            [self._outcomes(i) for i in chosen]
        )

    def _outcomes(self, i: int) -> Floats:
        ranking = self.judgments[i].ranking
        assert ranking is not None
        rank = ranking.rank()
        places = np.array([rank[c.id] for c in self.tasks[i].completions])
        first, second = np.triu_indices(len(places), 1)
        return (1 + np.sign(places[second] - places[first])) / 2


def fit_linear(offer: Offer, chosen: Sequence[int]) -> tuple[Floats, Floats]:
    """Weights [d] and the information [d, d] behind them; each pair weighs 2/K."""
    x, outcome = offer.pairs(chosen)
    weight = 2 / offer.states.shape[1]
    w = np.zeros(x.shape[1])
    for _ in range(20):
        p = 1 / (1 + np.exp(-x @ w))
        information = weight * (x * (p * (1 - p))[:, None]).T @ x + RIDGE * np.eye(len(w))
        step = np.linalg.solve(information, weight * x.T @ (p - outcome) + RIDGE * w)
        w = w - step
        if np.abs(step).max() < 1e-4:
            break
    return w, information


Order = Callable[[Offer, list[int], int, Floats, Floats], list[int]]
"""(offer, tasks left, how many, weights, information) -> the tasks to ask next, before the random share."""


def near_ties(offer: Offer, left: list[int], count: int, w: Floats, _information: Floats) -> list[int]:
    """The product's priorities for the goal near_ties."""
    return _by_priority(offer, left, count, w, "near_ties")


def large_gaps(offer: Offer, left: list[int], count: int, w: Floats, _information: Floats) -> list[int]:
    """The product's priorities for the goal large_gaps, which are meant for DPO."""
    return _by_priority(offer, left, count, w, "large_gaps")


def expected_information(offer: Offer, left: list[int], count: int, w: Floats, information: Floats) -> list[int]:
    """D-optimal: the largest Σ 2/K p(1-p) xᵀ H⁻¹ x, H counting each choice at once, so that choices differ."""
    x = offer.states[left]
    first, second = np.triu_indices(x.shape[1], 1)
    x = x[:, first] - x[:, second]
    flat = x.reshape(-1, x.shape[2])
    p = 1 / (1 + np.exp(-flat @ w))
    value = (2 / offer.states.shape[1] * p * (1 - p)).reshape(len(left), -1)
    inverse = np.linalg.inv(information)
    lever = np.einsum("pd,pd->p", flat @ inverse, flat).reshape(value.shape)
    chosen: list[int] = []
    while len(chosen) < count:
        gain = (value * lever).sum(1)
        gain[chosen] = -1
        best = int(gain.argmax())
        chosen.append(best)
        for pair, v in zip(x[best], value[best], strict=True):
            u = inverse @ pair
            shrink = v / (1 + v * pair @ u)
            inverse -= shrink * np.outer(u, u)
            lever -= shrink * ((flat @ u) ** 2).reshape(value.shape)
    return [left[i] for i in chosen]


ORDERS: dict[str, Order | None] = {
    "random": None,
    "near ties": near_ties,
    "expected information": expected_information,
    "large gaps": large_gaps,
}


def curve(
    offer: Offer, order: Order | None, *, labels: int, seed: int, accuracy: Callable[[Floats], float]
) -> list[float]:
    """Accuracy after each batch of labels."""
    rng = np.random.default_rng(seed)
    batch = labels // STEPS
    chosen = [int(i) for i in rng.choice(len(offer.tasks), batch, replace=False)]
    found = []
    while True:
        w, information = fit_linear(offer, chosen)
        found.append(accuracy(w))
        if len(found) == STEPS:
            return found
        left = sorted(set(range(len(offer.tasks))) - set(chosen))
        wanted = 0 if order is None else round((1 - RANDOM_SHARE) * batch)
        new = [] if order is None else order(offer, left, wanted, w, information)
        rest = sorted(set(left) - set(new))
        new += [int(i) for i in rng.choice(rest, batch - len(new), replace=False)]
        chosen += new


def share_needed(curves: Floats, random: Floats) -> float:
    """Labels to reach random's final accuracy, over random's; mean curves [seeds, steps], straight between steps."""
    mean, target = np.maximum.accumulate(curves.mean(0)), random.mean(0)[-1]
    steps = np.arange(1, STEPS + 1) / STEPS
    return float(np.interp(target, mean, steps)) if mean[-1] >= target else float("nan")


def share_interval(curves: Floats, random: Floats, *, draws: int = 2000) -> tuple[float, float]:
    """95 % interval of `share_needed`, seeds drawn with replacement; a share above 1 counts as 1."""
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, len(curves), (draws, len(curves)))
    shares = np.nan_to_num([share_needed(curves[i], random[i]) for i in drawn], nan=1.0)
    low, high = np.quantile(shares, [0.025, 0.975])
    return float(low), float(high)


def table(found: dict[str, list[list[float]]], labels: int) -> None:
    """Print what each order reached."""
    random = np.array(found["random"])
    print(f"\n| order | accuracy at {labels // 2} labels | at {labels} | labels to reach random's final accuracy |")
    print("|---|---|---|---|")
    for name, curves in found.items():
        own = np.array(curves)
        low, high = share_interval(own, random)
        share = share_needed(own, random)
        said = "–" if name == "random" else f"{share:.2f} [{low:.2f}, {high:.2f}]" if share == share else "more"
        half, final = own.mean(0)[[STEPS // 2 - 1, -1]]
        print(f"| {name} | {half:.3f} | {final:.3f} | {said} |")


def bound(offer: Offer, w: Floats) -> float:
    """The share of labels that nothing but ties would need at best, by what the reward predicts now."""
    return information_share(_predicted(offer, range(len(offer.tasks)), w))


def _predicted(offer: Offer, chosen: Sequence[int], w: Floats) -> dict[str, Predicted]:
    scores = offer.states[list(chosen)] @ w
    return {
        offer.tasks[i].id: Predicted([float(s) for s in own], offer.tasks[i].prompt.id)
        for i, own in zip(chosen, scores, strict=True)
    }


def _by_priority(offer: Offer, left: list[int], count: int, w: Floats, goal: Any) -> list[int]:
    wanted = priorities(_predicted(offer, left, w), goal)
    return sorted(left, key=lambda i: (-wanted[offer.tasks[i].id], i))[:count]
