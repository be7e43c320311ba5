"""Blind pairwise win rate of a new policy against a baseline, plain and length-controlled.

pairs     = [Pair(prompt, new, baseline), …]
tasks     = blind_tasks(pairs)                       each pair in both orders, origins stripped
verdicts  = read_verdicts(pairs, tasks, judgments)   by any raters; a judgment without a ranking is missing, not a tie
result    = win_rate(verdicts, rng=…)
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from assent.core.hashing import hash_json, short
from assent.core.types import Completion, Judgment, Prompt, Record, Task
from assent.feedback.quality.agreement import hit
from assent.stats.bootstrap import bootstrap, bootstrap_mean
from assent.stats.clustered import Floats, clustered_share
from assent.stats.estimate import Estimate

MIN_RATERS_FOR_TWO_WAYS = 5
"""With fewer raters a resample of them says little about other raters."""
_RIDGE = 1e-2
"""Weight of the prior that keeps a separable regression finite; next to n ≥ 50 verdicts it changes nothing."""


@dataclass(frozen=True)
class Pair:
    """Two answers to one prompt; raters never learn which is which."""

    prompt: Prompt
    new: Completion
    baseline: Completion


@dataclass(frozen=True)
class Verdict:
    """One rater's view of one pair in one order."""

    prompt_id: str
    rater_id: str
    pair_id: str
    score: float
    """1 the new answer is better, 0.5 a tie, 0 the baseline's is better."""
    is_new_first: bool
    new_length: int
    """Characters."""
    baseline_length: int


class WinRate(Record):
    """How often the new policy's answer is preferred. Intervals are clustered by prompt."""

    win_rate: Estimate
    """Ties count half; 0.5 means no difference."""
    length_controlled: Estimate
    """What it would be if both answers were equally long."""
    over_raters: Estimate | None
    """The win rate with an interval that also covers other raters; None for fewer than five raters."""
    ties: float
    """Share of verdicts that are ties."""
    first_shown: Estimate
    """How often the answer shown first is preferred; 0.5 means no position bias."""
    swap_consistency: float | None
    """Share of pairs that a rater saw in both orders without contradicting themselves; None where nobody saw both."""
    new_is_longer: float
    """Share of verdicts on pairs whose new answer is longer; near 0 or 1 length control has to extrapolate."""
    new_length: float
    """Mean characters."""
    baseline_length: float
    prompts: int
    raters: int
    verdicts: int


def blind_tasks(pairs: Iterable[Pair], *, project: str = "evaluation") -> list[Task]:
    """Two tasks per pair, one for each order of showing, with origin and meta stripped from the answers."""
    tasks = []
    for pair in pairs:
        new, baseline = (_stripped(c) for c in (pair.new, pair.baseline))
        for shown in ((new, baseline), (baseline, new)):
            name = "ab-" + short(hash_json([pair.prompt.id, *(c.id for c in shown)]))
            tasks.append(Task(id=name, prompt=pair.prompt, completions=shown, purpose="evaluation", project=project))
    return tasks


def read_verdicts(pairs: Iterable[Pair], tasks: Iterable[Task], judgments: Iterable[Judgment]) -> list[Verdict]:
    """Turn judgments of `tasks` into verdicts. Judgments without a ranking, or of other tasks, are left out.

    An answer that was flagged unusable has no place in its ranking; it lies below those that have one.
    """
    shown = {task.id: task for task in tasks}
    known = {frozenset((pair.new.id, pair.baseline.id)): pair for pair in pairs}
    verdicts = []
    for judgment in judgments:
        task = shown.get(judgment.task_id)
        if task is None or judgment.ranking is None:
            continue
        pair = known[frozenset(c.id for c in task.completions)]
        rank, unusable = judgment.ranking.rank(), len(judgment.ranking.tiers)
        new, baseline = rank.get(pair.new.id, unusable), rank.get(pair.baseline.id, unusable)
        first = (judgment.order_shown or tuple(c.id for c in task.completions))[0]
        verdicts.append(
            Verdict(
                prompt_id=pair.prompt.id,
                rater_id=judgment.rater_id,
                pair_id=f"{pair.new.id}/{pair.baseline.id}",
                score=hit(baseline - new),
                is_new_first=first == pair.new.id,
                new_length=len(pair.new.text),
                baseline_length=len(pair.baseline.text),
            )
        )
    return verdicts


def win_rate(
    verdicts: Sequence[Verdict], *, rng: np.random.Generator, draws: int = 1000, confidence: float = 0.95
) -> WinRate:
    """Everything there is to say about a blind comparison. Raises ValueError for fewer than two prompts."""
    if len({v.prompt_id for v in verdicts}) < 2:
        raise ValueError(f"a win rate wants verdicts on at least two prompts, got {len(verdicts)} verdicts")
    scores = np.array([v.score for v in verdicts])
    is_first = np.array([v.is_new_first for v in verdicts])
    lengths = np.array([[v.new_length, v.baseline_length] for v in verdicts], float)
    prompts, raters = [v.prompt_id for v in verdicts], [v.rater_id for v in verdicts]
    num_raters = len(set(raters))
    over_raters = None
    if num_raters >= MIN_RATERS_FOR_TWO_WAYS:
        over_raters = bootstrap_mean(scores, prompts, raters, rng=rng, draws=draws, confidence=confidence)
    return WinRate(
        win_rate=clustered_share(scores, prompts, confidence=confidence),
        length_controlled=length_controlled(
            scores, lengths[:, 0] - lengths[:, 1], prompts, rng=rng, draws=draws, confidence=confidence
        ),
        over_raters=over_raters,
        ties=float((scores == 0.5).mean()),
        first_shown=clustered_share(np.where(is_first, scores, 1 - scores), prompts, confidence=confidence),
        swap_consistency=_swap_consistency(verdicts),
        new_is_longer=float((lengths[:, 0] > lengths[:, 1]).mean()),
        new_length=float(lengths[:, 0].mean()),
        baseline_length=float(lengths[:, 1].mean()),
        prompts=len(set(prompts)),
        raters=num_raters,
        verdicts=len(verdicts),
    )


def length_controlled(
    scores: Floats,
    length_difference: Floats,
    prompts: Sequence[str],
    *,
    rng: np.random.Generator,
    draws: int = 1000,
    confidence: float = 0.95,
) -> Estimate:
    """Win rate at equal length: σ(θ) of the regression  logit P(new wins) = θ + φ·tanh(Δlength / sd(Δlength)).

    After Dubois et al. 2024 (length-controlled AlpacaEval, arXiv 2404.04475, eq. 3) without their instruction
    difficulty term, which needs many models. Scores are 1, 0.5 (tie) or 0; Δlength is new minus baseline [n].
    The interval refits the regression on resampled prompts: the spread of fitted probabilities, often given instead,
    ignores that θ itself is estimated.
    """
    spread = float(np.std(length_difference))
    x = np.tanh(length_difference / spread) if spread > 0 else np.zeros(len(scores))
    design = np.column_stack([np.ones(len(scores)), x])

    start = _logistic(design, scores, np.ones(len(scores)), np.zeros(2))

    def at_equal_length(weights: Floats) -> float:
        return float(expit(_logistic(design, scores, weights, start)[0]))

    return bootstrap(at_equal_length, list(prompts), rng=rng, draws=draws, confidence=confidence)


def _logistic(design: Floats, scores: Floats, weights: Floats, start: Floats) -> Floats:
    """Weighted logistic regression by Newton's method; scores may lie between 0 and 1."""

    def loss(beta: Floats) -> float:
        margin = design @ beta
        return float(weights @ (np.logaddexp(0, margin) - scores * margin) + _RIDGE / 2 * (beta @ beta))

    beta = start
    for _ in range(50):
        p = expit(design @ beta)
        gradient = design.T @ (weights * (p - scores)) + _RIDGE * beta
        curvature = (design.T * (weights * p * (1 - p))) @ design + _RIDGE * np.eye(len(beta))
        step = np.linalg.solve(curvature, gradient)
        # A long step may overshoot and is halved until the loss falls; a short one is where Newton converges.
        while np.abs(step).max() > 0.5 and loss(beta - step) > loss(beta):
            step = step / 2
        beta = beta - step
        if np.abs(step).max() < 1e-6:
            break
    return beta


def _swap_consistency(verdicts: Sequence[Verdict]) -> float | None:
    orders: dict[tuple[str, str], dict[bool, float]] = defaultdict(dict)
    for verdict in verdicts:
        orders[verdict.pair_id, verdict.rater_id][verdict.is_new_first] = verdict.score
    both = [seen for seen in orders.values() if len(seen) == 2]
    if not both:
        return None
    return math.fsum(abs(seen[True] - seen[False]) < 1 for seen in both) / len(both)


def _stripped(completion: Completion) -> Completion:
    return Completion(prompt_id=completion.prompt_id, text=completion.text, id=completion.id)
