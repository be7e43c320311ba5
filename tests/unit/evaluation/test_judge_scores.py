"""Scores of a judge before and after, and what they would be at equal length."""

from __future__ import annotations

import numpy as np
import pytest

from assent.evaluation.judge_scores import judge_scores
from assent.evaluation.winrate import Verdict, win_rate
from assent.report.comparisons import at_equal_length
from assent.stats.adjusted import at_zero


def test_a_line_without_noise_is_read_at_zero_exactly() -> None:
    x = np.array([-1.0, 0.5, 2.0, 3.0])
    found = at_zero(2 + 3 * x, x)
    assert found is not None
    assert (found.estimate, found.low, found.high, found.n) == pytest.approx((2, 2, 2, 4))


def test_where_nothing_varies_it_is_the_mean_or_unknown() -> None:
    found = at_zero([1.0, 2.0, 3.0, 6.0], [0.0] * 4)
    assert found is not None and found.estimate == pytest.approx(3.0)
    # HC3 of a mean of four: residuals divided by 3/4, so the variance is sum((4/3 r)^2)/16 = (16/9)(4+1+0+9)/16.
    assert found.half_width == pytest.approx(3.182446 * np.sqrt(16 / 9 * 14 / 16), rel=1e-5)
    assert at_zero([1.0, 2.0, 3.0, 6.0], [1.0] * 4) is None, "nothing is known of 0"
    assert at_zero([1.0, 2.0, 3.0], [0.0, 1.0, 2.0]) is None


def test_its_interval_covers_the_truth_also_where_noise_grows() -> None:
    rng, hits = np.random.default_rng(0), 0
    for _ in range(400):
        x = rng.normal(0.5, 1.0, 60)
        found = at_zero(1.0 + 2.0 * x + rng.normal(size=60) * (0.2 + np.abs(x)), x)
        assert found is not None
        hits += found.low <= 1.0 <= found.high
    assert 0.92 <= hits / 400 <= 0.98


def test_a_policy_that_only_writes_longer_is_no_better_at_equal_length() -> None:
    rng = np.random.default_rng(1)
    words = [rng.integers(5, 60, 80), rng.integers(20, 120, 80)]
    texts = (["w " * n for n in words[0]], ["w " * n for n in words[1]])
    noise = rng.normal(0, 0.1, (2, 80))
    scores = tuple(list(np.log1p(words[side]) + noise[side]) for side in (0, 1))
    found = judge_scores((scores[0], scores[1]), texts)
    assert found is not None and found.at_equal_length is not None
    assert found.change.low > 0.3 and found.at_equal_length.low < 0 < found.at_equal_length.high
    assert found.before.estimate == pytest.approx(0) and found.words_after == pytest.approx(words[1].mean())
    assert not found.is_extrapolated


@pytest.mark.parametrize(("lengths", "is_far"), [((3, 8), True), ((40, 90), True), ((3, 60), False), ((30, 31), False)])
def test_equal_length_that_was_hardly_ever_seen_is_said_to_be_so(lengths: tuple[int, int], is_far: bool) -> None:
    rng = np.random.default_rng(2)
    words = [rng.integers(20, 40, 80) if lengths[0] != 30 else np.full(80, 30), rng.integers(*lengths, 80)]
    texts = (["w " * n for n in words[0]], ["w " * n for n in words[1]])
    found = judge_scores((list(rng.normal(size=80)), list(rng.normal(size=80))), texts)
    assert found is not None and found.is_extrapolated == is_far
    verdicts = [verdict_of(str(n), len(new), len(old)) for n, (old, new) in enumerate(zip(*texts, strict=True))]
    assert win_rate(verdicts).is_extrapolated == is_far
    assert at_equal_length(win_rate(verdicts)) == ("at equal length, not seen" if is_far else "at equal length")


def verdict_of(prompt: str, new: int, old: int) -> Verdict:
    score = float(int(prompt) % 2)
    return Verdict(prompt, "judge", prompt, score, is_new_first=True, new_length=new, baseline_length=old)


def test_the_unit_is_a_deviation_of_the_baseline_and_nothing_is_told_without_one() -> None:
    before = [0.0, 2.0, 4.0, 6.0]  # deviation 2.582
    found = judge_scores((before, [b + 5.164 for b in before]), (["a b"] * 4, ["a b"] * 4))
    assert found is not None and found.change.estimate == pytest.approx(2.0, abs=1e-3)
    assert judge_scores(([1.0, 1.0], [2.0, 3.0]), (["a", "a"], ["a", "a"])) is None
