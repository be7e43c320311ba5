"""Principles held against each other: cosines by hand, planted conflicts, doubles and silent ones."""

from __future__ import annotations

import numpy as np
import pytest

from assent.evaluation.principles import PairMargins, principles_report


def row(prompt: int, mass: float = 1.0, **margins: float) -> PairMargins:
    return PairMargins(f"p{prompt}", {name: (value, mass) for name, value in margins.items()})


def test_the_cosine_by_hand_and_it_hangs_on_no_order_of_answers() -> None:
    rows = [row(0, a=1.0, b=2.0), row(1, a=-2.0, b=1.0), row(2, a=2.0, b=0.0)]
    [found] = principles_report(["a", "b"], rows).together
    assert found.cosine is not None and found.cosine.estimate == pytest.approx((2 - 2) / np.sqrt(9 * 5))
    assert (found.pairs, found.both) == (3, 2)
    turned = [row(0, a=-1.0, b=-2.0), *rows[1:]]
    assert principles_report(["a", "b"], turned).together[0].cosine == found.cosine


def test_planted_conflict_double_and_silence_are_found_and_nothing_else() -> None:
    random = np.random.default_rng(0)
    rows = []
    for prompt in range(150):
        a, c = random.normal(size=2)
        noise = 0.2 * random.normal(size=2)
        rows.append(row(prompt, a=a, opposed=-a + noise[0], double=a + noise[1], other=c, silent=0.01))
    report = principles_report(["a", "opposed", "double", "other", "silent"], rows)
    assert {(one.first, one.second) for one in report.conflicts} == {("a", "opposed"), ("opposed", "double")}
    assert [(one.first, one.second) for one in report.doubled] == [("a", "double")]
    assert [one.principle for one in report.silent] == ["silent"]
    assert all(one.cosine is None for one in report.together if "silent" in (one.first, one.second))
    assert any(line.startswith("conflict: a and opposed") for line in report.lines())


def test_intervals_over_all_pairs_of_independent_principles_find_a_conflict_in_about_one_of_twenty() -> None:
    random = np.random.default_rng(1)
    false = 0
    for _ in range(50):
        margins = random.normal(size=(60, 4))
        rows = [row(n, **dict(zip("abcd", map(float, values), strict=True))) for n, values in enumerate(margins)]
        false += bool(principles_report(list("abcd"), rows).conflicts)
    assert false <= 6  # one-sided at most 2.5 % each; Binomial(50, 0.025) is above 6 once in 10,000


def test_a_judge_that_wanted_to_say_something_else_has_no_preference_and_few_prompts_say_nothing() -> None:
    rows = [row(n, mass=0.1, a=3.0, b=3.0) for n in range(100)]
    report = principles_report(["a", "b"], rows)
    assert [(one.never, one.no_mass) for one in report.alone] == [(True, 1.0), (True, 1.0)]
    nine = principles_report(["a", "b"], [row(n, a=1.0, b=-1.0) for n in range(9)])
    ten = principles_report(["a", "b"], [row(n, a=1.0, b=-1.0) for n in range(10)])
    assert not nine.conflicts and len(ten.conflicts) == 1
    few = principles_report(["a", "b"], [row(0, a=1.0, b=-1.0)] * 5)
    assert few.alone[0].fires is None and few.together[0].cosine is None and not few.conflicts
