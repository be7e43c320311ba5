"""The parity gate of `bench`: a time counts only where both sides did the same work and came to the same.

What differs by design is not hidden in a tolerance but named in docs/performance.md.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

FIRST = 1e-3
"""Largest relative difference of the first losses in float32, where both sides mean the same by the loss."""
FIRST_BF16, FIRST_UPDATES = 2e-2, 3
WORSE = 0.02
"""By how much of it a held-out loss may be higher than the other side's."""
SHORTER, ERRORS = 0.1, 3.0
"""By how much of their length our answers may be shorter, and how many standard errors means of samples may differ."""
ALIKE = 0.9
"""Share of greedy answers that must be the same tokens."""
Run = Mapping[str, Any]


def problems(cell: Mapping[str, Any], ours: Run, theirs: Run, variant: Mapping[str, Any]) -> list[str]:
    """Why a pair of runs does not count, in words; empty where it does."""
    if cell["stage"] == "sample":
        return _sampled(ours["sampled"], theirs["sampled"])
    found = []
    if ours["updates"] != theirs["updates"]:
        found.append(f"{ours['updates']} updates against {theirs['updates']}")
    if cell["stage"] in ("grpo", "rloo", "ppo"):
        return found + _online(cell, ours, theirs)
    if not variant.get("packing"):
        found += _first_losses(cell, ours, theirs, is_bf16=bool(variant.get("bf16")) or is_narrow(cell))
    mine, other = ours["held_out"]["loss"], theirs["held_out"]["loss"]
    if not mine <= other * (1 + WORSE):
        found.append(f"held-out loss {mine:.4f} against {other:.4f}")
    return found


def is_narrow(cell: Mapping[str, Any]) -> bool:
    """Whether our side computes products in bfloat16."""
    return "bfloat16" in cell["ours"].get("model", {}).values()


def _first_losses(cell: Mapping[str, Any], ours: Run, theirs: Run, *, is_bf16: bool) -> list[str]:
    """Adapters are drawn by each side for itself and are nothing before the first update: then only it is compared."""
    count = 1 if cell["lora"] else FIRST_UPDATES
    limit = FIRST_BF16 if is_bf16 else FIRST
    pairs = list(zip(ours["losses"][:count], theirs["losses"][:count], strict=False))
    if not pairs:
        return ["no losses were logged"]
    off = max(abs(a - b) / max(1.0, abs(b)) for a, b in pairs)
    return [] if off <= limit else [f"first losses differ by {off:.2g}, more than {limit:g}"]


def _online(cell: Mapping[str, Any], ours: Run, theirs: Run) -> list[str]:
    """Rollouts of the first batch are draws from the same policy; the trained policy is as good on held-out prompts."""
    found = []
    mine, other = ours["rollouts"], theirs["rollouts"]
    spread = mine["reward_std"][0] * math.sqrt(2 / cell["batch"])
    apart = abs(mine["reward"][0] - other["reward"][0])
    if apart > ERRORS * spread + 1e-6:
        found.append(
            f"the first rewards {mine['reward'][0]:.3f} and {other['reward'][0]:.3f} are no draws of one policy"
        )
    if other.get("length"):
        found += _lengths(cell, mine["length"], other["length"])
    held, than = ours["held_out"], theirs["held_out"]
    error = math.hypot(held["error"], than["error"])
    if held["reward"] < than["reward"] - 2 * error:
        found.append(f"held-out reward {held['reward']:.3f} against {than['reward']:.3f}")
    return found


def _lengths(cell: Mapping[str, Any], mine: Sequence[float], other: Sequence[float]) -> list[str]:
    """First batches are draws from one policy. Later ones are not, and then ours may only be the longer work.

    Lengths between 0 and M of mean m have a variance of m (M - m) at most (Bhatia and Davis 2000).
    """
    mean = (mine[0] + other[0]) / 2
    spread = math.sqrt(max(mean * (cell["new_tokens"] - mean), 0.0) * 2 / cell["batch"])
    if abs(mine[0] - other[0]) > ERRORS * spread + 1e-6:
        return [f"the first answers, of {mine[0]:.1f} and {other[0]:.1f} tokens, are no draws of one policy"]
    ours, theirs = statistics.fmean(mine), statistics.fmean(other)
    return [f"answers of {ours:.1f} tokens against {theirs:.1f}"] if ours < (1 - SHORTER) * theirs else []


def _sampled(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    found = []
    # What follows the end of an answer is padding on the other side.
    pairs = [(a, b[: len(a)]) for a, b in zip(ours["greedy"], theirs["greedy"], strict=True)]
    same = statistics.fmean(a == b for a, b in pairs)
    if same < ALIKE:
        found.append(f"only {same:.0%} of greedy answers are the same tokens")
    lengths = ours["lengths"], theirs["lengths"]
    error = math.hypot(*(_error(one) for one in lengths))
    if abs(statistics.fmean(lengths[0]) - statistics.fmean(lengths[1])) > ERRORS * error + 1e-9:
        found.append(f"answers of {statistics.fmean(lengths[0]):.1f} tokens against {statistics.fmean(lengths[1]):.1f}")
    if abs(ours["logps"] - theirs["logps"]) > 0.3:
        found.append(f"mean log-probability {ours['logps']:.3f} against {theirs['logps']:.3f}")
    return found


def _error(values: Sequence[float]) -> float:
    return statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0
