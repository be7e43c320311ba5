"""A team's own suite, and answers held against references."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from suite_files import Scorer, number, sat, subject, write

from assent.checks import references
from assent.core.errors import ConfigError, DataError
from assent.evaluation.outcomes import Outcome
from assent.evaluation.suites import team
from assent.evaluation.suites.config import OwnConfig, ReferencesConfig


def own(path: Path, values: dict[str, Any], name: str = "own.yaml") -> OwnConfig:
    (path / name).write_text(yaml.safe_dump(values), encoding="utf-8")
    return OwnConfig(path=path / name)


ROWS = [{"prompt": "capital of France?", "reference": "Paris"}, {"prompt": "2 + 2?", "references": ["4", "four"]}]


@pytest.mark.parametrize(
    "said, wanted, exact, contains, f1",
    [
        ("The  Paris!", ["paris"], 1, 1, 1),
        ("ﬁne, Paris it is", ["fine paris"], 0, 1, 2 * 2 / (4 + 2)),
        ("Parisian", ["Paris"], 0, 0, 0),
        ("", ["Paris"], 0, 0, 0),
        ("four", ["4", "four"], 1, 1, 1),
        # Of these references normalising leaves nothing: articles stay, and the signs that they consist of.
        ("", ["A"], 0, 0, 0),
        ("the", ["A"], 0, 0, 0),
        ("a", ["A"], 1, 1, 1),
        ("(A).", ["A"], 1, 1, 1),
        ("A", ["(A)"], 1, 1, 1),
        ("The answer is A.", ["A"], 0, 1, 2 * 1 / (4 + 1)),
        ("", ["+"], 0, 0, 0),
        ("-", ["+"], 0, 0, 0),
        ("+", ["＋"], 1, 1, 1),
        ("A", ["A+"], 0, 0, 0),
        ("A+.", ["A+"], 1, 1, 1),
        (".", ["!"], 0, 0, 0),
        ("the", [""], 1, 1, 1),  # a question without an answer, as SQuAD 2 counts it
        # The sign of a number is no punctuation, a hyphen is.
        ("5", ["-5"], 0, 0, 0),
        ("-5", ["5"], 0, 0, 0),
        ("It is (-$5)", ["−5"], 0, 1, 2 * 1 / (3 + 1)),
        ("1990-1995", ["1990 1995"], 1, 1, 1),
        ("- 5", ["5"], 1, 1, 1),
    ],
)
def test_answers_are_held_against_the_reference_that_fits_best(
    said: str, wanted: list[str], exact: float, contains: float, f1: float
) -> None:
    assert references.exact(said, wanted) == exact and references.contains(said, wanted) == contains
    assert references.token_f1(said, wanted) == pytest.approx(f1)


@pytest.mark.parametrize(
    "said, wanted, right",
    [
        ("It is 0.00001", str(1e-05), 1),
        ("-5", str(1e-05), 0),
        ("16", str(1e16), 0),
        ("10000000000000000", str(1e16), 1),
        ("1.5e3", "1500", 1),
        ("1.5E+3 m", "1500", 1),
        ("1.5 × 10^3", "1500", 1),
        ("$1.5 \\times 10^{-3}$", "0.0015", 1),
        ("5e", "5", 1),  # no exponent
        ("it is 4", "3/4", 0),
        ("3/4", "3/4", 1),
        ("6/8", "3/4", 1),
        ("0.75", "3/4", 1),
        ("-\\frac{3}{4}", "-0.75", 1),
        ("1 3/4 cups", "1.75", 1),
        ("1\\frac{3}{4}", "1.75", 1),
        ("12/25/2024", "2024", 1),  # no fraction
        ("1/0", "0", 1),
        ("9e" + "9" * 17, "-9e" + "9" * 17, 0),
        ("9e" + "9" * 99, "9", 0),
    ],
)
def test_a_number_is_the_same_however_it_is_written(said: str, wanted: str, right: float) -> None:
    assert references.numeric(said, [wanted], tolerance=0) == right


def test_numbers_are_right_within_a_share_of_the_reference() -> None:
    assert references.numeric("about 1,010", ["1000"], tolerance=0.01) == 1
    assert references.numeric("about 1,011", ["1000"], tolerance=0.01) == 0
    assert references.numeric("none", ["1000"], tolerance=1) == 0


def test_corpus_metrics_are_those_of_sacrebleu_on_all_answers_at_once(tmp_path: Path) -> None:
    from sacrebleu.metrics import BLEU, CHRF

    said = ["the cat sat on the mat today", "a dog barked at the old man", "it rains"]
    known = [["the cat sat on the mat"], ["the dog barked at an old man", "a dog barked at the man"], ["it is raining"]]
    rows = [{"prompt": f"p{n}", "references": some} for n, some in enumerate(known)]
    config = ReferencesConfig(path=write(tmp_path / "r.jsonl", rows), metrics=("bleu", "chrf", "rouge"))
    got, found = sat(config, subject(answer=lambda p: said[int(p.text[1:])]))
    streams = [[some[n] if n < len(some) else None for some in known] for n in range(2)]
    assert number(got, "bleu") == pytest.approx(BLEU().corpus_score(said, streams).score)
    assert number(got, "chrf") == pytest.approx(CHRF(word_order=2).corpus_score(said, streams).score)
    assert "version:" in str(found.notes["signature of bleu"]) and "nw:2" in str(found.notes["signature of chrf"])
    assert got["bleu"] is not None and got["bleu"].low < got["bleu"].estimate < got["bleu"].high
    # "a dog barked at the old man" shares 6 words with the second reference of 6: F = 2 * 6 / (7 + 6).
    assert found.outcomes[1].values["rouge1"] == pytest.approx(12 / 13)


def test_bits_per_byte_are_those_of_the_reference_that_is_foreseen_best(tmp_path: Path) -> None:
    rows = [{"prompt": "p", "references": ["four", "ä"]}]
    logs = {"four": -4 * math.log(2), "ä": -6 * math.log(2)}
    config = ReferencesConfig(path=write(tmp_path / "r.jsonl", rows), metrics=("bits_per_byte",))
    said, _ = sat(config, subject(liking=lambda text, option: logs.get(option, 0.0)))
    assert number(said, "bits_per_byte") == pytest.approx(1)  # 4 bits of 4 bytes; the other 6 bits of 2


def test_a_long_answer_is_held_against_references_too(tmp_path: Path) -> None:
    rows = [{"prompt": f"p{n}", "reference": "Paris in spring"} for n in range(2)]
    config = ReferencesConfig(
        path=write(tmp_path / "r.jsonl", rows), metrics=("exact", "f1", "numeric", "bleu", "chrf", "rouge")
    )
    said, _ = sat(config, subject(answer=lambda p: "Paris " * 33_000))
    assert number(said, "exact") == 0 and 0 < number(said, "f1") < 0.01


def test_rows_and_a_metric_in_one_file_make_a_suite(tmp_path: Path) -> None:
    config = own(tmp_path, {"about": "Facts.", "rows": ROWS, "metric": "contains"})
    said, found = sat(config, subject(answer=lambda p: "It is Paris."))
    assert list(said) == ["contains"] and number(said, "contains") == 0.5 and found.notes["about"] == "Facts."
    assert found.nulls["constant"] == {"contains": 0}


def test_rows_may_lie_in_a_file_beside_and_their_content_counts_in_the_key(tmp_path: Path) -> None:
    write(tmp_path / "rows.jsonl", ROWS)
    config = own(tmp_path, {"rows": "rows.jsonl", "metric": "exact"})
    before = team.beside(config)
    assert number(sat(config, subject(answer=lambda p: "four"))[0], "exact") == 0.5
    write(tmp_path / "rows.jsonl", ROWS[:1])
    assert team.beside(config) != before and set(team.beside(config)) == set(before)


def test_options_patterns_and_functions_are_metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"prompt": "p", "options": ["no", "yes"], "answer": "yes"}
    config = own(tmp_path, {"rows": [row], "metric": "choice"})
    said, _ = sat(config, subject(liking=lambda text, option: float(option == "yes")))
    assert number(said, "choice") == 1
    config = own(tmp_path, {"rows": [{"prompt": "p", "pattern": r"^\d+$"}], "metric": "regex"})
    assert number(sat(config, subject(answer=lambda p: "42"))[0], "regex") == 1
    (tmp_path / "polite.py").write_text(
        "def thanks(prompts, answers):\n    return [float(p.meta['word'] in a) for p, a in zip(prompts, answers)]\n",
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)
    config = own(tmp_path, {"rows": [{"prompt": "p", "word": "please"}], "target": "polite:thanks"})
    assert number(sat(config, subject(answer=lambda p: "yes please"))[0], "target") == 1
    assert "polite:thanks" in team.beside(config)


def test_each_criterion_of_the_judge_is_a_measure(tmp_path: Path) -> None:
    config = own(tmp_path, {"rows": ROWS, "criteria": ["helpful"]})
    judge = Scorer(lambda task: {"helpful": 4.0, "honest": 1.0})
    said, found = sat(config, subject(answer=lambda p: "x"), judge)
    assert list(said) == ["helpful"] and number(said, "helpful") == 0.75
    assert list(found.nulls) == ["constant"]  # a judge is dear: one answer without thought is enough
    with pytest.raises(ConfigError, match="did you mean 'helpful'"):
        sat(own(tmp_path, {"rows": ROWS, "criteria": ["helpfull"]}), subject(answer=lambda p: "x"), judge)


def test_a_file_takes_rows_and_settings_of_those_it_includes(tmp_path: Path) -> None:
    own(tmp_path, {"rows": ROWS[:1], "metric": "exact"}, "below.yaml")
    config = own(tmp_path, {"include": ["below.yaml"], "rows": ROWS[1:]})
    said, found = sat(config, subject(answer=lambda p: "Paris"))
    assert number(said, "exact") == 0.5 and len(found.outcomes) == 2


@pytest.mark.parametrize(
    "values, told",
    [
        ({"rows": ROWS, "metric": "exat"}, "unknown metric 'exat'; did you mean 'exact'"),
        ({"rows": ROWS}, "nothing is measured"),
        ({"metric": "exact"}, "no rows"),
        ({"rows": ROWS, "metric": "exact", "include": ["own.yaml"]}, "own.yaml includes own.yaml"),
        ({"rows": ROWS, "metric": "exact", "include": ["gone.yaml"]}, "gone.yaml"),
        ({"rows": ROWS, "metrics": "exact"}, "metrics"),
        ({"rows": ROWS, "target": "nowhere:f"}, "no module 'nowhere'"),
    ],
)
def test_a_file_that_makes_no_suite_is_refused_in_one_line(tmp_path: Path, values: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told) as caught:
        sat(own(tmp_path, values), subject())
    assert "\n" not in str(caught.value)


def test_two_files_that_include_each_other_are_refused(tmp_path: Path) -> None:
    own(tmp_path, {"include": ["own.yaml"], "rows": ROWS, "metric": "exact"}, "other.yaml")
    with pytest.raises(ConfigError, match=r"own.yaml includes other.yaml includes own.yaml"):
        sat(own(tmp_path, {"include": ["other.yaml"], "rows": ROWS}), subject())


@pytest.mark.parametrize(
    "row, metric, told",
    [
        ({"prompt": "p"}, "exact", "reference"),
        ({"reference": "x"}, "exact", "prompt"),
        ({"prompt": "p", "pattern": "("}, "regex", "no regular expression"),
        ({"prompt": "p", "options": ["a", "b"], "answer": "c"}, "choice", "'c' should stand once"),
    ],
)
def test_a_row_without_what_the_metric_wants_is_named(tmp_path: Path, row: Any, metric: str, told: str) -> None:
    with pytest.raises(DataError, match=rf"own.yaml:1.*{told}"):
        sat(own(tmp_path, {"rows": [row], "metric": metric}), subject())


def test_outcomes_hold_nothing_that_json_cannot_say(tmp_path: Path) -> None:
    config = own(tmp_path, {"rows": ROWS, "metric": "f1"})
    _, found = sat(config, subject(answer=lambda p: "\udcff lone"))
    assert all(isinstance(one, Outcome) and json.dumps(one.values, allow_nan=False) for one in found.outcomes)
