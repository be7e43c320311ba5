"""Does a reward model read the question? The best answer to a prompt, beside the best answer to another prompt.

Pairs of answers to one prompt cannot tell: a model that only knows good answers from bad ones may reach the raters' own
ceiling on them, and then lets PPO give one good answer to every question. This probe catches it before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assent.core.types import Comparison, Completion, Prompt
from assent.feedback.quality.agreement import hit
from assent.stats.clustered import clustered_share
from assent.stats.estimate import Estimate


@dataclass(frozen=True)
class Borrowed:
    """A prompt with the answer raters liked best, and the one they liked best for another prompt."""

    prompt: Prompt
    own: Completion
    other: Completion


def borrowed_answers(comparisons: Sequence[Comparison]) -> list[Borrowed]:
    """One for each prompt, its neighbour's best answer being the other; best answers that read alike are left out.

    Neighbours are taken in the order of prompt ids, which are hashes: so at random, and the same each time.
    """
    best = {c.prompt.id: (c.prompt, _best(c)) for c in comparisons}
    ordered = [best[i] for i in sorted(best)]
    pairs = zip(ordered, ordered[1:] + ordered[:1], strict=True)
    return [Borrowed(prompt, own, other) for (prompt, own), (_, other) in pairs if own.text != other.text]


def relevance(probes: Sequence[Borrowed], own: Sequence[float], other: Sequence[float]) -> Estimate | None:
    """Share of prompts whose own answer scores higher, a tie being half; None with fewer than two prompts."""
    hits = [hit(a - b) for a, b in zip(own, other, strict=True)]
    return clustered_share(hits, [p.prompt.id for p in probes]) if len(hits) > 1 else None


def _best(comparison: Comparison) -> Completion:
    """The answer of the best mean place; to be left out as unusable counts as a place below the last."""
    places = dict.fromkeys((c.id for c in comparison.completions), 0.0)
    for judgment in comparison.judgments:
        if judgment.ranking is not None:
            rank = judgment.ranking.rank()
            for name in places:
                places[name] += rank.get(name, len(judgment.ranking.tiers))
    return min(comparison.completions, key=lambda c: places[c.id])
