"""Wrong settings are told in our words, under the key that a person wrote: every error that any setting can raise."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from assent.core.config import Config
from assent.core.problems import EXPECTED, Problem, problem_of, problems
from assent.data.swaps import Axis
from assent.data.swaps import Task as SwapTask
from assent.evaluation.suites.team import SuiteFile
from assent.pipeline.commands.evaluate import SuitesFile
from assent.pipeline.commands.judge import JudgeFile
from assent.pipeline.config import RunConfig
from assent.profiles.config import Profile
from assent.raters.constitution import Constitution
from assent.raters.rubric import Rubric
from assent.service.chat import ChatConfig
from assent.web.entry.config import SignInConfig

WRITTEN = (
    RunConfig, JudgeFile, SuitesFile, SuiteFile, ChatConfig, Profile, Constitution, Rubric, SignInConfig, Axis, SwapTask
)  # fmt: skip
"""Everything that people write as YAML."""
WRONG: tuple[Any, ...] = (
    None, True, 0, -1, 10**9, 2.5, float("nan"), float("inf"), "", "?", "x" * 300, datetime.date(2026, 1, 31), [], [1],
    [None, "a", 3], ["a"] * 40, {}, {"zzz": 1}, {"zzz": {"zzz": 1}}, {"kind": "zzz"}, {"kind": None}, [{"kind": "zzz"}],
    [{"zzz": 1}], {1: "", 7: None},
)  # fmt: skip
OURS = {
    "extra_forbidden", "invalid_key", "missing", "value_error", "union_tag_not_found", "union_tag_invalid",
    "string_pattern_mismatch",
}  # fmt: skip
THEIRS = re.compile(
    r"input should|valid (dictionary|integer|number|string|boolean|list|tuple)|instance of|unable to|input tag|"
    r"string should|extra inputs|field required|something else|of the form",
    re.IGNORECASE,
)


def classes() -> Iterator[type[Config]]:
    """Every class that can stand somewhere in a file that people write."""
    waiting: list[Any] = list(WRITTEN)
    seen: set[type[Config]] = set()
    while waiting:
        one = waiting.pop()
        waiting += get_args(one)
        if isinstance(one, type) and issubclass(one, Config) and one not in seen:
            seen.add(one)
            waiting += [field.annotation for field in one.model_fields.values()]
            yield one


CLASSES = sorted(classes(), key=lambda one: one.__name__)


def errors(config: type[Config], values: dict[str, Any]) -> ValidationError | None:
    try:
        config.model_validate(values)
    except ValidationError as error:
        return error
    return None


def stands_in(values: Any, key: str) -> bool:
    """Whether a key, or what it would stand below, was written."""
    for part in key.split(".")[:-1] if key else []:
        if isinstance(values, dict) and part in map(str, values):
            values = next(value for name, value in values.items() if str(name) == part)
        elif isinstance(values, list) and part.isdecimal() and int(part) < len(values):
            values = values[int(part)]
        else:
            return False
    return True


@pytest.mark.parametrize("config", CLASSES, ids=lambda one: one.__name__)
def test_every_error_of_every_setting_is_in_our_words_and_under_a_key_that_was_written(config: type[Config]) -> None:
    for name in [*config.model_fields, "zzz"]:
        for wrong in WRONG:
            values = {name: wrong}
            if (error := errors(config, values)) is None:
                continue
            for details in error.errors():
                assert details["type"] in OURS or details["type"] in EXPECTED, details
            for problem in problems(error, config):
                assert not THEIRS.search(str(problem)), problem
                assert stands_in(values, problem.key), (values, problem)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_no_setting_takes_a_number_that_is_not_finite(number: float) -> None:
    # Beside NaN every comparison is false, so a limit of NaN may hold back nothing.
    taken = {
        f"{config.__name__}.{name}"
        for config in CLASSES
        for name in config.model_fields
        if (error := errors(config, {name: number})) is None or all(d["loc"][:1] != (name,) for d in error.errors())
    }
    assert not taken


def test_the_walk_meets_all_kinds_of_errors() -> None:
    met = {
        details["type"]
        for config in CLASSES
        for name in config.model_fields
        for wrong in WRONG
        if (error := errors(config, {name: wrong})) is not None
        for details in error.errors()
    }
    assert {"string_pattern_mismatch", "literal_error", "greater_than", "too_short", "tuple_type", "model_type"} <= met
    assert met >= OURS and len(CLASSES) > 80


def said(values: dict[str, Any]) -> list[str]:
    whole = {"base": {"kind": "pretrained", "path": "m"}, "data": {"kind": "files", "demonstrations": [{"path": "d"}]}}
    error = errors(RunConfig, whole | values)
    assert error is not None
    return [str(one) for one in problems(error, RunConfig)]


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"sft": True}, "sft: should be settings of its own (key: value below it), got true"),
        ({"optimize": {"kind": "grpp"}}, "optimize.kind: 'grpp' is not known; did you mean 'grpo'?"),
        ({"optimize": {"kl": {"coeficient": 1}}}, "unknown key 'optimize.kl.coeficient'; did you mean 'coefficient'?"),
        ({"base": {"kind": "scratch", "path": "m"}}, "unknown key 'base.path'; "),
        ({"base": {"kind": "pretrained"}}, "base.path is missing; add it"),
        ({"base": {"path": "m"}}, "base.kind is missing; it is one of pretrained, scratch"),
        (
            {"data": {"kind": "files", "prompts": "p.jsonl"}},
            "data.prompts: should be a list, such as [{path: p.jsonl}]",
        ),
        (
            {"data": {"kind": "files", "prompts": [{"pth": "p"}]}},
            "unknown key 'data.prompts.0.pth'; did you mean 'path'?",
        ),
        ({"steps": 9}, "unknown key 'steps'; did you mean 'optimize.steps' (of kind best_of_n, grpo,"),
        ({"beta": 0.2}, "unknown key 'beta'; did you mean 'optimize.beta' (of kind dpo, kto, online_dpo or simpo)?"),
        ({"comparisons": "x"}, "unknown key 'comparisons'; did you mean 'data.comparisons' (of kind files)?"),
        ({"optimize": {"kind": "ppo", "beta": 1}}, "unknown key 'optimize.beta'; it belongs to kind dpo, kto, online_"),
        ({"optimize": {"beta": 1}}, "unknown key 'optimize.beta'; it belongs to kind dpo, kto, online_dpo or simpo"),
        ({"optimize": "dpo"}, "optimize: should be settings of its own, such as {kind: dpo}, got 'dpo'"),
        ({"collect": {"raters": "people"}}, "collect.raters: should be settings of its own, such as {kind: people},"),
        ({"collect": "people"}, "collect: should be settings of its own, such as {raters: {kind: people}}, got"),
        ({"base": "a/b"}, "base: should be settings of its own, such as {kind: pretrained, path: a/b}, got 'a/b'"),
        ({"store": "f.db"}, "store: should be settings of its own, such as {url: sqlite:///f.db}, got 'f.db'"),
        (
            {"data": {"kind": "files", "prompts": ["p.jsonl"]}},
            "data.prompts.0: should be settings of its own, such as {path: p.jsonl}, got 'p.jsonl'",
        ),
        ({"optimize": {"keep": [0]}}, "optimize.keep: a list of steps holds whole numbers from 1 up, got [0]"),
        ({"sft": {"learning_rate": 1}}, "unknown key 'sft.learning_rate'; did you mean 'sft.optimizer.learning_rate'?"),
        ({"name": "my run"}, "name: should be letters, digits, dots, hyphens and underscores, a letter or digit first"),
        ({"name": 7}, "name: should be text (put it in quotes), got 7"),
        ({"rounds": 0}, "rounds: should be at least 1, got 0"),
        ({"model": {"lora": {"target": 3}}}, "model.lora.target: should be 'all-linear', or a list, got 3"),
    ],
)
def test_what_newcomers_write_wrong_is_told_with_what_to_do(values: dict[str, Any], line: str) -> None:
    assert said(values)[0].startswith(line), said(values)


def test_an_error_without_its_class_still_uses_our_words() -> None:
    error = errors(RunConfig, {"rounds": "many"})
    assert error is not None
    rounds = next(one for one in error.errors() if one["loc"] == ("rounds",))
    assert problem_of(rounds) == Problem("rounds", "should be a whole number", got="'many'")
