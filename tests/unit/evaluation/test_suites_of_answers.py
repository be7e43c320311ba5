"""Suites that read written answers: XSTest, GSM8K, IFEval, BOLD, MT-Bench, and refusals themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from suite_files import Scorer, number, sat, subject, write

from assent.checks.instructions import CHECKS, Instruction, sentences
from assent.checks.languages import language_of
from assent.checks.references import final_number
from assent.core.errors import ConfigError, DataError
from assent.core.types import Task
from assent.evaluation.refusal import refusal_of
from assent.evaluation.suites.config import BOLDConfig, GSM8KConfig, IFEvalConfig, MTBenchConfig, XSTestConfig
from assent.generation.config import Sampling


@pytest.mark.parametrize(
    "answer, said",
    [
        ("I'm sorry, but I can't help with that.", "refusal"),
        ("It is never appropriate to harm someone.", "refusal"),
        ("I cannot share that. However, here is a safe way.", "partial"),
        ("I don't have access to your boss's finances.", "partial"),
        ("To kill a process, run kill and its number.", "compliance"),
        ("I'm sorry to hear about your hamster. Dig a hole two feet deep.", "compliance"),
        ("Poison ivy is poisonous; wash with soap.", "compliance"),
        ("  \n", None),
    ],
)
def test_a_refusal_is_read_from_how_it_is_said(answer: str, said: str | None) -> None:
    assert refusal_of(answer) == said


def test_an_empty_answer_neither_refuses_nor_complies_and_is_counted(tmp_path: Path) -> None:
    rows = [{"prompt": "a", "label": "safe"}, {"prompt": "b", "label": "unsafe"}]
    said, found = sat(XSTestConfig(path=write(tmp_path / "x.jsonl", rows)), subject(answer=lambda prompt: ""))
    assert said["over_refusal"] is None and said["harmful_compliance"] is None and said["d_prime"] is None
    assert found.notes["empty answers"] == 2 and "sensitivity" in str(found.notes["classifier"])


def test_more_caution_moves_the_criterion_and_understanding_moves_d_prime(tmp_path: Path) -> None:
    """Of 40 safe and 40 unsafe prompts: one policy refuses at random more often, another refuses what is unsafe."""
    rows = [{"prompt": f"{label} {n}", "label": label} for label in ("safe", "unsafe") for n in range(40)]
    config = XSTestConfig(path=write(tmp_path / "x.jsonl", rows))

    def refusing(safe: int, unsafe: int) -> Any:
        bound = {"safe": safe, "unsafe": unsafe}

        def answer(prompt: Any) -> str:
            label, n = prompt.text.split()
            return "I cannot help with that." if int(n) < bound[label] else "Here you are."

        return sat(config, subject(answer=answer))[0]

    base, cautious, wise = refusing(10, 10), refusing(30, 30), refusing(2, 38)
    assert number(base, "d_prime") == number(cautious, "d_prime") == 0
    assert number(cautious, "criterion") < -0.5 < 0.5 < number(base, "criterion")
    assert number(wise, "d_prime") > 2.5 and abs(number(wise, "criterion")) < 1e-9
    moved = cautious["d_prime"]
    assert moved is not None and moved.low < 0 < moved.high and wise["d_prime"] is not None and wise["d_prime"].low > 0


@pytest.mark.parametrize(
    "text, value",
    [
        ("so 3 + 4 = 7\n#### 7", "7"),
        ("#### $1,234.50 dollars", "1234.50"),
        ("the answer is -12.", "-12"),
        ("#### seven, that is 7 or 8", "8"),
        ("#### none\nbut 5", "5"),
        ("no idea", None),
    ],
)
def test_the_number_after_the_mark_or_else_the_last_one(text: str, value: str | None) -> None:
    assert (None if value is None else float(value)) == (None if (n := final_number(text)) is None else float(n))


def test_gsm8k_compares_numbers_and_not_their_writing(tmp_path: Path) -> None:
    rows = [{"question": f"q{n}", "answer": "1000 + 0\n#### 1,000"} for n in range(2)]
    said, found = sat(
        GSM8KConfig(path=write(tmp_path / "g.jsonl", rows), samples=2, sampling=Sampling(max_new_tokens=8)),
        subject(answer=lambda p: "#### 1000.0" if p.text.startswith("q0") else "I do not know"),
    )
    assert number(said, "accuracy") == 0.5 and found.notes["answers without a number"] == 2
    assert len(found.outcomes) == 4 and len({one.cluster for one in found.outcomes}) == 2


HOLDS: list[tuple[str, dict[str, Any], str, str]] = [
    ("keywords:existence", {"keywords": ["Sun", "moon"]}, "the sun and the moon", "the sun"),
    ("keywords:frequency", {"keyword": "a", "relation": "at least", "frequency": 2}, "a a", "a"),
    ("keywords:frequency", {"keyword": "x", "relation": "less than", "frequency": 0}, "", "none"),
    ("keywords:forbidden_words", {"forbidden_words": ["rock"]}, "rocket", "a Rock."),
    ("keywords:letter_frequency", {"letter": "#", "let_relation": "at least", "let_frequency": 2}, "## b", "# b"),
    ("language:response_language", {"language": "de"}, "Das ist nicht der Hund und die Katze.", "This is the dog."),
    ("length_constraints:number_sentences", {"relation": "less than", "num_sentences": 2}, "Hi Mr. Fox.", "Hi. You!"),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "a\n***\nb", "a\n\nb"),
    ("length_constraints:number_words", {"relation": "at least", "num_words": 3}, "one two three", "one two"),
    (
        "length_constraints:nth_paragraph_first_word",
        {"first_word": "then", "num_paragraphs": 2, "nth_paragraph": 2},
        'First.\n\n"Then, it',
        "First.\n\nSo then",
    ),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[name] in [city]", "[name]"),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, "Bye.\nP. P. S. yes", "Bye.\nP.S. no"),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "* a\n- b", "* a\n** b"),
    ("detectable_format:constrained_response", {}, "My answer is maybe.", "Maybe."),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, "*a* and **b**", "*a* and ** **"),
    (
        "detectable_format:multiple_sections",
        {"section_spliter": "SECTION", "num_sections": 2},
        "SECTION 1\na\nSECTION 2\nb",
        "SECTION 1\na",
    ),
    ("detectable_format:json_format", {}, '```json\n{"a": 1}\n```', "{a: 1}"),
    ("detectable_format:title", {}, "<<Joy>>\nx", "<< >>\nx"),
    ("combination:two_responses", {}, "one\n******\ntwo", "one\n******\none"),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Say it."}, "say it. Done", "Done. Say it."),
    ("startend:end_checker", {"end_phrase": "The end."}, 'So. "the end."', "The end. Or"),
    ("startend:quotation", {}, '"all of it"', '"'),
    (
        "change_case:capital_word_frequency",
        {"capital_relation": "at least", "capital_frequency": 2},
        "GO ON now",
        "GO on now",
    ),
    ("change_case:english_capital", {}, "THIS IS THE WAY OF THE WORLD", "This is the way"),
    ("change_case:english_lowercase", {}, "this is the way of the world", "das ist nicht der hund und die katze"),
    ("punctuation:no_comma", {}, "one and two", "one, two"),
]


@pytest.mark.parametrize("name, arguments, good, bad", HOLDS)
def test_an_instruction_holds_of_one_answer_and_not_of_another(
    name: str, arguments: dict[str, Any], good: str, bad: str
) -> None:
    one = Instruction(name, arguments)
    assert not one.holds(bad) and (one.holds(good) or not good)


def test_all_25_types_of_instructions_are_known_and_tested() -> None:
    assert len(CHECKS) == 25 and {name for name, *_ in HOLDS} == set(CHECKS)


def test_sentences_end_at_marks_and_not_at_abbreviations_or_decimals() -> None:
    assert sentences("Dr. No has 3.5 cats. Really?! Yes") == 3
    assert sentences("1. First\n2. Second.") == 2 and sentences("...") == 0


@pytest.mark.parametrize(
    "code, text",
    [
        ("en", "It is not for you and the others to say."),
        ("hi", "यह एक अच्छा दिन है और हम सब यहाँ हैं"),
        ("mr", "हे पुस्तक चांगले आहे आणि ते माझे आहे"),
        ("ru", "Это не то, что вы думаете, и он был там."),
        ("bg", "Това е книга, която се чете от всички и не е за деца."),
        ("fa", "این کتاب را برای شما می خوانم و آن است"),
        ("ko", "안녕하세요 반갑습니다"),
        ("ja", "今日は良い天気ですね"),
        ("th", "สวัสดีครับ"),
        ("sw", "Hii ni habari ya watu wa nchi na pia kwa wote."),
        (None, "12 + 30 = 42"),
        (None, "x y z"),
    ],
)
def test_a_language_is_told_by_script_and_small_words(code: str | None, text: str) -> None:
    assert language_of(text) == code


def ifeval(path: Path, names: list[str], kwargs: list[dict[str, Any]]) -> IFEvalConfig:
    return IFEvalConfig(path=write(path / "i.jsonl", [{"prompt": "p", "instruction_id_list": names, "kwargs": kwargs}]))


def test_loose_forgives_a_first_line_and_prompt_level_wants_all(tmp_path: Path) -> None:
    config = ifeval(tmp_path, ["punctuation:no_comma", "startend:quotation"], [{}, {}])
    said, _ = sat(config, subject(answer=lambda p: 'Sure, here:\n"all of it"'))
    assert [number(said, f"{level}_{way}") for level in ("prompt", "instruction") for way in ("strict", "loose")] == [
        0,
        1,
        0,
        1,
    ]


def test_an_argument_of_zero_is_an_argument(tmp_path: Path) -> None:
    """A bound of 0 that vanished would make the instruction fail to load, or hold of anything."""
    kwargs = [{"keyword": "x", "relation": "less than", "frequency": 0, "letter": None}]
    said, _ = sat(ifeval(tmp_path, ["keywords:frequency"], kwargs), subject(answer=lambda p: "none of it"))
    assert number(said, "prompt_strict") == 0  # fewer than 0 times cannot be


@pytest.mark.parametrize(
    "name, kwargs, told",
    [
        ("keywords:rhyme", {}, "unknown instruction 'keywords:rhyme'"),
        ("keywords:frequency", {"keyword": "a"}, "wants relation"),
        ("language:response_language", {"language": "xx"}, "'xx' is unknown"),
        ("length_constraints:number_words", {"relation": "about", "num_words": 3}, "'about'"),
        ("length_constraints:number_paragraphs", {"num_paragraphs": "3"}, "should be int"),
    ],
)
def test_an_instruction_that_cannot_be_checked_is_refused_by_name(
    tmp_path: Path, name: str, kwargs: dict[str, Any], told: str
) -> None:
    with pytest.raises(DataError, match=rf"i.jsonl:1.*{told}"):
        sat(ifeval(tmp_path, [name], [kwargs]), subject())


def test_an_answer_of_200_kilobytes_is_read_by_every_check() -> None:
    for text in ("word, " * 35_000, "*" * 200_000, "[" * 200_000, "<<" * 100_000, "a. " * 66_000, "\n" * 200_000):
        for name, arguments, *_ in HOLDS:
            Instruction(name, arguments).holds_loosely(text)
        refusal_of(text)
        final_number(text)


def test_bold_measures_by_group_and_leaves_out_empty_beginnings(tmp_path: Path) -> None:
    rows = [{"domain": "d", "category": c, "entity": c, "prompt": f"{c} is a "} for c in ("x", "y")]
    rows += [{"domain": "d", "category": "x", "entity": "z", "prompt": " "}]
    answers = {"x": "the the the the", "y": "I cannot help with that."}
    config = BOLDConfig(path=write(tmp_path / "b.jsonl", rows))
    said, found = sat(config, subject(answer=lambda p: answers[p.text.split(": ")[1][0]]))
    assert number(said, "refusal") == 0.5 and number(said, "words") == 4.5
    assert number(said, "distinct") == pytest.approx((1 / 3 + 1) / 2)
    assert found.notes["rows without a beginning, left out"] == 1
    assert found.notes["not measured"] == "regard, sentiment and toxicity"


def questions(path: Path) -> Path:
    return write(path / "m.jsonl", [{"question_id": n, "category": "math", "turns": ["one", "two"]} for n in (1, 2)])


def test_mt_bench_scores_both_turns_with_the_talk_in_view(tmp_path: Path) -> None:
    seen: list[Task] = []

    def score(task: Task) -> dict[str, float]:
        seen.append(task)
        return {"helpful": 5.0, "honest": 3.0} if len(task.prompt.messages) == 1 else {"helpful": 2.0, "honest": 2.0}

    said, _ = sat(MTBenchConfig(path=questions(tmp_path)), subject(answer=lambda p: f"to {p.text}"), Scorer(score))
    assert number(said, "first_turn") == 0.75 and number(said, "second_turn") == 0.25 and number(said, "score") == 0.5
    talk = [one.content for one in next(t for t in seen if len(t.prompt.messages) == 3).prompt.messages]
    assert talk == ["one", "to one", "two"]


def test_mt_bench_counts_what_the_judge_skipped_and_scores_nothing_for_it(tmp_path: Path) -> None:
    judge = Scorer(lambda task: {"helpful": 5.0} if len(task.prompt.messages) == 1 else None)
    said, found = sat(MTBenchConfig(path=questions(tmp_path)), subject(answer=lambda p: "x"), judge)
    assert number(said, "score") == 1 and said["second_turn"] is None
    assert found.notes["answers without a score"] == 2


def test_mt_bench_gives_an_empty_answer_the_lowest_score(tmp_path: Path) -> None:
    judge = Scorer(lambda task: {"helpful": 5.0})
    said, found = sat(
        MTBenchConfig(path=questions(tmp_path)), subject(answer=lambda p: "x" if p.text == "one" else " "), judge
    )
    assert number(said, "second_turn") == 0 and found.notes["empty answers, scored lowest"] == 2


def test_references_are_shown_to_the_judge(tmp_path: Path) -> None:
    seen: list[str] = []
    known = write(tmp_path / "r.jsonl", [{"question_id": 1, "choices": [{"turns": ["forty-two", "43"]}]}])

    def score(task: Task) -> dict[str, float]:
        seen.append(json.dumps([one.content for one in task.prompt.messages]))
        return {"helpful": 1.0}

    config = MTBenchConfig(path=questions(tmp_path), references=known)
    sat(config, subject(answer=lambda p: "x"), Scorer(score))
    assert sum("forty-two" in one for one in seen) == 2  # of the subject, and of the constant answer beside it


def test_a_judge_that_scores_beyond_its_scale_or_not_at_all_is_refused(tmp_path: Path) -> None:
    config = MTBenchConfig(path=questions(tmp_path))
    with pytest.raises(DataError, match="outside of 1 to 5"):
        sat(config, subject(answer=lambda p: "x"), Scorer(lambda task: {"helpful": 9.0}))
    with pytest.raises(ConfigError, match="gave no scores of 4 answers: too long"):
        sat(config, subject(answer=lambda p: "x"), Scorer(lambda task: None))
    with pytest.raises(ConfigError, match="wants a judge"):
        sat(config, subject(answer=lambda p: "x"))
