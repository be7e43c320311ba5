"""Drift within training: alarms once, against the first steps, also after a checkpoint."""

from __future__ import annotations

from assent.training.drift import Drift


def test_answers_that_become_alike_are_told_once_against_the_first_steps() -> None:
    drift, told = Drift(), []
    for step in range(20):
        told += drift.observe(step, {"ead": 1.0 if step < 8 else 0.5})
    # Of the newest five, steps 6 to 10 are the first with a mean below 0.75: (1 + 1 + 3 · 0.5) / 5 = 0.7.
    assert [(one.name, one.step, one.said) for one in told] == [
        ("ead", 10, "answers become alike: EAD 1.000 at first, 0.700 now")
    ]
    assert str(told[0]).startswith("step 10: answers become alike") and drift.alarms == told


def test_steps_that_do_not_fall_are_quiet() -> None:
    drift = Drift()
    assert not any(drift.observe(step, {"ead": 0.8 + step % 2 * 0.1, "top_opener": 0.3}) for step in range(30))


def test_a_checkpoint_carries_what_was_seen() -> None:
    whole, told = Drift(), []
    first = [{"top_opener": 0.1}] * 7
    rest = [{"top_opener": 0.6}] * 7
    for step, facts in enumerate(first):
        whole.observe(step, facts)
    again = Drift()
    again.restore({}, dict(whole.state()))
    for step, facts in enumerate(rest, start=7):
        told.append((whole.observe(step, facts), again.observe(step, facts)))
    assert all(a == b for a, b in told) and sum(len(a) for a, _ in told) == 1


def test_answers_that_say_nothing_are_told_once() -> None:
    drift, told = Drift(), []
    for step in range(12):
        told += drift.observe(step, {"empty_rate": 0.0 if step < 7 else 0.125})
    # Of the newest five, steps 5 to 9 are the first with a mean above 0.05: 3 · 0.125 / 5 = 0.075.
    assert [(one.name, one.step, one.said) for one in told] == [
        ("empty_rate", 9, "answers say nothing: share of empty ones 0.000 at first, 0.075 now")
    ]
    assert "silence is paid for" in told[0].fix


def test_a_sampler_that_differs_from_the_learner_is_told_once() -> None:
    drift = Drift()
    assert [len(drift.observe(step, {"sampler_gap_mean": 0.2})) for step in range(3)] == [1, 0, 0]


def test_lengths_and_entropy_that_left_those_of_the_first_steps_are_told() -> None:
    drift, told = Drift(), []
    for step in range(15):
        late = step >= 5
        told += drift.observe(step, {"length": 31.0 if late else 20.0, "entropy": 0.05 if late else 0.4})
    # 31 / 20 = 1.55 is above 1.5, and 0.05 below a fifth of 0.4.
    assert [one.name for one in told] == ["entropy", "length"]
    assert told[1].said == "answers are 1.55 times as long as at first: 20.000 at first, 31.000 now"


def test_answers_half_as_long_again_are_not_yet_too_long() -> None:
    drift = Drift()
    assert not any(drift.observe(step, {"length": 29.0 if step >= 5 else 20.0}) for step in range(20))
