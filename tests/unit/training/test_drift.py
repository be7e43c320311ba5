"""Drift within training: alarms once, against the first steps, also after a checkpoint."""

from __future__ import annotations

from assent.training.drift import Drift


def test_answers_that_become_alike_are_told_once_against_the_first_steps() -> None:
    drift, told = Drift(), []
    for step in range(20):
        told += [(step, said) for said in drift.observe({"ead": 1.0 if step < 8 else 0.5})]
    # Of the newest five, steps 6 to 10 are the first with a mean below 0.75: (1 + 1 + 3 · 0.5) / 5 = 0.7.
    assert told == [(10, "answers become alike: EAD 1.000 at first, 0.700 now")]


def test_steps_that_do_not_fall_are_quiet() -> None:
    drift = Drift()
    assert not any(drift.observe({"ead": 0.8 + step % 2 * 0.1, "top_opener": 0.3}) for step in range(30))


def test_a_checkpoint_carries_what_was_seen() -> None:
    whole, told = Drift(), []
    first = [{"top_opener": 0.1}] * 7
    rest = [{"top_opener": 0.6}] * 7
    for facts in first:
        whole.observe(facts)
    again = Drift()
    again.restore({}, dict(whole.state()))
    for facts in rest:
        told.append((whole.observe(facts), again.observe(facts)))
    assert all(a == b for a, b in told) and sum(len(a) for a, _ in told) == 1


def test_a_sampler_that_differs_from_the_learner_is_told_once() -> None:
    drift = Drift()
    assert [len(drift.observe({"sampler_gap_mean": 0.2})) for _ in range(3)] == [1, 0, 0]
