"""How unlike texts are: distinct n-grams, self-BLEU, how texts open, clusters, compression.

Texts are lists of words, cut to a common length first: nearly all of these numbers favour short texts (see
arXiv 2505.16245). A number of N texts is compared only with that of as many others.
"""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Sequence

Words = Sequence[str]
OPENER = 5
"""Words that open a text."""
VOCABULARY = 10_000
"""Words that a text could draw from, for `expected_distinct`; the same for everything that is compared."""
ALIKE = 0.5
"""Two texts are of one cluster where they share so much of their bigrams."""
_BLEU = 4


def words_of(text: str, *, most: int) -> list[str]:
    """The first `most` words, in lower case."""
    return text.lower().split()[:most]


def ngrams(words: Words, n: int) -> list[tuple[str, ...]]:
    """All runs of n words."""
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


def distinct(texts: Sequence[Words], n: int) -> float | None:
    """Share of n-grams that differ (Li et al. 2016, distinct-n); None where there is no n-gram."""
    found = [gram for words in texts for gram in ngrams(words, n)]
    return len(set(found)) / len(found) if found else None


def expected_distinct(texts: Sequence[Words], *, vocabulary: int = VOCABULARY) -> float | None:
    """Different words beside those that drawing at random would give: U / (V · (1 - ((V - 1) / V)^C)).

    U different of C words, V = `vocabulary` (Liu et al. 2022, EAD): unlike distinct-n it does not fall with length.
    """
    found = [word for words in texts for word in words]
    if not found:
        return None
    return len(set(found)) / (vocabulary * (1 - ((vocabulary - 1) / vocabulary) ** len(found)))


def self_bleu(texts: Sequence[Words]) -> float | None:
    """Mean BLEU-4 of each text against all others (Zhu et al. 2018, Texygen); None for fewer than two texts.

    BLEU after Papineni et al. (2002), counts above one word smoothed by one (Lin & Och 2004).
    """
    if len(texts) < 2:
        return None
    counted = [[Counter(ngrams(words, n)) for n in range(1, _BLEU + 1)] for words in texts]
    return sum(_bleu(i, texts, counted) for i in range(len(texts))) / len(texts)


def opener_entropy(texts: Sequence[Words]) -> float | None:
    """Entropy in nats of the first five words; log N at most, 0 where all texts begin alike."""
    found = Counter(tuple(words[:OPENER]) for words in texts)
    total = len(texts)
    return -sum(n / total * math.log(n / total) for n in found.values()) if total else None


def top_opener(texts: Sequence[Words]) -> float | None:
    """Share of texts that begin with the most common five words."""
    found = Counter(tuple(words[:OPENER]) for words in texts)
    return max(found.values()) / len(texts) if texts else None


def largest_cluster(texts: Sequence[Words], *, alike: float = ALIKE) -> float | None:
    """Share of texts in the largest cluster: texts that share `alike` of their bigrams (Jaccard), in chains."""
    if not texts:
        return None
    grams = [frozenset(ngrams(words, 2)) or frozenset([tuple(words)]) for words in texts]
    kinds = Counter(grams)
    known = list(kinds)
    head = list(range(len(known)))

    def root(i: int) -> int:
        while head[i] != i:
            head[i] = head[head[i]]
            i = head[i]
        return i

    for i, one in enumerate(known):
        for j in range(i):
            shared = len(one & known[j])
            if shared and shared >= alike * (len(one) + len(known[j]) - shared):
                head[root(i)] = root(j)
    sizes: Counter[int] = Counter()
    for i, one in enumerate(known):
        sizes[root(i)] += kinds[one]
    return max(sizes.values()) / len(texts)


def compression(texts: Sequence[Words]) -> float | None:
    """Bytes over compressed bytes of all texts together (zlib): the more is said again, the higher."""
    whole = "\n".join(" ".join(words) for words in texts).encode()
    return len(whole) / len(zlib.compress(whole, 9)) if whole.strip() else None


def mean_words(texts: Sequence[str]) -> float | None:
    """Mean number of words of whole texts."""
    return sum(len(text.split()) for text in texts) / len(texts) if texts else None


def _bleu(place: int, texts: Sequence[Words], counted: Sequence[Sequence[Counter[tuple[str, ...]]]]) -> float:
    size = len(texts[place])
    if not size:
        return 0.0
    total = 0.0
    for n in range(_BLEU):
        own = counted[place][n]
        most: Counter[tuple[str, ...]] = Counter()
        for other in range(len(texts)):
            if other != place:
                for gram in own.keys() & counted[other][n].keys():
                    most[gram] = max(most[gram], counted[other][n][gram])
        hits, tried = sum(min(count, most[gram]) for gram, count in own.items()), sum(own.values())
        if n:
            hits, tried = hits + 1, tried + 1
        if not hits:
            return 0.0
        total += math.log(hits / tried) / _BLEU
    # The closest length of another text; of two as close, the shorter one.
    closest = min((len(words) for i, words in enumerate(texts) if i != place), key=lambda n: (abs(n - size), n))
    return math.exp(total + min(0.0, 1 - closest / size))
