"""The report on a reward model, on rankings small enough to count by hand."""

from __future__ import annotations

import numpy as np
import pytest

from assent.core.types import Comparison, Completion, Judgment, Prompt, Ranking
from assent.evaluation.reward_report import ceiling_of, rater_agreement, reward_report

TEXTS = {"a": "short", "b": "a longer one", "c": "the longest of all"}


def comparison(question: str, *orders: str, source: str = "shop", kind: str = "x") -> Comparison:
    """Each order is a rater's: "a>b=c" has the tiers a and b, c."""
    prompt = Prompt.of(question, kind=kind)
    names = sorted(set("".join(orders)) - set(">="))
    answers = tuple(Completion(prompt_id=prompt.id, text=TEXTS[n], id=n) for n in names)
    rankings = [Ranking(tiers=tuple(tuple(tier.split("=")) for tier in order.split(">"))) for order in orders]
    judgments = tuple(Judgment(task_id="t", rater_id=f"r{i}", ranking=r) for i, r in enumerate(rankings))
    return Comparison(prompt=prompt, completions=answers, judgments=judgments, meta={"source": source})


def test_counts_by_hand() -> None:
    given = [comparison("q1", "a>b>c"), comparison("q2", "b>a=c"), comparison("q3", "a>b")]
    # q1: scores 3 2 1, three pairs right. q2: a 1, b 2, c 2: b over a right, b over c equal, half; a = c is no pair.
    # q3: a 0, b 1: wrong. Right 3 + 1 + 0.5 + 0 of 6.
    report = reward_report(given, [3, 2, 1, 1, 2, 2, 0, 1])
    assert report.pairs == 6 and report.prompts == 3
    assert report.accuracy is not None and report.accuracy.estimate == pytest.approx(4.5 / 6)
    # The longer answer is the better one in b over a only.
    assert report.longer_wins is not None and report.longer_wins.estimate == pytest.approx(1 / 6)
    assert report.rater_agreement is None and report.ceiling is None


def test_agreement_and_ceiling_by_hand() -> None:
    # q1: two raters agree, the third differs. Of the first two each has one of two others with them, half; the third
    # none. q2: both agree, 1 each. (0.5 + 0.5 + 0 + 1 + 1) / 5, and (1 + √0.2) / 2.
    given = [comparison("q1", "a>b", "a>b", "b>a"), comparison("q2", "b>c", "b>c")]
    agreed = rater_agreement(given)
    assert agreed is not None and agreed.estimate == pytest.approx(3 / 5)
    ceiling = ceiling_of(agreed)
    assert ceiling is not None and ceiling.estimate == pytest.approx((1 + 0.2**0.5) / 2)
    assert 0.5 <= ceiling.low <= ceiling.estimate <= ceiling.high <= 1


@pytest.mark.parametrize("right", [0.65, 0.75, 0.9])
@pytest.mark.parametrize("raters", [2, 3, 5])
def test_the_ceiling_is_what_a_perfect_score_reaches_where_pairs_are_alike(right: float, raters: int) -> None:
    found, covered = [], 0
    for world in range(8):
        said = np.where(np.random.default_rng(world).random((1000, raters)) < right, "a>b", "b>a")
        ceiling = ceiling_of(rater_agreement([comparison(f"q{i}", *row) for i, row in enumerate(said.tolist())]))
        assert ceiling is not None
        found.append(ceiling.estimate)
        covered += ceiling.low <= right <= ceiling.high
    assert np.mean(found) == pytest.approx(right, abs=0.015)
    assert covered >= 6


def test_where_pairs_differ_a_perfect_score_lies_between_agreement_and_ceiling() -> None:
    random = np.random.default_rng(0)
    right = random.choice([0.55, 0.95], size=4000)
    said = np.where(random.random((4000, 3)) < right[:, None], "a>b", "b>a")
    given = [comparison(f"q{i}", *row) for i, row in enumerate(said.tolist())]
    report = reward_report(given, [1.0, 0.0] * 4000)
    assert report.accuracy is not None and report.rater_agreement is not None and report.ceiling is not None
    assert report.rater_agreement.high < report.accuracy.estimate < report.ceiling.low


def test_each_source_and_slice_has_its_own_numbers() -> None:
    given = [
        comparison("q1", "a>b", source="one", kind="x"),
        comparison("q2", "a>b", source="one", kind="y"),
        comparison("q3", "b>a", source="two", kind="x"),
        comparison("q4", "b>a", source="two", kind="y"),
    ]
    report = reward_report(given, [1, 0] * 4)
    assert {name: b.accuracy.estimate for name, b in report.by_source.items()} == {"one": 1.0, "two": 0.0}
    assert {name: b.longer_wins.estimate for name, b in report.by_source.items()} == {"one": 0.0, "two": 1.0}
    assert {name: e.estimate for name, e in report.slices.items() if name.startswith("kind")} == {
        "kind=x": 0.5,
        "kind=y": 0.5,
    }


def test_calibration_does_not_depend_on_which_answer_is_named_first() -> None:
    # Leads of +2 and -2: sigmoid(2) = 0.88 is right once of two, so the error is |0.88 - 0.5| in both bins.
    report = reward_report([comparison("q1", "a>b"), comparison("q2", "a>b")], [2, 0, 0, 2])
    assert report.ece == pytest.approx(0.8808 - 0.5, abs=1e-3)
    assert [b.count for b in report.bins] == [2, 2]


def test_too_little_data_gives_counts_only() -> None:
    report = reward_report([comparison("q1", "a>b")], [1, 0])
    assert (report.pairs, report.prompts, report.accuracy) == (1, 1, None)
