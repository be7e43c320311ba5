"""What scores by criterion become: means, differences, agreement, weights, flags, and what is missing or left out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from board_samples import judged

from assent.core.types import Judgment
from assent.feedback.quality.agreement import krippendorff_alpha
from assent.feedback.quality.corrected import corrected_scores, corrected_win_rates
from assent.feedback.quality.criteria import Scored, ordinal_alpha, scored
from assent.feedback.quality.facts import TaskFacts
from assent.feedback.quality.sheets import Sheets, by_side
from assent.stats.estimate import Estimate

SCALES = {"helpful": (1.0, 5.0), "short": (1.0, 3.0)}


def task(name: str, *, prompt: str | None = None) -> TaskFacts:
    """Answers a by the old model and b by the new one."""
    words, models = {"a": 1, "b": 1}, {"a": "old", "b": "new"}
    return TaskFacts(name, prompt or name, "pair", prompt_words=1, answer_words=words, models=models)


def gave(name: str, rater: str, text: str | None = None, **scores: dict[str, float]) -> Judgment:
    """A judgment with scores of answers a and b."""
    return judged(name, rater, text, scores=scores)


def read(*said: Judgment, **left: Any) -> Sheets:
    names = {one.task_id for one in said}
    return Sheets.read(said, {name: task(name) for name in names}, **left)


def found_in(*said: Judgment, **left: Any) -> Scored:
    found = scored(read(*said, **left), SCALES)
    assert found is not None
    return found


def test_means_and_differences_by_hand() -> None:
    """Old 2 and 4, new 3 and 5: means 3 and 4, and new is 1 higher on both prompts."""
    found = found_in(
        gave("p", "ann", a={"helpful": 2}, b={"helpful": 3}), gave("q", "ann", a={"helpful": 4}, b={"helpful": 5})
    )
    helpful, short = found.criteria
    assert {model: one.estimate for model, one in helpful.means.items()} == {"new": 4.0, "old": 3.0}
    [moved] = helpful.differences
    assert (moved.model, moved.other, moved.difference.estimate, moved.difference.n) == ("new", "old", 1.0, 2)
    assert moved.difference.low < 1 < moved.difference.high, "two prompts that moved alike are no certainty"
    assert (short.scored, short.missing, short.means) == (0, 4, {})


def test_an_answer_counts_once_however_many_scored_it() -> None:
    """Answer a of p has 1 from three raters, of q 5 from one: the mean is 3, not 2."""
    three = [gave("p", rater, a={"helpful": 1}) for rater in ("ann", "ben", "cid")]
    assert found_in(*three, gave("q", "ann", a={"helpful": 5})).criteria[0].means["old"].estimate == 3.0


def test_null_is_not_zero_and_everything_left_out_is_counted() -> None:
    said = [
        gave("p", "ann", a={"helpful": 4}, b={"helpful": 9}),
        judged("q", "ann", None, skip_reason="language"),
        gave("again", "ann", a={"helpful": 1}),
        gave("known", "ann", a={"helpful": 1}),
    ]
    found = found_in(*said, repeats={"again"}, gold={"known"})
    [helpful, short] = found.criteria
    assert (helpful.scored, helpful.missing, helpful.off_scale) == (1, 0, 1) and helpful.means["old"].estimate == 4
    assert (short.scored, short.missing) == (0, 2)
    assert (found.judgments, found.left_out) == (1, {"gold": 1, "repeats": 1, "skipped": 1})
    assert scored(read(judged("p", "ann", "a > b")), SCALES) is None, "nobody scored"


def test_one_prompt_gives_the_whole_scale_and_an_unknown_scale_no_ends() -> None:
    found = found_in(gave("p", "ann", a={"helpful": 4, "odd": 70}))
    helpful, _, odd = found.criteria
    assert (helpful.means["old"].low, helpful.means["old"].high) == (1.0, 5.0)
    assert odd.scale is None and odd.means["old"].low == -math.inf


def test_alpha_by_ranks_is_that_of_the_table_of_coincidences() -> None:
    random = np.random.default_rng(0)
    units = [list(random.integers(1, 6, size) + random.integers(0, 2)) for size in random.integers(2, 5, 60)]
    of = np.repeat(np.arange(60), [len(unit) for unit in units])
    assert ordinal_alpha(np.concatenate(units).astype(float), of) == pytest.approx(krippendorff_alpha(units))
    assert ordinal_alpha(np.ones(4), np.array([0, 0, 1, 1])) is None


def test_agreement_on_a_criterion() -> None:
    """On p both give 2, on q they give 1 and 5: half the pairs are the same."""
    found = found_in(
        gave("p", "ann", a={"helpful": 2}),
        gave("p", "ben", a={"helpful": 2}),
        gave("q", "ann", a={"helpful": 1}),
        gave("q", "ben", a={"helpful": 5}),
        gave("r", "ann", a={"helpful": 3}),
    ).criteria[0]
    assert found.same is not None and (found.same.estimate, found.same.n) == (0.5, 2)
    assert found.alpha is not None and found.alpha.estimate == pytest.approx(krippendorff_alpha([[2, 2], [1, 5]]))


def test_weights_are_those_of_the_criterion_that_decides_whatever_its_scale() -> None:
    """People choose what is helpful, on a scale of 5 or told on one of 9; what is short is a coin."""
    random = np.random.default_rng(1)
    weights = []
    for points in (1.0, 2.0):
        said = []
        for n in range(300):
            lead, other = random.integers(-2, 3), random.integers(-1, 2)
            text = "a > b" if random.random() < 1 / (1 + math.exp(-lead)) else "b > a"
            a, b = {"helpful": 1 + points * (2 + lead), "short": 2 + other}, {"helpful": 1 + points * 2, "short": 2}
            said.append(gave(f"p{n}", "ann", text, a=a, b=b))
        found = scored(read(*said), {"helpful": (1.0, 1 + 4 * points), "short": (1.0, 3.0)})
        assert found is not None and (found.choices, found.choices_left_out) == (300, 0)
        helpful, short = (one.weight for one in found.criteria)
        assert helpful is not None and short is not None
        assert helpful.low < 4 < helpful.high and helpful.low > 0, "one logit a step of four"
        assert short.low < 0 < short.high
        weights.append(helpful.estimate)
    assert weights[0] == pytest.approx(weights[1], rel=0.35)


def test_a_pair_without_a_score_gives_no_weight_and_is_counted() -> None:
    full = [gave(f"p{n}", "ann", "b > a", a={"helpful": 1}, b={"helpful": 2 + n % 3}) for n in range(9)]
    both = [gave(f"q{n}", "ann", "b > a", a={"helpful": 1, "short": 1}, b={"helpful": 2, "short": 2}) for n in (0, 1)]
    found = found_in(*full, *both, gave("r", "ann", "a > b", a={"helpful": 1}))
    assert (found.choices, found.choices_left_out) == (11, 0), "short is scored too seldom to have a weight"
    assert found.criteria[1].weight is None and found.criteria[0].weight is not None


def test_flags_are_shares_of_the_answers_shown() -> None:
    found = found_in(
        judged("p", "ann", None, scores={"a": {"helpful": 1}}, flags={"a": ("unsafe",)}), judged("q", "ann", "a > b")
    )
    assert {model: one.estimate for model, one in found.flags["unsafe"].items()} == {"old": 0.5, "new": 0.0}


def test_people_and_judges_are_told_apart() -> None:
    people, judges = by_side(
        [judged("p", "ann", "a > b"), judged("p", "lm", "a > b"), judged("p", "new", "a > b")],
        {"ann": "simulated", "lm": "autorater"},
    )
    assert [j.rater_id for j in people] == ["ann", "new"] and [j.rater_id for j in judges] == ["lm"]


def _judged_and_labelled(labels: int) -> tuple[Sheets, Sheets]:
    """A judge that gives one point too much to each answer of 300 prompts; people label the first few."""
    random = np.random.default_rng(2)
    truth = random.integers(1, 5, 300)
    judge = [gave(f"p{n}", "lm", "b > a", a={"helpful": t + 1}, b={"helpful": 5}) for n, t in enumerate(truth)]
    people = [gave(f"p{n}", "ann", "a > b", a={"helpful": t}) for n, t in enumerate(truth[:labels])]
    return read(*people), read(*judge)


def test_a_judge_that_flatters_is_put_right() -> None:
    people, judges = _judged_and_labelled(100)
    [old] = corrected_scores(people, judges, SCALES)
    truth = old.judge_alone - 1
    assert (old.what, old.model, old.items, old.labels, old.unjudged) == ("helpful", "old", 300, 100, 0)
    assert old.corrected.low < truth < old.corrected.high and old.corrected.high < old.judge_alone
    assert old.judge_weight > 0.9 and old.corrected.half_width < old.labels_alone.half_width and old.saved > 0


def test_a_win_rate_is_put_right_and_says_of_whom() -> None:
    people, judges = _judged_and_labelled(100)
    [rate] = corrected_win_rates(people, judges)
    assert (rate.model, rate.other, rate.judge_alone, rate.labels) == ("new", "old", 1.0, 100)
    assert rate.labels_alone.estimate == 0.0 == rate.corrected.estimate
    assert isinstance(rate.corrected, Estimate)


def test_where_all_or_too_little_is_labelled_there_is_nothing_to_correct() -> None:
    for labels in (0, 2, 300):
        people, judges = _judged_and_labelled(labels)
        assert corrected_scores(people, judges, SCALES) == []


def test_what_the_judge_does_not_know_is_counted() -> None:
    people, judges = _judged_and_labelled(100)
    fewer = Sheets(judges.found[5:])
    [old] = corrected_scores(people, fewer, SCALES)
    assert (old.items, old.labels, old.unjudged) == (295, 95, 5)


def test_scores_that_are_no_numbers_are_left_out_everywhere() -> None:
    people, judges = _judged_and_labelled(100)
    odd = gave("odd", "lm", a={"helpful": math.inf}), gave("odd", "ann", a={"helpful": math.nan})
    with_odd = Sheets((*people.found, *read(odd[1]).found)), Sheets((*judges.found, *read(odd[0]).found))
    assert corrected_scores(*with_odd, SCALES) == corrected_scores(people, judges, SCALES)
    found = scored(with_odd[0], SCALES)
    assert found is not None and found.criteria[0].off_scale == 1
