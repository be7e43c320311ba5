"""Settings in layers: a YAML, the YAMLs of `--with` laid over it, then `--set KEY=VALUE`; errors name the layer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from assent.core.config import Config, load_yaml, overlay, read_yaml
from assent.core.errors import ConfigError
from assent.core.problems import Problem, listed, problems

Values = dict[str, Any]
Change = Callable[[Values], Values]
APPEND = "+"
"""As a part of a key of `--set`: a new entry at the end of a list."""
_INDEX = re.compile(r"\[(\d+|\+)\]")  # a[0].b is a.0.b
_LONGEST = 100  # characters of a --set in an error
_Settings = TypeVar("_Settings", bound=Config)


@dataclass(frozen=True)
class Layer:
    """One place where settings are written."""

    where: str
    """What errors call it: a file, or `--set KEY=VALUE`."""
    lay: Change
    """The settings below it -> with it. Raises ConfigError."""


def written(where: str, values: Mapping[str, Any]) -> Layer:
    """Values that a file or a command gives: mappings merge, everything else, lists too, replaces what was below."""
    return Layer(where, lambda below: overlay(below, values))


def layers(file: Path | None, overlays: Iterable[Path] = (), settings: Iterable[str] = ()) -> list[Layer]:
    """The layers of a command, lowest first. Raises ConfigError where a file or a `--set` cannot be read."""
    files = [] if file is None else [file]
    return [*(written(str(one), read_yaml(one)) for one in (*files, *overlays)), *sets(settings)]


def sets(settings: Iterable[str]) -> list[Layer]:
    """A layer for every `KEY=VALUE`; the right-hand side is read as YAML. `a.0.b` and `a[0].b` reach into lists.

    Another `kind` takes the settings of the old one away, so it is laid before the others, wherever it was written.
    """
    found = [_set(one) for one in settings]
    return [layer for _, layer in sorted(found, key=lambda one: not _is_kind(one[0]))]


def merged(found: Sequence[Layer]) -> Values:
    """All layers in one."""
    values: Values = {}
    for layer in found:
        values = layer.lay(values)
    return values


def parse(config: type[_Settings], found: Sequence[Layer], *, change: Change | None = None) -> _Settings:
    """The settings of all layers; `change` is done to the merged values first.

    Raises ConfigError with one line per problem, which names the layer that brought it in.
    """
    values = merged(found)
    try:
        return config.model_validate(values if change is None else change(values))
    except ValidationError as error:
        wrong = problems(error, config)
    below = [_wrong(config, found[:number], change) for number in range(1, len(found))]

    def blamed(problem: Problem) -> str:
        first = next((i for i in range(len(below)) if all(problem in one for one in below[i:])), len(below))
        return found[first].where

    raise ConfigError(listed([f"{blamed(one)}: {one}" for one in wrong]))


def _wrong(config: type[Config], found: Sequence[Layer], change: Change | None) -> list[Problem]:
    """The problems that only the lower layers have."""
    try:
        values = merged(found)
        config.model_validate(values if change is None else change(values))
    except ValidationError as error:
        return problems(error, config)
    except ConfigError:
        return []
    return []


def _set(setting: str) -> tuple[list[str], Layer]:
    key, equals, text = setting.partition("=")
    parts = _INDEX.sub(r".\1", key.strip()).split(".")
    if not equals or not all(parts):
        raise ConfigError(f"--set wants KEY=VALUE, such as --set optimize.kl.coefficient=0.1, got {setting!r}")
    try:
        value = load_yaml(text)
    except yaml.YAMLError:
        raise ConfigError(f"--set {key}: {text!r} is not a YAML value; put it in quotes") from None
    where = f"--set {setting if len(setting) <= _LONGEST else setting[:_LONGEST] + '…'}"
    return parts, Layer(where, lambda below: _laid(below, parts, value, f"--set {key}"))


def _is_kind(parts: list[str]) -> bool:
    return parts[-1] == "kind" and not any(part == APPEND or part.isdecimal() for part in parts)


def _laid(below: Any, parts: Sequence[str], value: Any, where: str) -> Any:
    """`below` with a value at the end of a path of keys and numbers. `where` begins errors."""
    if not parts:
        return overlay({"": below}, {"": value})[""]
    part, *rest = parts
    if isinstance(below, list | tuple) or (part == APPEND and below is None):
        return _in_list(list(below or ()), part, rest, (value, where))
    if part == APPEND:
        raise ConfigError(f"{where}: there is no list to append to, but {below!r}")
    mapping: Mapping[str, Any] = below if isinstance(below, Mapping) else {}
    if part == "kind" and not rest and mapping.get("kind") != value:
        return {"kind": value}
    return {**mapping, part: _laid(mapping.get(part), rest, value, where)}


def _in_list(below: list[Any], part: str, rest: Sequence[str], given: tuple[Any, str]) -> list[Any]:
    value, where = given
    if part == APPEND:
        return [*below, _laid(None, rest, value, where)]
    held = "there is no entry yet" if not below else f"there are {len(below)}, numbered 0 to {len(below) - 1}"
    if len(below) == 1:
        held = "there is one, number 0"
    if not part.isdecimal():
        raise ConfigError(f"{where}: {part!r} stands where a list has numbers; {held}, and + appends one")
    if int(part) >= len(below):
        raise ConfigError(f"{where}: the list has no entry {part}; {held}, and + appends one")
    number = int(part)
    return [*below[:number], _laid(below[number], rest, value, where), *below[number + 1 :]]
