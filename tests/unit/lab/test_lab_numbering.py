"""The shuffle: a permutation, inverted exactly, named by its seed."""

from __future__ import annotations

import pytest

from assent.lab.numbering import Shuffle


@pytest.mark.parametrize("size", [1, 2, 3, 5, 24, 256, 257, 4801])
def test_a_shuffle_is_a_permutation_and_inverts(size: int) -> None:
    shuffle = Shuffle.of(size, 0, "x")
    values = [shuffle[i] for i in range(size)]
    assert sorted(values) == list(range(size))
    assert [shuffle.index(v) for v in values] == list(range(size))


def test_seed_and_name_choose_the_shuffle() -> None:
    orders = {tuple(Shuffle.of(50, seed, name)[i] for i in range(50)) for seed in (0, 1) for name in ("a", "b")}
    assert len(orders) == 4


def test_what_lies_outside_is_refused() -> None:
    with pytest.raises(IndexError, match="outside"):
        Shuffle.of(5, 0)[5]
    with pytest.raises(ValueError, match="outside"):
        Shuffle.of(5, 0).index(-1)
