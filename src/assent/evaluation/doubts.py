"""Why a comparison of two policies may not mean what it seems to: what a verdict has to say before it says "better"."""

from __future__ import annotations

from collections.abc import Iterator

from assent.evaluation.report import EvaluationReport
from assent.stats.estimate import Estimate

STILL = 0.05
"""A policy whose KL to its start lies surely below so many nats per response gives nearly the same answers."""


def doubts(
    report: EvaluationReport, *, accuracy: Estimate | None = None, longer_wins: Estimate | None = None
) -> tuple[str, ...]:
    """Each reason in a sentence, worst first; none for a comparison that can be taken as it is.

    `accuracy` and `longer_wins` are those of the reward model, on pairs that it never saw.
    """
    return (*_still(report), *_own_judge(report), *_unknown_judge(report), *_blind_reward(accuracy, longer_wins))


def _still(report: EvaluationReport) -> Iterator[str]:
    moved, kl = report.weights_moved, report.kl_per_response
    if report.best_of is not None:
        return
    if moved == 0:
        yield "The policy has not moved: its weights are those of its start."
    elif kl is not None and kl.high < STILL and kl.low > -STILL:
        weights = "" if moved is None else f", weights changed by {moved:.1e} of their size"
        yield (
            f"The policy has hardly moved: KL {kl.estimate:.3f} nats per response{weights}. Train longer or with a"
            " higher learning rate."
        )


def _own_judge(report: EvaluationReport) -> Iterator[str]:
    if report.win_rate is not None and report.judge is not None and not report.judge.is_independent:
        yield "The judge is the reward that the policy was optimized for; no independent judge has looked."


def _unknown_judge(report: EvaluationReport) -> Iterator[str]:
    judge = report.judge
    if report.win_rate is None or judge is None or not judge.is_independent:
        return
    if judge.kind not in ("autorater", "reward_model", "function"):
        return
    if report.known_judge is None:
        yield "The judge was never held against people; do so with `assent judge` and name its record."
    elif report.known_judge.failures:
        yield f"The judge stays below its bar: {report.known_judge.failures[0]}."


def _blind_reward(accuracy: Estimate | None, longer_wins: Estimate | None) -> Iterator[str]:
    if accuracy is None:
        return
    right = f"The reward model is right on {accuracy.estimate:.0%} [{accuracy.low:.0%}, {accuracy.high:.0%}] of pairs"
    if accuracy.estimate <= 0.5:
        yield f"{right} that it never saw, no better than chance."
    elif accuracy.low <= 0.5:
        yield f"{right} that it never saw, not surely better than chance."
    if longer_wins is not None and accuracy.estimate < longer_wins.estimate:
        yield f'{right}; "the longer answer is better" is right on {longer_wins.estimate:.0%}.'
