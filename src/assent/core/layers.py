"""Settings in layers: a YAML, the YAMLs of `--with` laid over it, then `--set KEY=VALUE`; errors name the layer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from assent.core.config import Config, load_yaml, overlay, read_yaml
from assent.core.errors import ConfigError
from assent.core.problems import Problem, listed, problems
from assent.core.schema import default_at

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
    key: tuple[str, ...] = ()
    """The keys and numbers that a `--set` goes along."""


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


def merged(found: Sequence[Layer], config: type[Config] | None = None, change: Change | None = None) -> Values:
    """All layers in one, with `change` done to them.

    A `--set` that goes into a list or a mapping of `config` finds its default where nobody wrote one, and what `change`
    makes of the layers below. Raises ConfigError; one of `change` names the layer that brought it in.
    """
    values: Values = {}
    changed: Values = {}
    wrong: ConfigError | None = None
    for layer in found:
        values = layer.lay(_with_defaults(changed, layer.key, config) if layer.key else values)
        try:
            changed, wrong = values if change is None else change(values), None
        except ConfigError as error:
            changed, wrong = values, wrong or ConfigError(f"{layer.where}: {error}")
    if wrong is not None:
        raise wrong
    return changed


def parse(config: type[_Settings], found: Sequence[Layer], *, change: Change | None = None) -> _Settings:
    """The settings of all layers; `change` is done to the merged values first.

    Raises ConfigError with one line per problem, which names the layer that brought it in.
    """
    values = merged(found, config, change)
    try:
        return config.model_validate(values)
    except ValidationError as error:
        wrong = problems(error, config)
    below = [_wrong(config, found[:number], change) for number in range(1, len(found))]

    def blamed(problem: Problem) -> str:
        first = next((i for i in range(len(below)) if all(problem in one for one in below[i:])), len(below))
        return found[first].where

    raise ConfigError(listed([f"{blamed(one)}: {one}" for one in wrong]))


def left_out(found: Sequence[Layer], config: type[Config]) -> list[str]:
    """What lower layers set and another `kind` of a later one takes away, in a line for each place."""
    lines: list[str] = []
    below: Values = {}
    for number, layer in enumerate(found, start=1):
        above = merged(found[:number], config)
        for place, old, new in _replaced(below, above, ""):
            gone = ", ".join(key for key in old if key != "kind" and key not in new)
            former = old.get("kind", "the default kind")
            lines.append(
                f"{layer.where}: {place}.kind is {new['kind']}, so what was set for {former} is left out: {gone}; set"
                " again what is still to hold"
            )
        below = above
    return lines


def _replaced(below: Values, above: Values, place: str) -> Iterator[tuple[str, Values, Values]]:
    """Mappings that lost keys to another kind: where they stand, as they were and as they are."""
    for key, old in below.items():
        new, here = above.get(key), f"{place}.{key}" if place else key
        if not isinstance(old, Mapping) or not isinstance(new, Mapping):
            continue
        if "kind" in new and new["kind"] != old.get("kind"):
            if set(old) - set(new) - {"kind"}:
                yield here, dict(old), dict(new)
        else:
            yield from _replaced(dict(old), dict(new), here)


def _wrong(config: type[Config], found: Sequence[Layer], change: Change | None) -> list[Problem]:
    """The problems that only the lower layers have."""
    try:
        config.model_validate(merged(found, config, change))
    except ValidationError as error:
        return problems(error, config)
    except ConfigError:
        return []
    return []


def _with_defaults(values: Values, key: tuple[str, ...], config: type[Config] | None) -> Values:
    """The settings with the lists and mappings that a key goes into and that nobody wrote."""
    if config is None:
        return values
    for number, part in enumerate(key):
        if part == APPEND:
            break
        is_list = number + 1 < len(key) and (key[number + 1] == APPEND or key[number + 1].isdecimal())
        held, is_written = _at(values, key[: number + 1])
        if held is not None or number + 1 == len(key):
            continue
        default = default_at(config, key[: number + 1], values)
        if default is not None and (not is_written or is_list):
            values = _laid(values, key[: number + 1], [] if is_written else default, "")
    return values


def _at(values: Any, key: Sequence[str]) -> tuple[Any, bool]:
    """What stands under a path, and whether anything was written there."""
    for part in key:
        if isinstance(values, Mapping) and part in values:
            values = values[part]
        elif isinstance(values, list | tuple) and part.isdecimal() and int(part) < len(values):
            values = values[int(part)]
        else:
            return None, False
    return values, True


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
    return parts, Layer(where, lambda below: _laid(below, parts, value, f"--set {key}"), tuple(parts))


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
