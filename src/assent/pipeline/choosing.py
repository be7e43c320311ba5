"""Which prompts raters get: those of whose answers reward models are least sure, or about which they disagree."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from assent.artifacts.store import Artifact
from assent.core import seeds
from assent.core.types import Completion, Prompt
from assent.feedback.quality.opinions import entropy
from assent.feedback.queue.priorities import information, sigmoid
from assent.pipeline.backends import Backends

RANDOM_SHARE = 0.2
"""Of the prompts that raters get, drawn at random: what a reward model is sure of may be wrong."""


def disagreement(scores: Sequence[Sequence[float]]) -> float:
    """What labels of one prompt's answers would teach; `scores[m][k]` is what model m says of answer k, in logits.

    Of several models, what knowing the right one would tell about the order of a pair, in bits, on average over pairs:
    the entropy of their mean chance less the mean of their entropies (Houlsby et al. 2011, arXiv 1112.5745, eq. 2).
    0 where they agree, also where all are unsure: that is taste or noise, and no label changes it. Of a single model,
    `information`: 1 where all answers are tied.
    """
    if len(scores) == 1:
        return information(scores[0])
    pairs = list(combinations(range(len(scores[0])), 2))
    told = 0.0
    for one, other in pairs:
        chances = [sigmoid(own[one] - own[other]) for own in scores]
        told += entropy(sum(chances) / len(chances)) - sum(map(entropy, chances)) / len(chances)
    return told / len(pairs)


def chosen(worth: Sequence[float], count: int, *, seed: int) -> list[int]:
    """`count` places: most by worth, RANDOM_SHARE of them at random from the rest; in order."""
    drawn = min(round(RANDOM_SHARE * count), len(worth) - count) if len(worth) > count else 0
    order = sorted(range(len(worth)), key=lambda i: (-worth[i], i))
    best, rest = order[: count - drawn], order[count - drawn :]
    others = seeds.stream(seed, "at random").permutation(len(rest))[:drawn]
    return sorted([*best, *(rest[int(i)] for i in others)])


def worth_of(
    backends: Backends, advisors: Sequence[Artifact], prompts: Sequence[Prompt], answers: Sequence[Sequence[Completion]]
) -> list[float]:
    """What labels of each prompt's answers would teach, by reward models of earlier rounds; 0 for a single answer."""
    texts = [list(dict.fromkeys(one.text for one in own)) for own in answers]
    flat = [text for own in texts for text in own]
    asked = [prompt for prompt, own in zip(prompts, texts, strict=True) for _ in own]
    said = [iter(backends.scorer(one.file("reward"), normalize=False)(asked, flat)) for one in advisors]
    scores = [[[next(member) for _ in own] for member in said] for own in texts]
    return [disagreement(own) if len(own[0]) > 1 else 0.0 for own in scores]
