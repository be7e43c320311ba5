"""Terms that a program checks: what each answer is worth, worked out by hand, and what a prompt must bring along."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from assent.core.errors import DataError
from assent.core.types import Prompt
from assent.training.check_terms import (
    CheckTerm,
    ExactRewardConfig,
    FormatRewardConfig,
    InstructionsRewardConfig,
    LengthRewardConfig,
    NumericRewardConfig,
)

TAGS = FormatRewardConfig(tags=("think", "answer"))
KEYS = FormatRewardConfig(json_keys=("name", "age"))
TWO = {"instruction_id_list": ["punctuation:no_comma", "keywords:existence"], "kwargs": [{}, {"keywords": ["rain"]}]}


@pytest.mark.parametrize(
    ("term", "meta", "answer", "worth"),
    [
        (ExactRewardConfig(), {"answer": "The Blue Whale"}, "blue whale.", 1.0),
        (ExactRewardConfig(), {"answer": "blue whale"}, "It is the blue whale.", 0.0),
        (ExactRewardConfig(match="within"), {"answer": "blue whale"}, "It is the blue whale.", 1.0),
        # 2 of 4 words of the answer, 2 of 2 of the reference: 2 * 2 / 6.
        (ExactRewardConfig(match="overlap"), {"answer": "blue whale"}, "It is blue whale", 2 / 3),
        (ExactRewardConfig(key="extra.gold"), {"extra": {"gold": ["no", "yes"]}}, "Yes", 1.0),
        (ExactRewardConfig(key="extra.gold"), {"extra.gold": "a", "extra": {"gold": "b"}}, "a", 1.0),
        (NumericRewardConfig(), {"answer": "48/2 = 24 and 48+24 = 72\n#### 72"}, "So 72 clips.", 1.0),
        (NumericRewardConfig(), {"answer": "#### 1,072"}, "#### 1072\nHope it helps your 3 cats", 1.0),
        (NumericRewardConfig(), {"answer": 72}, "72 in April, 24 in May", 0.0),
        (NumericRewardConfig(), {"answer": 72}, "I do not know", 0.0),
        (NumericRewardConfig(tolerance=0.1), {"answer": 100}, "about 109.9", 1.0),
        (NumericRewardConfig(tolerance=0.1), {"answer": 100}, "about 110.1", 0.0),
        (NumericRewardConfig(), {"answer": 1e-05}, "It is 0.00001", 1.0),
        (NumericRewardConfig(), {"answer": 1e-05}, "-5", 0.0),
        (NumericRewardConfig(), {"answer": 1e16}, "16", 0.0),
        (NumericRewardConfig(), {"answer": "3/4"}, "it is 4", 0.0),
        (NumericRewardConfig(), {"answer": "3/4"}, "#### 0.75", 1.0),
        (ExactRewardConfig(), {"answer": "A"}, "", 0.0),
        (ExactRewardConfig(match="within"), {"answer": "A"}, "The answer is A", 1.0),
        (ExactRewardConfig(), {"answer": -5}, "5", 0.0),
        (FormatRewardConfig(regex=r"\d+(\n\d+)*"), {}, "1\n22", 1.0),
        (FormatRewardConfig(regex=r"\d+"), {}, "1 apple", 0.0),
        (KEYS, {}, '```json\n{"name": "Ada", "age": 36, "more": []}\n```', 1.0),
        (KEYS, {}, '{"name": "Ada"}', 0.0),
        (KEYS, {}, 'Here: {"name": "Ada", "age": 36}', 0.0),
        (KEYS, {}, '["name", "age"]', 0.0),
        (KEYS, {}, "[" * 100_000, 0.0),
        (TAGS, {}, "<think>2+2</think> <answer>4</answer>", 1.0),
        (TAGS, {}, "<answer>4</answer><think>2+2</think>", 0.0),
        (TAGS, {}, "<think>2+2<answer>4</think></answer>", 0.0),
        (TAGS, {}, "<think>a</think><think>b</think><answer>4</answer>", 0.0),
        (FormatRewardConfig(tags=("a",), regex=r"<a>.*"), {}, "so <a>1</a>", 0.0),
        (LengthRewardConfig(least=2, most=4, price=0.1), {}, "one two", 0.0),
        (LengthRewardConfig(least=2, most=4, price=0.1), {}, "one", -0.1),
        (LengthRewardConfig(least=2, most=4, price=0.1), {}, "w " * 7, -0.3),
        (LengthRewardConfig(most=4, price=0.1), {}, "w " * 40, -1.0),
        (InstructionsRewardConfig(), TWO, "Rain falls.", 1.0),
        (InstructionsRewardConfig(), TWO, "Rain, it falls.", 0.5),
        (InstructionsRewardConfig(count="all"), TWO, "Rain, it falls.", 0.0),
        (InstructionsRewardConfig(), {"instruction_id_list": ["punctuation:no_comma"]}, "No", 1.0),
        (
            InstructionsRewardConfig(),
            {"instruction_id_list": ["change_case:english_lowercase"]},
            "Sure!\nso it is",
            0.0,
        ),
        (
            InstructionsRewardConfig(loose=True),
            {"instruction_id_list": ["change_case:english_lowercase"]},
            "Sure!\nso it is",
            1.0,
        ),
    ],
)
def test_an_answer_is_worth_what_it_is_by_hand(
    term: CheckTerm, meta: dict[str, Any], answer: str, worth: float
) -> None:
    prompt = Prompt.of("?", **meta)
    term.refuse_prompt(prompt)
    assert term.score(prompt, answer) == pytest.approx(worth)


@pytest.mark.parametrize(
    ("term", "meta", "said"),
    [
        (ExactRewardConfig(), {"reference": "4"}, "no 'answer'.*'reference'"),
        (ExactRewardConfig(key="a.b"), {"a": "4"}, "no 'a.b'"),
        (ExactRewardConfig(), {"answer": []}, "should be a text, a number, or a list"),
        (ExactRewardConfig(), {"answer": True}, "should be a text, a number, or a list"),
        (NumericRewardConfig(), {"answer": "four"}, "holds no number"),
        (InstructionsRewardConfig(), {"instruction_id_list": []}, "a list of instruction ids"),
        (InstructionsRewardConfig(), {"instruction_id_list": ["a:b"]}, "unknown instruction 'a:b'"),
        (InstructionsRewardConfig(), {"instruction_id_list": ["keywords:existence"]}, "wants keywords"),
        (InstructionsRewardConfig(), {**TWO, "kwargs": [{}]}, "2 instructions want one mapping"),
    ],
)
def test_a_prompt_without_what_a_term_reads_is_refused(term: CheckTerm, meta: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        term.refuse_prompt(Prompt.of("?", **meta))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"kind": "format"}, "asks for nothing"),
        ({"kind": "format", "regex": "("}, "no regular expression"),
        ({"kind": "length", "least": 5, "most": 4}, "below least"),
        ({"kind": "length"}, "asks for nothing"),
    ],
)
def test_a_check_that_asks_for_nothing_is_refused(settings: dict[str, Any], said: str) -> None:
    kinds = {"format": FormatRewardConfig, "length": LengthRewardConfig}
    with pytest.raises(ValidationError, match=said):
        kinds[settings["kind"]].model_validate(settings)
