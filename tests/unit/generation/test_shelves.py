"""Prompts of like length on shelves of their own: the same answers, without memory and work of the longest for all."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_policies import VOCABULARY, make_policy

from assent.generation import shelves
from assent.generation.cache import KeyValueCache
from assent.generation.config import Sampling
from assent.generation.local import LocalEngine
from assent.generation.shelves import edges_of

ENDS = tuple(range(5, 320, 20))


def test_edges_part_long_prompts_from_many_short_ones_and_leave_few_together() -> None:
    assert edges_of([]) == []
    assert edges_of([100, 90, 70, 60]) == [100]  # 40 tokens of padding are not worth a shelf
    assert edges_of([1000, 900, *[100] * 3, *[20] * 10]) == [100, 1000]  # the twenties' own shelf would save 800 tokens
    assert edges_of([1000, 900, *[100] * 3, *[20] * 20]) == [20, 100, 1000]
    assert edges_of([100] * 3 + [10] * 200) == [10, 100]
    assert edges_of([100] * 500) == [100]


@pytest.mark.parametrize("family", ["llama", "gemma2", "mistral"])
def test_shelves_change_no_answer(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of six shelves join, end and are renumbered; soft-capped and within windows as well."""
    policy = make_policy(family, mode="groups", eos_ids=ENDS)
    random = np.random.default_rng(0)
    lengths = [30, 3, 14, 1, 9, 22, 2, 6, 17, 4, 28, 12]
    prompts = [random.integers(5, VOCABULARY, n) for n in lengths]
    sampling = Sampling(temperature=0.8, max_new_tokens=16)
    found = []
    for tokens in (10**9, 0):
        monkeypatch.setattr(shelves, "SHELF_TOKENS", tokens)
        assert len(edges_of(lengths)) == (1 if tokens else 6)
        engine = LocalEngine(policy, max_live_rows=9)
        found.append(engine.generate(prompts, num_samples=3, sampling=sampling, seed=5))
    assert len({len(a.tokens) for row in found[0] for a in row}) > 5, "all equally long: the test would prove little"
    for one, other in zip(*found, strict=True):
        for a, b in zip(one, other, strict=True):
            assert np.array_equal(a.tokens, b.tokens)
            assert np.abs(a.logps - b.logps).max() <= 1e-5


def test_a_long_prompt_takes_no_memory_for_the_short_ones() -> None:
    lengths = [400, *[10] * 30]
    made = {length: {0: (torch.ones(2, length, 4), torch.ones(2, length, 4))} for length in set(lengths)}

    def held(edges: list[int]) -> int:
        cache = KeyValueCache(31, edges)
        cache.expect(lengths)
        for length in lengths:
            cache.fork(made[length], 1)
        return sum(one.numel() for shelf in cache._shelves for pair in shelf.kept.values() for one in pair)

    together, apart = held([400]), held(edges_of(lengths))
    assert together == 2 * 31 * 2 * 400 * 4
    assert apart == 2 * 2 * 4 * sum(lengths)


def test_a_shelf_that_is_empty_holds_nothing() -> None:
    cache = KeyValueCache(3, [10, 400])
    for length in (400, 10, 10):
        cache.fork({0: (torch.ones(2, length, 4), torch.ones(2, length, 4))}, 1)
    cache.keep(np.array([2, 1]))
    short, long = cache._shelves
    assert not long.kept and len(long.lengths) == 0
    assert len(short.lengths) == 2 and sorted(cache._place.tolist()) == [0, 1]
