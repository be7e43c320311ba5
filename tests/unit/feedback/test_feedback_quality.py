"""Quality of raters, rater by rater, on numbers worked by hand; signs only where an interval excludes chance."""

from __future__ import annotations

import pytest
from board_samples import judged, known, lettered_task, order

from assent.core.types import Judgment
from assent.feedback.quality.facts import TaskFacts
from assent.feedback.quality.rater_quality import Bench, RaterQuality, rater_quality
from assent.feedback.quality.words import count_words


def _quality(judgments: list[Judgment], rater: str, **fields: object) -> RaterQuality:
    facts = {j.task_id: known(j.task_id) for j in judgments}
    bench = Bench(judgments, **{"facts": facts, **fields})  # type: ignore[arg-type]
    return next(q for q in rater_quality(bench) if q.rater_id == rater)


def test_agreement_leaves_the_rater_out() -> None:
    """Two say a, one says b: each of the two meets a friend and a foe (half), the third two foes (none)."""
    three = [judged("t", "ann", "a > b"), judged("t", "ben", "a > b"), judged("t", "cid", "b > a")]
    values = {}
    for name in ("ann", "ben", "cid"):
        found = _quality(three, name).agreement
        assert found is not None
        values[name] = found.estimate
    assert values == {"ann": 0.5, "ben": 0.5, "cid": 0.0}


def test_gold_counts_pairs_and_a_tie_half() -> None:
    """Known c > b > a; said b > c = a: cb wrong, ca half, ba right."""
    truth = {"t": order("c > b > a")}
    found = _quality([judged("t", "ann", "b > c = a")], "ann", gold=truth).gold
    assert found is not None and found.estimate == pytest.approx((0 + 0.5 + 1) / 3)


def test_gold_and_repeats_do_not_count_as_agreement() -> None:
    """What is known beforehand would raise it, a second look would count a rater twice."""
    two = [judged("t", "ann", "a > b"), judged("t", "ben", "a > b")]
    assert _quality(two, "ann", gold={"t": order("a > b")}).agreement is None
    assert _quality(two, "ann", repeats={"t": "s"}).agreement is None


def test_consistency_compares_with_the_same_raters_first_look() -> None:
    """Three pairs: ab kept, ac kept, bc became a tie."""
    both = [
        judged("first", "ann", "a > b > c"),
        judged("again", "ann", "a > b = c"),
        judged("first", "ben", "c > b > a"),
    ]
    found = _quality(both, "ann", repeats={"again": "first"}).consistency
    assert found is not None and found.estimate == pytest.approx(2 / 3)
    assert _quality(both, "ben", repeats={"again": "first"}).consistency is None


def test_position_counts_decided_pairs_with_the_answer_shown_first() -> None:
    """Shown b first: b beats a, loses to c; the pair a, c does not count. A tie says nothing."""
    found = _quality([judged("t", "ann", "c > b > a", order_shown=("b", "c", "a"))], "ann").first_shown
    assert found is not None and found.estimate == 0.5
    assert _quality([judged("t", "ann", "a = b", order_shown=("b", "a"))], "ann").first_shown is None


def test_length_counts_pairs_of_unlike_length() -> None:
    words = {"a": 5, "b": 9, "c": 9}
    facts = {"t": known("t", words=words)}
    found = _quality([judged("t", "ann", "b > a > c")], "ann", facts=facts).longer
    assert found is not None and found.estimate == 0.5, (
        "b > a is won by the longer, a > c by the shorter; b, c are alike"
    )


def test_pace_is_words_over_active_minutes() -> None:
    """30 words to read: 60 s are 30 words a minute, 1 s is 1,800 and hasty; unknown time says nothing."""
    three = [
        judged("t", "ann", "a > b", seconds=60.0),
        judged("u", "ann", "a > b", seconds=1.0),
        judged("v", "ann", "a > b"),
    ]
    found = _quality(three, "ann")
    assert found.pace == pytest.approx((30 + 1800) / 2)
    assert found.seconds == pytest.approx(30.5)
    assert found.hasty is not None and (found.hasty.estimate, found.hasty.n) == (0.5, 2)


def test_the_usual_pace_is_that_of_the_raters_own_language() -> None:
    """Ann reads 60 words a minute, Ben 20, both in Arabic; Cid 1,800 in English."""
    three = [
        judged("t", "ann", "a > b", seconds=30.0),
        judged("u", "ben", "a > b", seconds=90.0),
        judged("v", "cid", "a > b", seconds=1.0),
    ]
    languages = {"ann": "ar", "ben": "ar", "cid": "en"}
    assert _quality(three, "ann", languages=languages).usual_pace == pytest.approx(40)
    assert _quality(three, "cid", languages=languages).usual_pace == pytest.approx(1800)


def test_ties_flags_and_skips_are_counted() -> None:
    said = [
        judged("t", "ann", "a = b", flags={"a": ("unsafe",)}),
        judged("u", "ann", "a > b"),
        judged("v", "ann", None, skip_reason="language"),
    ]
    found = _quality(said, "ann")
    assert (found.judgments, found.skipped) == (2, 1)
    assert found.ties is not None and found.ties.estimate == 0.5
    assert found.flags["unsafe"].estimate == 0.25, "one of four answers"


def _crowd(odd: str, tasks: int) -> list[Judgment]:
    """Four raters say a > b on every task; the odd one says what `odd` says."""
    names = ("r0", "r1", "r2", "r3")
    said = [judged(f"t{i}", name, "a > b") for i in range(tasks) for name in names]
    return said + [judged(f"t{i}", "odd", odd) for i in range(tasks)]


def test_somebody_who_reads_the_scale_upside_down_is_seen() -> None:
    found = _quality(_crowd("b > a", 20), "odd")
    assert found.agreement is not None and found.agreement.high < 0.2
    assert set(found.signs) == {"differs", "opposes"}
    assert _quality(_crowd("b > a", 20), "r0").signs == ()


def test_a_few_tasks_raise_no_sign() -> None:
    """Five of five against the others: the interval ends at 0.43, and still it is five tasks."""
    found = _quality(_crowd("b > a", 5), "odd")
    assert found.agreement is not None and found.agreement.estimate == 0 and found.signs == ()


def test_somebody_who_ties_everything_is_seen_and_disagrees_with_nobody() -> None:
    found = _quality(_crowd("a = b", 20), "odd")
    assert found.agreement is None and found.signs == ("ties",)


def test_always_the_first_answer_is_a_lean() -> None:
    """The order shown alternates, the first one always wins."""
    said = [
        judged(f"t{i}", "odd", "a > b" if i % 2 else "b > a", order_shown=("a", "b") if i % 2 else ("b", "a"))
        for i in range(20)
    ]
    assert _quality(said, "odd").signs == ("leans_position",)


def test_nobody_is_hasty_for_one_quick_task() -> None:
    slow = [judged(f"t{i}", "ann", "a > b", seconds=30.0) for i in range(20)]
    assert _quality([*slow[1:], judged("t0", "ann", "a > b", seconds=0.5)], "ann").signs == ()
    quick = [judged(f"t{i}", "ann", "a > b", seconds=0.5) for i in range(20)]
    assert _quality(quick, "ann").signs == ("hasty",)


def test_texts_without_spaces_are_counted_by_characters() -> None:
    assert count_words("The cat sat.") == 3
    assert count_words("猫は座った。") == 2, "five characters that are letters, two to a word"
    assert count_words("GPU で計算する。") == 3, "one word and five characters; punctuation is none"
    assert count_words("مرحبا بالعالم") == 2


def test_facts_of_a_task_hold_no_text_but_its_opening() -> None:
    task = lettered_task("t", "abc", language="de", seed=4, note="x" * 80)
    facts = TaskFacts.of(task)
    assert facts.words == 2 + 3 * 4
    assert facts.slices == {"language": "de"} and facts.language == "de"
    assert facts.opening == "question t"


def test_nobody_said_anything() -> None:
    assert rater_quality(Bench([], {})) == []
