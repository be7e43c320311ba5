"""The probe that asks whether a reward model reads the question."""

from __future__ import annotations

import pytest

from assent.core.types import Comparison, Completion, Judgment, Prompt, Ranking
from assent.evaluation.relevance import borrowed_answers, relevance


def compared(question: str, best: str, worse: str = "no") -> Comparison:
    prompt = Prompt.of(question)
    answers = tuple(Completion(prompt_id=prompt.id, text=text, source="s") for text in (worse, best))
    ranking = Ranking(tiers=((answers[1].id,), (answers[0].id,)))
    judged = Judgment(id=question, task_id=question, rater_id="r", ranking=ranking)
    return Comparison(prompt=prompt, completions=answers, judgments=(judged,))


def test_each_prompt_gets_its_own_best_answer_and_that_of_another() -> None:
    comparisons = [compared(f"q{n}", f"a{n}") for n in range(5)]
    probes = borrowed_answers(comparisons)
    own = {c.prompt.id: c.completions[1].text for c in comparisons}
    assert {p.prompt.id: p.own.text for p in probes} == own
    assert sorted(p.other.text for p in probes) == sorted(own.values())
    assert all(p.other.text != p.own.text for p in probes)
    assert list(borrowed_answers(comparisons[::-1])) == list(probes)


def test_answers_that_read_alike_say_nothing() -> None:
    assert list(borrowed_answers([compared("q1", "yes"), compared("q2", "yes")])) == []
    assert list(borrowed_answers([compared("q1", "yes")])) == []


def test_an_answer_left_out_as_unusable_is_not_the_best() -> None:
    comparison = compared("q", "first", "second")
    second = comparison.completions[0]
    alone = Judgment(id="x", task_id="q", rater_id="s", ranking=Ranking(tiers=((second.id,),)))
    both = comparison.model_copy(update={"judgments": (*comparison.judgments, alone, alone)})
    probes = borrowed_answers([both, compared("another", "third")])
    assert {p.own.text for p in probes} == {"second", "third"}


def test_the_share_counts_ties_half() -> None:
    probes = borrowed_answers([compared(f"q{n}", f"a{n}") for n in range(4)])
    found = relevance(probes, [1.0, 2.0, 0.0, 5.0], [0.0, 2.0, 1.0, 4.0])
    assert found is not None and found.estimate == pytest.approx(2.5 / 4)
    assert relevance(probes[:1], [1.0], [0.0]) is None
