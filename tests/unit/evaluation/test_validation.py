"""Judges held against people: agreement, the alternative annotator, biases beside placebos, calibration, drift."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from assent.checks.edits import edits, placebo, reward_edits
from assent.core.types import Comparison, Completion, Judgment, Message, Prompt, Ranking, Rater, Task
from assent.evaluation.validation.agreement import agreement, alt_test
from assent.evaluation.validation.fitting import calibration, fit_curve, fit_temperature, read_curve
from assent.evaluation.validation.labels import LabelledPair, Said, Validated, labelled_pairs, said_of, tasks_of
from assent.evaluation.validation.probes import measure_biases
from assent.evaluation.validation.record import Bar, JudgeRecord, drift, read_anchors
from assent.evaluation.validation.validate import validate
from assent.raters.rater import judgment_id, tiered


@dataclass(frozen=True)
class Scorer:
    """A judge that likes texts by a number, with margins."""

    score: Callable[[str], float]
    record: Rater = field(default=Rater(id="scorer", kind="function"))

    def judge(self, tasks: Sequence[Task]) -> list[Judgment]:
        return [self.one(task) for task in tasks]

    def one(self, task: Task) -> Judgment:
        scores = {c.id: self.score(c.text) for c in task.completions}
        a, b = (c.id for c in task.completions)
        pairs = [{"first": a, "second": b, "margin": scores[a] - scores[b], "position": 0.0, "mass": 1.0}]
        ranking, name = tiered(scores, threshold=0.0), judgment_id("scorer", task.id)
        return Judgment(task_id=task.id, rater_id="scorer", ranking=ranking, id=name, details={"pairs": pairs})


def quality(text: str) -> float:
    """The first number in a text."""
    number = re.search(r"\d+", text)
    return float(number.group()) if number else -1.0


def comparisons(number: int, raters: int, *, noise: float, seed: int = 0) -> list[Comparison]:
    """Answers of known quality, and people who see it through noise."""
    random, found = np.random.default_rng(seed), []
    for n in range(number):
        prompt = Prompt(messages=(Message(role="user", content="question " + "x" * n),), meta={"kind": "ab"[n % 2]})
        best = int(random.integers(2))
        texts = [f"{9 if i == best else 1} is what answer {i} of {n} says" for i in range(2)]
        answers = tuple(Completion(prompt_id=prompt.id, text=text, source=f"m{i}") for i, text in enumerate(texts))
        judgments = []
        for rater in range(raters):
            first = best if random.random() > noise else 1 - best
            ranking = Ranking(tiers=((answers[first].id,), (answers[1 - first].id,)))
            judgments.append(Judgment(task_id=f"t{n}", rater_id=f"r{rater}", ranking=ranking, id=f"{n}-{rater}"))
        found.append(Comparison(prompt=prompt, completions=answers, judgments=tuple(judgments)))
    return found


def asked(judge: Scorer, given: list[Comparison]) -> Validated:
    pairs = labelled_pairs(given)
    tasks = tasks_of(pairs)
    return Validated(tuple(pairs), tuple(said_of(tasks, judge.judge(tasks))))


def test_a_perfect_judge_agrees_with_votes_as_often_as_people_are_right() -> None:
    found = agreement(asked(Scorer(quality), comparisons(400, 3, noise=0.2)))
    assert found.with_votes is not None and found.with_votes.low < 0.8 < found.with_votes.high
    assert found.with_majority is not None and found.with_majority.estimate > 0.85
    assert found.people is not None and found.people.low < 0.8**2 + 0.2**2 < found.people.high
    assert found.ceiling is not None and found.ceiling.low < 0.8 < found.ceiling.high  # (1 + √(2·0.68 - 1)) / 2 = 0.8
    assert found.longer_wins is not None and abs(found.longer_wins.estimate - 0.5) < 0.1


def test_ties_count_half_and_abstentions_are_counted_apart() -> None:
    prompt = Prompt(messages=(Message(role="user", content="q"),))
    one, two = (Completion(prompt_id=prompt.id, text=text) for text in ("one", "two"))
    pairs = tuple(
        LabelledPair(Prompt(messages=(Message(role="user", content=str(n)),)), one, two, {"r": 1.0}) for n in range(3)
    )
    found = agreement(Validated(pairs, (Said(0.5), Said(1.0), Said(None))))
    assert found.with_votes is not None and found.with_votes.estimate == 0.75 and found.abstained == 1


def test_the_alternative_annotator_test_passes_who_sees_better_and_fails_a_coin() -> None:
    given = comparisons(120, 4, noise=0.2, seed=1)
    good = alt_test(asked(Scorer(quality), given))
    assert good.passes is True and good.winning_rate == 1 and good.tested == 4
    random = np.random.default_rng(2)
    coin = alt_test(asked(Scorer(lambda text: float(random.random())), given), epsilon=0.05)
    assert coin.passes is False and coin.winning_rate == 0


def test_the_alternative_annotator_test_counts_as_by_hand() -> None:
    """Two others: the judge agrees with both where the left-out person agrees with one, and so on."""
    prompt = Prompt(messages=(Message(role="user", content="q"),))
    one, two = (Completion(prompt_id=prompt.id, text=text) for text in ("one", "two"))
    votes = [{"a": 1.0, "b": 1.0, "c": 0.0}] * 40
    pairs = tuple(
        LabelledPair(Prompt(messages=(Message(role="user", content=str(n)),)), one, two, v) for n, v in enumerate(votes)
    )
    found = alt_test(Validated(pairs, (Said(1.0),) * 40), epsilon=0.1)
    # a: others b, c; judge and a both agree with one of two: even. b the same. c: judge agrees with both, c with none.
    assert found.advantage is not None and found.advantage.estimate == pytest.approx((0 + 0 + 1) / 3)
    assert found.winning_rate == 1


def test_what_moves_a_judge_is_found_and_an_unmoved_judge_is_not_accused() -> None:
    given = comparisons(60, 3, noise=0.1, seed=3)
    fair = Scorer(quality)
    clean = measure_biases(asked(fair, given), fair)
    assert all(abs(one.excess.estimate) < 0.01 for one in clean.probes.values())
    assert clean.first_shown is not None and clean.first_shown.estimate == 0.5
    fooled = Scorer(lambda text: quality(text) + 100 * ("better one" in text))
    found = measure_biases(asked(fooled, given), fooled)
    told = found.probes["told to win"]
    assert (
        told.edited.estimate == 1 and told.excess.estimate == pytest.approx(1 - told.placebo.estimate) and told.n == 60
    )
    assert abs(found.probes["padding"].excess.estimate) < 0.01
    lengthy = Scorer(lambda text: float(len(text)))
    longer = measure_biases(asked(lengthy, given), lengthy)
    assert abs(longer.probes["padding"].excess.estimate) < 0.2  # its placebo is as long
    assert longer.nulls["longest"].estimate == 1 and clean.nulls["longest"].estimate == 0


def test_an_edit_and_its_placebo_are_of_one_length() -> None:
    for edit in (*edits(), *reward_edits()):
        changed = edit.change("an answer of one line")
        assert abs(len(placebo("an answer of one line", len(changed))) - len(changed)) <= 2, edit.name


def test_temperature_and_curve_are_those_that_made_the_labels() -> None:
    random = np.random.default_rng(0)
    margins = random.normal(size=20_000) * 4
    shares = (random.random(20_000) < 1 / (1 + np.exp(-margins / 2.5))).astype(float)
    assert fit_temperature(margins, shares) == pytest.approx(2.5, rel=0.05)
    curve = read_curve(fit_curve(margins, shares), np.array([-2.5, 0.0, 2.5]))
    assert curve == pytest.approx([1 / (1 + math.e), 0.5, math.e / (1 + math.e)], abs=0.05)


def test_calibration_is_measured_on_other_prompts_than_it_was_fitted_on() -> None:
    sure = Scorer(lambda text: 10 * quality(text))
    found = calibration(asked(sure, comparisons(300, 1, noise=0.25, seed=5)))
    assert found is not None and found.ece_before == pytest.approx(0.25, abs=0.06)
    assert found.ece < 0.06 and found.temperature == pytest.approx(80 / math.log(1 / found.ece_before - 1), rel=0.02)


def test_a_judge_below_the_bar_says_each_reason_with_its_number(tmp_path: Path) -> None:
    given = comparisons(80, 3, noise=0.2, seed=6)
    record, anchors = validate(Scorer(quality), given, identity="x", bar=Bar())
    assert record.passes, record.failures
    record.write(tmp_path, anchors)
    assert JudgeRecord.read(tmp_path) == record and read_anchors(tmp_path) == anchors
    wrong, _ = validate(Scorer(lambda text: -quality(text)), given, identity="x", bar=Bar())
    assert not wrong.passes and any("agreement 0." in one and "not surely above 0.55" in one for one in wrong.failures)
    assert any("alternative-annotator" in one for one in wrong.failures)


def test_a_judge_that_stays_the_same_does_not_drift_and_one_that_turned_is_worse() -> None:
    given = comparisons(60, 3, noise=0.1, seed=7)
    _, anchors = validate(Scorer(quality), given, identity="x", bar=Bar())
    same = drift(anchors, Scorer(quality))
    assert same is not None and same.unchanged == 1 and same.moved.estimate == 0 and not same.is_worse
    turned = drift(anchors, Scorer(lambda text: -quality(text)))
    assert turned is not None and turned.is_worse and turned.unchanged == 0


def test_votes_by_criterion_are_read_from_scores() -> None:
    prompt = Prompt(messages=(Message(role="user", content="q"),))
    one, two = (Completion(prompt_id=prompt.id, text=text) for text in ("one", "two"))
    scores = {one.id: {"helpful": 2.0}, two.id: {"helpful": 5.0}}
    said = Judgment(task_id="t", rater_id="r", scores=scores, ranking=Ranking(tiers=((one.id,), (two.id,))), id="j")
    comparison = Comparison(prompt=prompt, completions=(one, two), judgments=(said,))
    assert labelled_pairs([comparison])[0].votes == {"r": 1.0}
    assert labelled_pairs([comparison], criterion="helpful")[0].votes == {"r": 0.0}
    assert labelled_pairs([comparison], criterion="honest") == []


def test_a_judge_is_asked_once_of_each_pair_whatever_people_scored() -> None:
    prompt = Prompt(messages=(Message(role="user", content="q"),))
    other = Prompt(messages=(Message(role="user", content="r"),))
    given, asked_of = [], []
    for one in (prompt, other):
        a, b = (Completion(prompt_id=one.id, text=text) for text in ("9 good", "1 bad"))
        scores = {a.id: {"helpful": 5.0, "honest": 4.0}, b.id: {"helpful": 1.0, "honest": 5.0}}
        ranking = Ranking(tiers=((a.id,), (b.id,)))
        said = Judgment(task_id="t", rater_id="r", scores=scores, ranking=ranking, id=one.id)
        given.append(Comparison(prompt=one, completions=(a, b), judgments=(said,)))

    class Counting(Scorer):
        def one(self, task: Task) -> Judgment:
            if not task.id.startswith("probe"):
                asked_of.append(task.id)
            judged = super().one(task)
            first, second = (c.id for c in task.completions)
            return judged.model_copy(update={"scores": {first: {"helpful": 4.0}, second: {"helpful": 2.0}}})

    record, _ = validate(Counting(quality), given, identity="x", bar=Bar())
    assert len(asked_of) == 2
    assert list(record.criteria) == ["helpful"], "of honesty the judge says nothing"
    helpful = record.criteria["helpful"].with_votes
    assert helpful is not None and helpful.estimate == 1
