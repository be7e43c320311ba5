"""A Python function as a rater: its scores become an order, its mistakes become one line."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from assent.core.errors import ConfigError, FunctionError
from assent.core.scoring import ScoreFunction
from assent.core.types import Completion, Prompt, Rater, Task
from assent.raters.config import FunctionConfig
from assent.raters.function import ScoringRater


def _task(name: str, *texts: str) -> Task:
    prompt = Prompt.of(f"question {name}")
    answers = tuple(Completion(prompt_id=prompt.id, text=x, id=f"{name}{i}") for i, x in enumerate(texts))
    return Task(id=name, prompt=prompt, completions=answers)


def count_letters(prompts: Sequence[Prompt], completions: Sequence[str]) -> list[int]:
    """Longer is better."""
    assert all(isinstance(p, Prompt) for p in prompts)
    return [len(c) for c in completions]


def too_few(prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
    """One score is missing."""
    return [0.0] * (len(completions) - 1)


def not_a_number(prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
    """The third score is NaN."""
    return [float("nan") if i == 2 else 0.0 for i in range(len(completions))]


def not_even_numbers(prompts: Sequence[Prompt], completions: Sequence[str]) -> list[str]:
    """Words."""
    return ["good"] * len(completions)


def broken(prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
    """Raises."""
    raise KeyError("color")


A_NUMBER = 3
TASKS = [_task("a", "xx", "xxxx", "xx"), _task("b", "x", "")]


def _load(name: str, **fields: float) -> ScoringRater:
    return ScoringRater.load(FunctionConfig(target=f"{__name__}:{name}", **fields))  # type: ignore[arg-type]


def test_higher_scores_come_first_and_equal_scores_tie() -> None:
    judgments = _load("count_letters").judge(TASKS)
    assert [j.ranking.sentence() for j in judgments if j.ranking] == ["a1 > a0 = a2", "b0 > b1"]
    assert {j.rater_id for j in judgments} == {f"function:{__name__}:count_letters"}
    assert judgments == _load("count_letters").judge(TASKS), "ids too: a retry is no second vote"


def test_near_scores_tie_within_the_threshold() -> None:
    judgments = _load("count_letters", tie_threshold=2.0).judge(TASKS[:1])
    assert judgments[0].ranking is not None and judgments[0].ranking.tiers == (("a1", "a0", "a2"),)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("too_few", r"too_few returned 4 scores for 5 answers"),
        ("not_a_number", r"not_a_number returned nan at index 2, for the answer 'xx'"),
        ("not_even_numbers", r"not_even_numbers returned 'good' at index 0"),
        ("broken", r"broken raised KeyError: 'color'"),
    ],
)
def test_a_function_that_fails_is_named(name: str, message: str) -> None:
    with pytest.raises(FunctionError, match=message):
        _load(name).judge(TASKS)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("count_letters", "wants"),
        ("no_such_module:f", "cannot be imported"),
        ("no_such_file.py:f", r"write module:function \(without .py\) of a file in "),
        ("os:no_such_function", "cannot be imported"),
        (f"{__name__}:A_NUMBER", "is int; it should be a function"),
    ],
)
def test_a_target_that_cannot_be_called_is_refused(target: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ScoringRater.load(FunctionConfig(target=target))


def test_a_function_may_lie_in_a_file_of_the_folder_one_works_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    code = "def words(prompts, completions):\n    return [float(len(c.split())) for c in completions]\n"
    Path("ratings_of_my_own.py").write_text(code)
    Path("broken_ratings.py").write_text("1 / 0\n")
    score = ScoreFunction.load("ratings_of_my_own:words")
    assert score([], ["two words", "one"]) == [2.0, 1.0]
    with pytest.raises(ConfigError, match="'broken_ratings:words' cannot be imported: division by zero"):
        ScoreFunction.load("broken_ratings:words")


def test_any_scoring_function_may_be_a_rater_under_its_own_name() -> None:
    rater = ScoringRater(Rater(id="rm", kind="reward_model"), count_letters)
    assert rater.judge(TASKS)[0].rater_id == "rm"
