"""Who judges what next, as plain functions."""

from __future__ import annotations

from collections import Counter

import pytest

from assent.feedback.queue.assign import Candidate, Pool, choose, draw, overlap, propensity

TASKS = [f"t{i}" for i in range(1000)]
RATERS = [f"r{i}" for i in range(5)]


def test_order_of_choice() -> None:
    late_first, early_second, urgent = Candidate(9, "a", 0, 0), Candidate(1, "b", 1, 0), Candidate(5, "c", 1, 2.0)
    assert choose([early_second, late_first, urgent], limit=5) == [urgent, late_first, early_second]
    assert choose([early_second, late_first, urgent], limit=1) == [urgent]


def test_one_slot_per_task() -> None:
    assert choose([Candidate(1, "a", 0, 0), Candidate(2, "a", 1, 0)], limit=5) == [Candidate(1, "a", 0, 0)]


def test_overlap_keeps_its_share_and_ignores_order() -> None:
    slots = overlap(TASKS, share=0.2, depth=3, seed=1)
    assert Counter(slots.values()) == {1: 800, 3: 200}
    assert overlap(TASKS[::-1], share=0.2, depth=3, seed=1) == slots
    assert overlap(TASKS, share=0.2, depth=3, seed=2) != slots
    assert set(overlap(TASKS, share=0, depth=3, seed=1).values()) == {1}


def test_draws_are_even_distinct_and_grow_by_appending() -> None:
    assert draw("t0", RATERS, count=3, seed=0)[:1] == draw("t0", RATERS[::-1], count=1, seed=0)
    assert all(len(set(draw(t, RATERS, count=3, seed=0))) == 3 for t in TASKS)
    taken = Counter(draw(t, RATERS, count=1, seed=0)[0] for t in TASKS)
    # Binomial(1000, 1/5): standard deviation 12.6
    assert all(abs(taken[r] - 200) < 4 * 12.6 for r in RATERS)


def test_a_propensity_is_the_share_of_chance_and_the_share_of_the_top() -> None:
    pool = Pool(free=10, top=4)
    assert propensity(pool, free=2, top=1, random_share=0.2) == pytest.approx(0.2 * 2 / 10 + 0.8 * 1 / 4)
    assert propensity(pool, free=1, top=0, random_share=0.2) == pytest.approx(0.02)
    assert propensity(pool, free=1, top=1, random_share=1.0) == pytest.approx(0.1)


def test_propensities_of_all_tasks_sum_to_one() -> None:
    free, top = [3, 1, 1, 2], [3, 0, 1, 0]
    pool = Pool(sum(free), sum(top))
    chances = [propensity(pool, free=f, top=t, random_share=0.3) for f, t in zip(free, top, strict=True)]
    assert sum(chances) == pytest.approx(1)
