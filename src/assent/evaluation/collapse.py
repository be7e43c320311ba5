"""Collapse: alarms where a policy's answers have become surely more alike than those of the first policy of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from assent.evaluation.suite import Measure

LENGTHS = (0.8, 1.25)
"""Mean words beside those of the first policy."""
FALLS = {"ead": 0.15, "pooled_ead": 0.15, "distinct_2": 0.15, "opener_entropy": 0.25, "pooled_opener_entropy": 0.25}
"""A fall by more than this share of the first policy's number is alarming."""
RISES = {"self_bleu": 0.10, "top_opener": 0.10, "largest_cluster": 0.10, "pooled_top_opener": 0.10}
"""A rise by more than this is alarming; these lie between 0 and 1."""
SAMPLER_GAP = 0.05
"""Nats per token by which sampler and learner may differ on average; beyond it, answers learned from are another's."""


def collapse_alarms(measures: Mapping[str, Measure]) -> tuple[str, ...]:
    """Each in a sentence; `measures` are those of suite `diversity`, with the first policy of the run before.

    Only what is sure: the whole interval of the paired difference lies beyond nothing, and the estimate beyond the
    threshold.
    """
    return tuple(_alarms(measures))


def _alarms(measures: Mapping[str, Measure]) -> Iterator[str]:
    for name, one in measures.items():
        before, after, moved = one.before, one.after, one.difference
        if before is None or after is None or moved is None:
            continue
        words = name.replace("_", " ").replace("ead", "EAD")
        change = f"{words} {before.estimate:.2f} → {after.estimate:.2f} [{moved.low:+.2f}, {moved.high:+.2f}]"
        if (name in FALLS and moved.high < 0 and -moved.estimate > FALLS[name] * abs(before.estimate)) or (
            name in RISES and moved.low > 0 and moved.estimate > RISES[name]
        ):
            yield f"Answers have become more alike than the first policy's: {change}."
        elif name == "words" and before.estimate > 0 and (moved.low > 0 or moved.high < 0):
            ratio = after.estimate / before.estimate
            if not LENGTHS[0] <= ratio <= LENGTHS[1]:
                yield f"Answers are {ratio:.2f} times as long as the first policy's: {change}."


def sampler_alarm(gap: float | None) -> str | None:
    """What to say where sampler and learner give the same tokens other probabilities; None where they agree."""
    if gap is None or gap <= SAMPLER_GAP:
        return None
    return (
        f"Sampler and learner differ by {gap:.3f} nats per token, so the policy learned from answers that are not quite"
        " its own; look at precision and temperature."
    )
