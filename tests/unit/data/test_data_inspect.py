"""Facts about the report on data: numbers worked by hand."""

from __future__ import annotations

import pytest
from data_chat_templates import CHATML

from assent.core.types import Comparison, Completion, Conversation, Judgment, Message, Prompt, Ranking
from assent.data.inspect import inspect, longer_wins
from assent.data.render import Renderer


def comparison(question, answers, *rankings):
    prompt = Prompt.of(question)
    return Comparison(
        prompt=prompt,
        completions=tuple(Completion(prompt_id=prompt.id, text=text, id=name) for name, text in answers.items()),
        judgments=tuple(
            Judgment(task_id="t", rater_id=rater, ranking=Ranking(tiers=tiers) if tiers else None)
            for rater, tiers in rankings
        ),
    )


def conversation(question, answer):
    return Conversation(messages=(Message(role="user", content=question), Message(role="assistant", content=answer)))


LONG_SHORT = {"a": "a long answer", "b": "short"}


def test_longer_wins_counts_majorities():
    assert longer_wins([comparison("q", LONG_SHORT, ("r", [("a",), ("b",)]))]).value == 1.0
    assert longer_wins([comparison("q", LONG_SHORT, ("r", [("b",), ("a",)]))]).value == 0.0
    two_to_one = [("r", [("a",), ("b",)]), ("s", [("b",), ("a",)]), ("t", [("a",), ("b",)])]
    assert longer_wins([comparison("q", LONG_SHORT, *two_to_one)]) == longer_wins(
        [comparison("q", LONG_SHORT, two_to_one[0])]
    )


def test_even_votes_ties_and_equal_lengths_do_not_count():
    even = [("r", [("a",), ("b",)]), ("s", [("b",), ("a",)])]
    same = {"a": "12345", "b": "short"}
    items = [
        comparison("q", LONG_SHORT, *even),
        comparison("q", LONG_SHORT, ("r", [("a", "b")])),
        comparison("q", same, ("r", [("a",), ("b",)])),
    ]
    assert longer_wins(items).total == 0 and longer_wins(items).value is None


def test_k_wise_rankings_count_every_pair():
    # 333 > 1 > 22: longer wins in (333, 1) and (333, 22), not in (1, 22).
    items = [comparison("q", {"a": "1", "b": "22", "c": "333"}, ("r", [("c",), ("a",), ("b",)]))]
    assert (longer_wins(items).count, longer_wins(items).total) == (2, 3)


def test_rankings_by_hand():
    items = [
        comparison("q", LONG_SHORT, ("ann", [("a",), ("b",)]), ("bob", [("a", "b")])),
        comparison("p", {"a": "1", "b": "22", "c": "333"}, ("ann", [("c",), ("a", "b")]), ("bob", None)),
    ]
    found = inspect(items).rankings
    assert found is not None
    assert (dict(found.answers), dict(found.judgments), dict(found.raters)) == (
        {2: 1, 3: 1},
        {2: 2},
        {"ann": 2, "bob": 2},
    )
    # Pairs: a>b · a=b · c>a, c>b, a=b: two ties of five.
    assert (found.ties.count, found.ties.total, found.unranked) == (2, 5, 1)


def test_copies_and_near_duplicates_by_hand():
    items = [
        conversation("where is my order number five please", "Here."),
        conversation("where is my order number five please", "Here."),
        conversation("Where is my order number five, please?", "There."),
        conversation("where is my order number five now", "Here."),
    ]
    report = inspect(items, threshold=0.6)
    assert (report.num_items, report.num_prompts, report.num_copies, report.num_near) == (4, 2, 1, 1)
    assert any(line.startswith("alike (0.67)") for line in report.offenders)


def test_lengths(byte_level):
    items = [conversation("one two three", "a b"), conversation("one", "a b c d")]
    report = inspect(items, Renderer(byte_level, template=CHATML))
    assert report.lengths["prompt words"].median == 2 and report.lengths["answer words"].mean == 3
    rows = [
        len(byte_level.apply_chat_template(_dicts(i), chat_template=CHATML, tokenize=True, return_dict=False))
        for i in items
    ]
    newline = 1  # what follows the end of turn is not part of a row
    assert report.lengths["row tokens"].maximum == max(rows) - newline
    assert report.lines()[0] == "2 conversations, 2 distinct prompts, 0 copies, 0 near-duplicate pairs of prompts"


def test_leakage_is_shown_against_training_data():
    items = [Prompt.of("What is tea?")]
    report = inspect(items, against=[conversation("what is tea", "a drink")])
    assert report.leakage is not None and report.leakage.leaked == (0,)
    assert any(line.startswith("leakage: 1 of 1") for line in report.lines())


def test_nothing_to_inspect():
    with pytest.raises(ValueError, match="at least one item"):
        inspect([])


def _dicts(item):
    return [{"role": m.role, "content": m.content} for m in item.messages]
