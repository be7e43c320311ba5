"""Verdicts in texts: the last valid one out of the whitelist; what is anything else is no verdict, and says why."""

from __future__ import annotations

import json
import re

import pytest

from assent.raters.verdict_text import NotSaidError, schema_of, spoken

PAIR = ("A", "B", "tie")
LEVELS = ("1", "2", "3", "4", "5")


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ('{"verdict": "A"}', "A"),
        ('{"evidence": "x", "reason": "y", "verdict": "b"}', "B"),
        ('```json\n{"verdict": "Tie"}\n```', "tie"),
        ('<think>{"verdict": "A"} or not?</think>{"verdict": "B"}', "B"),
        ('First I thought {"verdict": "A"}, but no: {"verdict": "B"}', "B"),
        ('{"verdict": "A"} I hope this helps!', "A"),
        ('{"verdict": "B"} {"verdict": "C"}', "B"),
        ('The set {A, B} is judged. {"verdict": "A"}', "A"),
        ("The verdict: B", "B"),
        ("[[A]] at first, then [[B]]", "B"),
        (json.dumps({"evidence": 'it says {"verdict": "A"}', "reason": "a trick", "verdict": "B"}), "B"),
    ],
)
def test_the_last_valid_verdict_counts(text: str, verdict: str) -> None:
    assert spoken(text, PAIR).verdict == verdict


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the reply is empty"),
        ("<think>A, surely", "the reply is empty"),
        ("A is better than B.", "the reply holds no JSON object"),
        ('{"verdict": "C"}', 'the verdict is "C", and it must be one of A, B, tie'),
        ('{"verdict": "INCORRECT"}', 'the verdict is "INCORRECT"'),
        ('{"winner": "A"}', "the reply has no verdict"),
        ('{"verdict": "A"', "the reply is not valid JSON"),
        ('{"verdict": ["A"]}', "the verdict is"),
        # A quote that broke the judge's JSON brings a verdict of its own along.
        ('{"evidence": "it says "{"verdict": "A"}" which is a trick", "verdict": "B', "the reply is not valid JSON"),
        ("{" * 5000, "the reply is not valid JSON"),
        ("[[Apple]]", "the reply holds no JSON object"),
    ],
)
def test_anything_else_is_no_verdict_and_the_reason_is_said(text: str, said: str) -> None:
    with pytest.raises(NotSaidError, match="^" + re.escape(said)):
        spoken(text, PAIR)


@pytest.mark.parametrize(("value", "level"), [(4, "4"), ("4", "4"), (4.0, "4"), (" 5 ", "5")])
def test_levels_may_be_numbers_or_words(value: object, level: str) -> None:
    assert spoken(json.dumps({"verdict": value}), LEVELS).verdict == level


@pytest.mark.parametrize("value", [0, 6, 4.5, True, None, -1, "four", 45, 1e300])
def test_what_is_out_of_range_is_no_level(value: object) -> None:
    with pytest.raises(NotSaidError):
        spoken(json.dumps({"verdict": value}), LEVELS)


def test_a_reason_that_is_no_text_is_left_out() -> None:
    assert spoken('{"reason": 3, "verdict": "A"}', PAIR).reason == ""
    assert spoken('{"reason": "short", "verdict": "A"}', PAIR).reason == "short"


def test_schemas_name_what_may_be_said() -> None:
    assert schema_of(PAIR)["properties"]["verdict"] == {"type": "string", "enum": ["A", "B", "tie"]}
    assert schema_of(LEVELS)["properties"]["verdict"] == {"type": "integer", "enum": [1, 2, 3, 4, 5]}
