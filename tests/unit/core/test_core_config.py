"""Configuration: a wrong key names the right one, overlays merge, --set comes last."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field

from assent.core.config import Config, overlay, read_yaml
from assent.core.errors import ConfigError


class PPO(Config):
    kind: Literal["ppo"] = "ppo"
    clip: float = Field(default=0.2, gt=0)


class DPO(Config):
    kind: Literal["dpo"] = "dpo"
    beta: float = 0.1


class Run(Config):
    seed: int
    optimize: Annotated[PPO | DPO, Field(discriminator="kind")] = PPO()


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"seed": 1, "optimise": {}}, "run.yaml: unknown key 'optimise'; did you mean 'optimize'?"),
        ({"seed": 1, "optimize": {"kind": "dpo", "bta": 1}}, "'optimize.bta'; did you mean 'beta'?"),
        ({"seed": 1, "optimize": {"kind": "dpo", "zzz": 1}}, "known keys: beta, kind"),
        ({}, "run.yaml: seed is missing; add it"),
        ({"seed": "x"}, "run.yaml: seed: should be a whole number, got 'x'"),
        ({"seed": 1, "optimize": {"kind": "ppo", "clip": 0}}, "clip: should be above 0, got 0"),
    ],
)
def test_a_problem_is_one_line_with_key_value_and_what_would_fit(values: dict[str, object], line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Run.parse(values, where="run.yaml")
    assert line in str(caught.value) and "\n" not in str(caught.value)


def test_overlays_merge_mappings_and_replace_everything_else() -> None:
    below = {"a": {"x": 1, "y": [1, 2]}, "b": 1}
    assert overlay(below, {"a": {"y": [3]}, "c": 2}) == {"a": {"x": 1, "y": [3]}, "b": 1, "c": 2}
    assert below == {"a": {"x": 1, "y": [1, 2]}, "b": 1}


def test_another_kind_takes_nothing_from_the_kind_below() -> None:
    below = {"optimize": {"kind": "ppo", "clip": 0.1}}
    assert overlay(below, {"optimize": {"kind": "dpo"}}) == {"optimize": {"kind": "dpo"}}
    assert overlay(below, {"optimize": {"clip": 0.3}}) == {"optimize": {"kind": "ppo", "clip": 0.3}}


def test_broken_yaml_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("seed: 1\nbase: [1, 2\n")
    with pytest.raises(ConfigError, match=r"run\.yaml:3: not valid YAML"):
        read_yaml(path)
    path.write_text("- 1\n")
    with pytest.raises(ConfigError, match="expected keys and values at the top, got list"):
        read_yaml(path)
    with pytest.raises(ConfigError, match="cannot read"):
        read_yaml(tmp_path / "missing.yaml")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("2020-02-30", "'2020-02-30' is no timestamp: day is out of range for month; correct it, or put it in quotes"),
        ("2020-01-31T25:00:00", "'2020-01-31T25:00:00' is no timestamp: hour must be in 0..23"),
        ("0b_", "'0b_' is no int: "),
        ("!!float much", "'much' is no float: "),
        ("!!bool maybe", "'maybe' is no bool; correct it"),
        ("!!timestamp soon", "'soon' is no timestamp; correct it"),
    ],
)
def test_a_value_that_only_looks_like_a_date_or_a_number_is_named_with_its_line(
    tmp_path: Path, value: str, said: str
) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(f"seed: 1\nbase: {{days: [1, {value}]}}\n")
    with pytest.raises(ConfigError) as caught:
        read_yaml(path)
    assert str(caught.value).startswith(f"{path}:2: not valid YAML: {said}") and "\n" not in str(caught.value)


def test_quotes_make_a_text_of_it_and_a_leap_day_is_a_day(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("a: '2020-02-30'\nb: 2020-02-29\n")
    assert read_yaml(path) == {"a": "2020-02-30", "b": datetime.date(2020, 2, 29)}


def test_yaml_that_is_nested_too_deeply_is_an_error_in_a_line(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("a: " + "[" * 5000)
    with pytest.raises(ConfigError, match=r"run\.yaml: not valid YAML: nested too deeply"):
        read_yaml(path)


@pytest.mark.parametrize("number", [".nan", ".inf", "-.inf"])
def test_a_number_of_a_setting_is_finite(tmp_path: Path, number: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(f"seed: 1\noptimize: {{kind: dpo, beta: {number}}}\n")
    with pytest.raises(ConfigError, match=r"^run\.yaml: optimize\.beta: should be a finite number, got -?(nan|inf)$"):
        Run.parse(read_yaml(path), where="run.yaml")


def test_off_is_a_word_and_true_is_a_truth_value(tmp_path: Path) -> None:
    # YAML 1.1 reads off, no, on and yes as truth values; `kl: {kind: off}` must say what it says.
    path = tmp_path / "a.yaml"
    path.write_text("kind: off\nanswer: no\nloud: true\n")
    assert read_yaml(path) == {"kind": "off", "answer": "no", "loud": True}
