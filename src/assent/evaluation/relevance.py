"""Does a reward model read the question? The best answer to a prompt, beside the best answer to another prompt.

Pairs of answers to one prompt cannot tell: a model that only knows good answers from bad ones may reach the raters' own
ceiling on them, and then lets PPO give one good answer to every question. This probe catches it before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assent.core.hashing import hash_json
from assent.core.lazy import Mapped
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


def borrowed_answers(comparisons: Sequence[Comparison]) -> Sequence[Borrowed]:
    """One for each prompt, its neighbour's best answer being the other; best answers that read alike are left out.

    Neighbours are taken in the order of prompt ids, which are hashes: so at random, and the same each time.
    """
    best: dict[str, tuple[int, int, str]] = {}
    for place, comparison in enumerate(comparisons):
        answer = _best(comparison)
        best[comparison.prompt.id] = place, answer, hash_json(comparison.completions[answer].text)
    ordered = [best[i] for i in sorted(best)]
    neighbours = zip(ordered, ordered[1:] + ordered[:1], strict=True)
    pairs = [(own[:2], other[:2]) for own, other in neighbours if own[2] != other[2]]

    def borrowed(pair: tuple[tuple[int, int], tuple[int, int]]) -> Borrowed:
        (own, its_best), (other, others_best) = pair
        asked = comparisons[own]
        return Borrowed(asked.prompt, asked.completions[its_best], comparisons[other].completions[others_best])

    return Mapped(borrowed, pairs)


def relevance(probes: Sequence[Borrowed], own: Sequence[float], other: Sequence[float]) -> Estimate | None:
    """Share of prompts whose own answer scores higher, a tie being half; None with fewer than two prompts."""
    hits = [hit(a - b) for a, b in zip(own, other, strict=True)]
    return clustered_share(hits, [p.prompt.id for p in probes]) if len(hits) > 1 else None


def _best(comparison: Comparison) -> int:
    """Which answer has the best mean place; to be left out as unusable counts as a place below the last."""
    places = dict.fromkeys((c.id for c in comparison.completions), 0.0)
    for judgment in comparison.judgments:
        if judgment.ranking is not None:
            rank = judgment.ranking.rank()
            for name in places:
                places[name] += rank.get(name, len(judgment.ranking.tiers))
    return min(range(len(comparison.completions)), key=lambda i: places[comparison.completions[i].id])
