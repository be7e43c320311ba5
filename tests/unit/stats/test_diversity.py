"""How unlike texts are: numbers worked out by hand, and facts that hold for any texts."""

from __future__ import annotations

import math

import pytest

from assent.stats.diversity import (
    compression,
    distinct,
    expected_distinct,
    largest_cluster,
    mean_words,
    opener_entropy,
    self_bleu,
    top_opener,
    words_of,
)

CAT, DOG = ["the", "cat", "sat"], ["the", "dog", "sat"]


def test_words_are_cut_and_in_lower_case() -> None:
    assert words_of("The CAT sat down", most=3) == CAT


def test_distinct_counts_ngrams_that_differ() -> None:
    assert distinct([CAT, DOG], 1) == 4 / 6 and distinct([CAT, DOG], 2) == 1 and distinct([["a"]], 2) is None


def test_expected_distinct_is_that_of_words_drawn_at_random() -> None:
    # Two words, both different, of a vocabulary of four: at random 4 · (1 - (3/4)²) = 1.75 would differ.
    assert expected_distinct([["a", "b"]], vocabulary=4) == pytest.approx(2 / 1.75)
    assert expected_distinct([[]]) is None


def test_expected_distinct_does_not_fall_with_length_where_words_are_drawn_at_random() -> None:
    short, long = ([str(i * i * 7919 % 500) for i in range(n)] for n in (100, 1000))
    plain = [distinct([words], 1) for words in (short, long)]
    assert plain[0] is not None and plain[1] is not None and plain[1] < 0.5 * plain[0]
    assert expected_distinct([long], vocabulary=500) == pytest.approx(0.34, abs=0.1)


def test_self_bleu_is_one_for_copies_and_falls_where_texts_differ() -> None:
    words = ["a", "quite", "ordinary", "sentence", "of", "some", "length"]
    assert self_bleu([words, words]) == pytest.approx(1)
    assert self_bleu([words, ["nothing", "else", "here", "is", "the", "same"]]) == 0
    assert self_bleu([words]) is None
    # cat against dog: 2 of 3 words, (0 + 1) of (2 + 1) pairs, (0 + 1) of (1 + 1) triples, (0 + 1) of (0 + 1) fours.
    assert self_bleu([CAT, DOG]) == pytest.approx((2 / 3 * 1 / 3 * 1 / 2) ** 0.25)


def test_a_text_shorter_than_all_others_loses_by_brevity() -> None:
    short, long = ["a", "b", "c", "d"], ["a", "b", "c", "d", "e", "f"]
    both = self_bleu([short, long])
    assert both is not None
    precise = (4 / 6 * 4 / 6 * 3 / 5 * 2 / 4) ** 0.25
    assert both == pytest.approx((math.exp(1 - 6 / 4) + precise) / 2)


def test_openers() -> None:
    texts = [[*"abcde", "x"], [*"abcde", "y"], list("abcdf"), list("q")]
    assert top_opener(texts) == 0.5
    assert opener_entropy(texts) == pytest.approx(0.5 * math.log(2) + 2 * 0.25 * math.log(4))
    assert opener_entropy([list("abcde")] * 3) == 0


def test_the_largest_cluster_holds_texts_that_share_half_of_their_bigrams_in_chains() -> None:
    one, near, far = ["a", "b", "c", "d", "e"], ["a", "b", "c", "d", "f"], ["k", "l", "m", "n", "o"]
    # ab bc cd shared, of ab bc cd de df: 3 of 5.
    assert largest_cluster([one, near, far, far]) == 0.5
    assert largest_cluster([one, near, ["b", "c", "d", "f", "g"], far]) == 0.75
    assert largest_cluster([one, near, far], alike=0.7) == pytest.approx(1 / 3)
    assert largest_cluster([]) is None


def test_what_is_said_again_compresses_better() -> None:
    again, other = [CAT] * 30, [[f"w{i}", f"v{i * 7}"] for i in range(45)]
    first, second = compression(again), compression(other)
    assert first is not None and second is not None and first > 3 * second
    assert compression([[]]) is None


def test_mean_words_is_of_whole_texts() -> None:
    assert mean_words(["a b c", ""]) == 1.5 and mean_words([]) is None
