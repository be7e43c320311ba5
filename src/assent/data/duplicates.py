"""Near-duplicate texts: exact search for all pairs whose word shingles have a Jaccard similarity above a threshold.

Texts that are equal after normalization are collapsed first, so a thousand copies are one group and not half a million
pairs. Between the rest, prefix filtering (Bayardo et al. 2007, "Scaling up all pairs similarity search") finds
candidates: two sets of similarity ≥ t must share one of their rarest |x| - ⌈t |x|⌉ + 1 shingles.
`data/shingling.py` holds the shingles of many texts, as eight bytes each.

What many texts share says nothing about two of them: without the instruction or template that stands in front of every
question (`distinguishing`) they have to be similar too, and texts with different numbers ask different questions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from assent.data.shingling import Bools, Ints, Shingled, Words

THRESHOLD = 0.7
"""Similarity from which two texts count as near-duplicates: one changed word in about fifteen."""
TEMPLATE_TEXTS = 10
"""A shingle that stands in so many different texts belongs to a template, or in TEMPLATE_SHARE of few texts."""
TEMPLATE_SHARE = 0.2
FEWEST_TEXTS = 4
"""Fewer texts than this that share their words are copies of one another and no template."""
PAIRS_AT_ONCE = 1 << 20
"""Candidates that are looked at together."""
BLOCK = 1 << 11
"""Texts whose shingles are ordered together."""


@dataclass(frozen=True)
class NearPair:
    """Two texts of the searched sequence, first < second, and how similar they are (1.0: equal after normalization)."""

    first: int
    second: int
    similarity: float


def near_pairs(texts: Iterable[str], *, threshold: float = THRESHOLD) -> list[NearPair]:
    """All pairs of distinct texts with similarity in [threshold, 1), most similar first.

    Similar as a whole, and in what is left of them without templates; the similarity is the smaller of the two.

    Equal texts are represented by the first of them. 0 < threshold ≤ 1.
    """
    return near_among(Shingled.of(texts), threshold=threshold)


def near_among(held: Shingled, *, threshold: float = THRESHOLD) -> list[NearPair]:
    """As `near_pairs`, of texts that have been read already."""
    every = np.ones(len(held.distinct), dtype=bool)
    return near_across(held, every, every, threshold=threshold)


def near_across(held: Shingled, these: Bools, those: Bools, *, threshold: float = THRESHOLD) -> list[NearPair]:
    """As `near_pairs`, of one of `these` and one of `those` distinct texts [n each], which may be in both.

    Which shingles belong to templates is told by all texts.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold should lie in (0, 1], got {threshold}")
    found = _Search(held, threshold)
    pairs = [
        NearPair(int(held.distinct[i]), int(held.distinct[j]), similarity)
        for candidates in found.candidates(these, those)
        for i, j in candidates.tolist()
        if (similarity := found.similarity(i, j)) >= threshold
    ]
    return sorted(set(pairs), key=lambda pair: (-pair.similarity, pair.first, pair.second))


class _Search:
    """Distinct texts among which similar ones are looked for."""

    def __init__(self, held: Shingled, threshold: float) -> None:
        self._held, self._threshold = held, threshold
        self._repeated, self._counts = held.repeated()
        texts = len(held.distinct)
        many = max(FEWEST_TEXTS, min(TEMPLATE_TEXTS, math.ceil(TEMPLATE_SHARE * texts)))
        self._template = self._repeated[self._counts >= many]

    def similarity(self, one: int, other: int) -> float:
        """Of two texts: the smaller one of that of what distinguishes them and that as a whole.

        "Children and bread" is not "we and bread".
        """
        apart = _jaccard(self._own(one), self._own(other))
        return min(apart, _jaccard(self._held.shingles(one), self._held.shingles(other)))

    def candidates(self, these: Bools, those: Bools) -> Iterator[Ints]:
        """Pairs [m, 2], first < second, of one of these and one of those, a part of them at a time.

        They ask for the same numbers and share a shingle of their prefixes; a pair may come again in another part.
        """
        shingle, text = self._prefixes(these | those)
        is_this = these[text]
        wanted, own = shingle[is_this], text[is_this]
        order = np.argsort(wanted, kind="stable")
        wanted, own = wanted[order], own[order]
        is_that = those[text]
        asking, asked = shingle[is_that], text[is_that]
        low, high = np.searchsorted(wanted, asking, "left"), np.searchsorted(wanted, asking, "right")
        done = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(high - low)])
        start = 0
        while start < len(asking):
            stop = max(start + 1, int(np.searchsorted(done, done[start] + PAIRS_AT_ONCE, "right")) - 1)
            counts = (high - low)[start:stop]
            places = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
            one, other = np.repeat(asked[start:stop], counts), own[np.repeat(low[start:stop], counts) + places]
            yield self._plausible(np.minimum(one, other), np.maximum(one, other))
            start = stop

    def _plausible(self, first: Ints, second: Ints) -> Ints:
        """The pairs, each once, of two texts with the same numbers and sizes that allow the similarity."""
        numbers, sizes = self._held.numbers, self._held.sizes
        one, other = sizes[first], sizes[second]
        fits = np.minimum(one, other) >= self._threshold * np.maximum(one, other) - 1e-9
        fits &= (first != second) & (numbers[first] == numbers[second])
        return np.unique(np.stack([first[fits], second[fits]], axis=1), axis=0)

    def _own(self, text: int) -> Words:
        """The shingles of a text without those of templates; all of a text of nothing else."""
        whole = self._held.shingles(text)
        own = whole[~_is_in(whole, self._template)]
        return own if len(own) else whole

    def _prefixes(self, wanted: Bools) -> tuple[Words, Ints]:
        """Shingles of the prefixes of the texts wanted, with the text of each; those that stand in one text left out.

        The rarest come first. A shingle that nobody shares can make no candidate but keeps its place in the prefix.
        """
        shingles, texts = [np.zeros(0, dtype=np.uint64)], [np.zeros(0, dtype=np.int64)]
        for begin in range(0, len(wanted), BLOCK):
            rows = np.arange(begin, min(begin + BLOCK, len(wanted)))
            flat, row = self._held.block(begin, begin + len(rows))
            keep = self._keeps(flat, row, len(rows)) & wanted[rows][row]
            flat, row = flat[keep], row[keep]
            count = self._count(flat)
            order = np.lexsort((flat, count, row))
            flat, row, is_shared = flat[order], row[order], count[order] > 1
            sizes = np.bincount(row, minlength=len(rows))
            within = np.arange(len(row)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
            # The tiny amount keeps a product such as 0.7 * 10 from rounding up past the whole number it is.
            first = within < (sizes - np.ceil(self._threshold * sizes - 1e-9) + 1)[row]
            shingles.append(flat[first & is_shared])
            texts.append(rows[row[first & is_shared]])
        return np.concatenate(shingles), np.concatenate(texts)

    def _count(self, flat: Words) -> Ints:
        """In how many texts each shingle stands."""
        if not len(self._repeated):
            return np.ones(len(flat), dtype=np.int64)
        place = np.minimum(np.searchsorted(self._repeated, flat), len(self._repeated) - 1)
        return np.where(self._repeated[place] == flat, self._counts[place], 1)

    def _keeps(self, flat: Words, row: Ints, rows: int) -> Bools:
        """Which shingles distinguish their text from others."""
        is_own = ~_is_in(flat, self._template)
        has_own = np.bincount(row[is_own], minlength=rows) > 0
        return is_own | ~has_own[row]


def _is_in(some: Words, known: Words) -> Bools:
    """Which of some stand in a sorted array."""
    if not len(known):
        return np.zeros(len(some), dtype=bool)
    place = np.minimum(np.searchsorted(known, some), len(known) - 1)
    found: Bools = known[place] == some
    return found


def _jaccard(one: Words, other: Words) -> float:
    """Share of all shingles that both have."""
    shared = len(np.intersect1d(one, other, assume_unique=True))
    return shared / max(len(one) + len(other) - shared, 1)
