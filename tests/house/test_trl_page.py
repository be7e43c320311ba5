"""The page for people who come from TRL names settings that exist, and every argument of transformers' trainers."""

from __future__ import annotations

import dataclasses
import importlib.util
import re
import types
import typing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from transformers import TrainingArguments

from assent.core.config import Config
from assent.pipeline.config import RunConfig

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "how-to" / "coming-from-trl.md"
ROW = re.compile(r"^\| (.*) \|$", re.MULTILINE)


def _here() -> list[str]:
    """The settings in the last columns of the page's tables."""
    cells = [row.rpartition(" | ")[2] for row in ROW.findall(PAGE.read_text(encoding="utf-8"))]
    named = {name for cell in cells for name in re.findall(r"`([a-z_]+(?:\.[a-z_0-9]+)*)`", cell)}
    return sorted(name for name in named if name.partition(".")[0] in RunConfig.model_fields)


def _configs(annotation: Any) -> list[type[Config]]:
    """The config classes that a field may hold."""
    if isinstance(annotation, type) and issubclass(annotation, Config):
        return [annotation]
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is not None:
        return [found for part in typing.get_args(annotation) for found in _configs(part)]
    return []


def _exists(path: str, config: type[Config] = RunConfig) -> bool:
    """Whether some config has a key at this path."""
    name, _, rest = path.partition(".")
    field = config.model_fields.get(name)
    if field is None:
        return False
    return not rest or any(_exists(rest, one) for one in _configs(field.annotation))


@pytest.mark.parametrize("setting", _here())
def test_a_setting_that_the_page_names_exists(setting: str) -> None:
    assert _exists(setting)


def test_the_check_itself_finds_what_does_not_exist() -> None:
    assert len(_here()) > 60
    assert _exists("optimize.kl.coefficient") and not _exists("optimize.kl.price") and not _exists("sft.steps")


def _keys(config: type[Config] = RunConfig) -> frozenset[str]:
    """The names of all settings, wherever they stand."""
    below = (one for field in config.model_fields.values() for one in _configs(field.annotation))
    return frozenset(config.model_fields).union(*(_keys(one) for one in below))


def _denied(text: str) -> list[tuple[str, str]]:
    """Arguments that the page says are not there or not needed, though a setting is called so and the row names none.

    As (argument, setting). `lora_` before the arguments of adapters is part of TRL's names, not of PEFT's or ours.
    """
    keys, found = _keys(), []
    for arguments, _, here in (row.partition(" | ") for row in ROW.findall(text)):
        here = here.rpartition(" | ")[2]
        if not re.match(r"not (supported|needed)|none\b|no setting", here):
            continue
        named = {name.rpartition(".")[2] for name in re.findall(r"`([a-z_.]+)`", here)}
        for argument in re.findall(r"`([a-z_0-9]+)`", arguments):
            called = {argument, argument.removeprefix("lora_")} & keys
            found += [(argument, name) for name in sorted(called - named)]
    return found


def test_the_page_denies_no_argument_whose_name_a_setting_has() -> None:
    assert not _denied(PAGE.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ("| `use_dora` | not supported |", [("use_dora", "use_dora")]),
        ("| `lora_dropout` | not needed: it is 0 |", [("lora_dropout", "dropout")]),
        ("| `batch_size` | PPO | not needed: see `sft.batch_size` |", []),
        ("| `use_dora` | `model.lora.use_dora` |", []),
        ("| `optim` | not supported |", []),
    ],
)
def test_a_row_that_denies_a_setting_is_found(row: str, found: list[tuple[str, str]]) -> None:
    assert _denied(f"{row}\n") == found


def test_every_argument_of_transformers_trainers_is_on_the_page() -> None:
    named = _script().named(PAGE.read_text(encoding="utf-8"))
    assert {field.name for field in dataclasses.fields(TrainingArguments)} <= named


def test_arguments_that_the_page_lacks_are_said(tmp_path: Path) -> None:
    config = 'class DPOConfig:\n    beta: float = 0.1\n    """Known."""\n    unheard_of: int = 3\n'
    (tmp_path / "dpo_config.py").write_text(config, encoding="utf-8")
    there = _script().arguments(tmp_path)["DPOConfig"]
    assert there - _script().named(PAGE.read_text(encoding="utf-8")) == {"unheard_of"}


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_trl", DOCS / "check_trl.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
