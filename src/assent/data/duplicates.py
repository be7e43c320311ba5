"""Near-duplicate texts: exact search for all pairs whose word shingles have a Jaccard similarity above a threshold.

Texts that are equal after normalization are collapsed first, so a thousand copies are one group and not half a million
pairs. Between the rest, prefix filtering (Bayardo et al. 2007, "Scaling up all pairs similarity search") finds
candidates: two sets of similarity ≥ t must share one of their rarest |x| - ⌈t |x|⌉ + 1 shingles.

What many texts share says nothing about two of them: without the instruction or template that stands in front of every
question (`distinguishing`) they have to be similar too, and texts with different numbers ask different questions.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_WORD = re.compile(r"\w+")
_SHINGLE_WORDS = 3
THRESHOLD = 0.7
"""Similarity from which two texts count as near-duplicates: one changed word in about fifteen."""
TEMPLATE_TEXTS = 10
"""A shingle that stands in so many different texts belongs to a template, or in TEMPLATE_SHARE of few texts."""
TEMPLATE_SHARE = 0.2
FEWEST_TEXTS = 4
"""Fewer texts than this that share their words are copies of one another and no template."""
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True)
class NearPair:
    """Two texts of the searched sequence, first < second, and how similar they are (1.0: equal after normalization)."""

    first: int
    second: int
    similarity: float


def normalized(text: str) -> str:
    """Lower case, words only, one space between: what has to be equal for two texts to say the same."""
    return " ".join(_WORD.findall(unicodedata.normalize("NFKC", text).casefold()))


def exact_groups(texts: Sequence[str]) -> list[list[int]]:
    """Indices of texts that are equal after normalization, by first appearance; lone texts are groups of one."""
    groups: dict[str, list[int]] = defaultdict(list)
    for index, text in enumerate(texts):
        # A text without any word ("???") is compared as it stands.
        groups[normalized(text) or text].append(index)
    return list(groups.values())


def near_pairs(texts: Sequence[str], *, threshold: float = THRESHOLD) -> list[NearPair]:
    """All pairs of distinct texts with similarity in [threshold, 1), most similar first.

    Similar as a whole, and in what is left of them without templates; the similarity is the smaller of the two.

    Equal texts are represented by the first of them; ask `exact_groups` for the copies. 0 < threshold ≤ 1.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold should lie in (0, 1], got {threshold}")
    first = [group[0] for group in exact_groups(texts)]
    whole = [shingles(texts[index]) for index in first]
    numbers = [Counter(_NUMBER.findall(texts[index])) for index in first]
    pairs = []
    for i, j, apart in _joined(distinguishing(whole), threshold):
        # Alike in what distinguishes them, and as a whole too: "children and bread" is not "we and bread".
        similarity = min(apart, jaccard(whole[i], whole[j]))
        if similarity >= threshold and numbers[i] == numbers[j]:
            pairs.append(NearPair(first[i], first[j], similarity))
    return sorted(pairs, key=lambda pair: (-pair.similarity, pair.first, pair.second))


def distinguishing(sets: Sequence[frozenset[tuple[str, ...]]]) -> list[frozenset[tuple[str, ...]]]:
    """The sets without the shingles of templates; a text of nothing else keeps all of its own."""
    counts = Counter(shingle for members in sets for shingle in members)
    many = max(FEWEST_TEXTS, min(TEMPLATE_TEXTS, math.ceil(TEMPLATE_SHARE * len(sets))))
    template = {shingle for shingle, count in counts.items() if count >= many}
    return [members - template or members for members in sets]


def jaccard(one: frozenset[tuple[str, ...]], other: frozenset[tuple[str, ...]]) -> float:
    """Share of all shingles that both have."""
    return len(one & other) / max(len(one | other), 1)


def shingles(text: str) -> frozenset[tuple[str, ...]]:
    """Runs of three words; of a shorter text the whole text."""
    words = normalized(text).split()
    if len(words) <= _SHINGLE_WORDS:
        return frozenset([tuple(words)]) if words else frozenset()
    return frozenset(tuple(words[i : i + _SHINGLE_WORDS]) for i in range(len(words) - _SHINGLE_WORDS + 1))


def _joined(sets: Sequence[frozenset[tuple[str, ...]]], threshold: float) -> Iterator[tuple[int, int, float]]:
    """(i, j, similarity) with i < j for all similar sets."""
    counts = Counter(shingle for members in sets for shingle in members)
    # Numbered from rare to frequent; a shingle nobody shares can make no candidate but keeps its place in the prefix.
    number = {shingle: n for n, (shingle, _) in enumerate(sorted(counts.items(), key=lambda item: (item[1], item[0])))}
    ordered = [sorted(number[shingle] for shingle in members) for members in sets]
    index: dict[int, list[int]] = defaultdict(list)
    for j in sorted(range(len(sets)), key=lambda k: len(sets[k])):
        # The tiny amount keeps a product such as 0.7 * 10 from rounding up past the whole number it is.
        prefix = ordered[j][: len(ordered[j]) - math.ceil(threshold * len(ordered[j]) - 1e-9) + 1]
        for i in sorted({i for shingle in prefix for i in index[shingle]}):
            if len(sets[i]) < threshold * len(sets[j]) - 1e-9:
                continue
            shared = len(sets[i] & sets[j])
            similarity = shared / (len(sets[i]) + len(sets[j]) - shared)
            if similarity >= threshold:
                yield min(i, j), max(i, j), similarity
        for shingle in prefix:
            index[shingle].append(j)
