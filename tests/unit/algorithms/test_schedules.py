"""Facts about learning-rate multipliers."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assent.algorithms.schedules import constant, cosine, linear


def test_linear_by_hand():
    got = [linear(step, 10, warmup=2, floor=0.2) for step in range(11)]
    assert got == pytest.approx([0.5, 1, 1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2])


def test_cosine_by_hand():
    # quarter, half and three quarters of the way from 1 to 0.2
    at = {step: cosine(step, 8, warmup=0, floor=0.2) for step in (0, 2, 4, 6, 8)}
    root = math.sqrt(0.5)
    assert at == pytest.approx({0: 1, 2: 0.6 + 0.4 * root, 4: 0.6, 6: 0.6 - 0.4 * root, 8: 0.2})


def test_constant_only_warms_up():
    assert [constant(step, 5, warmup=4) for step in range(5)] == [0.25, 0.5, 0.75, 1, 1]
    assert constant(0, 5, warmup=0) == 1


@given(total=st.integers(1, 50), warmup=st.integers(0, 60), floor=st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_rates_rise_then_fall_are_never_zero_before_the_end_and_end_at_the_floor(total, warmup, floor):
    for schedule in (linear, cosine):
        rates = [schedule(step, total, warmup=warmup, floor=floor) for step in range(total)]
        assert all(0 < rate <= 1 for rate in rates)
        turn = min(warmup, total)
        assert rates[:turn] == sorted(rates[:turn])
        assert all(a >= b - 1e-12 for a, b in zip(rates[turn:], rates[turn + 1 :], strict=False))
        end = max(total, warmup)
        assert schedule(end, total, warmup=warmup, floor=floor) == pytest.approx(floor)
        assert schedule(end + 7, total, warmup=warmup, floor=floor) == pytest.approx(floor)


def test_a_floor_of_1_is_constant():
    for step in range(12):
        assert linear(step, 10, warmup=3, floor=1.0) == cosine(step, 10, warmup=3, floor=1.0)
        assert linear(step, 10, warmup=3, floor=1.0) == constant(step, 10, warmup=3)
