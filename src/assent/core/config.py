"""Configuration: frozen, typed, unknown keys refused with the nearest name. One YAML per run, `--set a.b=c` last."""

from __future__ import annotations

import difflib
import re
import reprlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from assent.core.errors import ConfigError


class Config(BaseModel):
    """Base of every configuration. The string under a field is its help and its entry in the reference."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _onto_defaults(cls, values: Any) -> Any:
        """Lay a mapping given for a nested config onto the default of its field.

        That default may differ from the defaults of the nested class: each stage has its own learning rate.
        """
        if not isinstance(values, Mapping):
            return values
        laid = dict(values)
        for name, field in cls.model_fields.items():
            if isinstance(field.default, Config) and isinstance(laid.get(name), Mapping):
                laid[name] = overlay({name: _said(field.default)}, {name: laid[name]})[name]
        return laid

    @classmethod
    def parse(cls, values: Mapping[str, Any], *, where: str = "config") -> Self:
        """Validate plain values. Raises ConfigError with one line per problem: key, value, what would fit."""
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise ConfigError(describe(error, cls, where=where)) from None


_SHOWN = 200  # characters of a value in an error
_SHORT = reprlib.Repr()  # of nested lists only the beginnings


class _Loader(yaml.SafeLoader):
    """YAML as people mean it: only true and false are truth values; off, on, yes and no are words.

    A key that stands twice in one mapping is an error: YAML's own reader silently keeps the last.
    """

    def compose_mapping_node(self, anchor: Any) -> Any:
        """A mapping whose keys are all different."""
        node = super().compose_mapping_node(anchor)
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    raise yaml.composer.ComposerError(
                        None, None, f"the key {_cut(key.value)} stands twice in one mapping", key.start_mark
                    )
                seen.add((key.tag, key.value))
        return node


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read one YAML mapping. Raises ConfigError with file and line."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read {path}: {getattr(error, 'strerror', None) or 'not UTF-8'}") from None
    try:
        values = yaml.load(text, _Loader) or {}
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}{line}: not valid YAML: {getattr(error, 'problem', error)}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected keys and values at the top, got {type(values).__name__}")
    return values


def overlay(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Lay `above` over `below`; mappings merge, everything else replaces.

    A mapping whose `kind` changes replaces the one below: the old kind's keys mean nothing to the new one.
    """
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        if (
            isinstance(value, Mapping)
            and isinstance(old, Mapping)
            and value.get("kind", old.get("kind")) == old.get("kind")
        ):
            merged[key] = overlay(old, value)
        else:
            merged[key] = value
    return merged


def _said(config: Config) -> dict[str, Any]:
    """What a config was given beyond its class's defaults, and its kind."""
    names = [name for name in type(config).model_fields if name in config.model_fields_set or name == "kind"]
    values = {name: getattr(config, name) for name in names}
    return {name: _said(value) if isinstance(value, Config) else value for name, value in values.items()}


def parse_sets(settings: Iterable[str]) -> dict[str, Any]:
    """Turn `["optimize.kl.coefficient=0.1"]` into nested values; the right-hand side is read as YAML."""
    values: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not all(key.split(".")):
            raise ConfigError(f"--set wants key.key=value, got {setting!r}")
        try:
            value = yaml.load(text, _Loader)
        except yaml.YAMLError:
            raise ConfigError(f"--set {key}: {text!r} is not a YAML value") from None
        for part in reversed(key.split(".")):
            value = {part: value}
        values = overlay(values, value)
    return values


def describe(error: ValidationError, config: type[BaseModel], *, where: str) -> str:
    """One line per problem of a pydantic error, unknown keys with the nearest known one."""
    lines = []
    for problem in error.errors():
        path = [str(part) for part in problem["loc"]]
        key, value = ".".join(path), problem.get("input")
        if problem["type"] == "extra_forbidden":
            known = _fields_at(config, path[:-1])
            near = difflib.get_close_matches(path[-1], known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(sorted(known)) or 'none'}"
            lines.append(f"{where}: unknown key {key!r}; {hint}")
        elif problem["type"] == "missing":
            lines.append(f"{where}: {key} is missing; add it")
        else:
            message = problem["msg"].removeprefix("Value error, ")
            shown = "" if isinstance(value, dict | BaseModel) else f", got {_cut(value)}"
            lines.append(f"{where}: {key or 'config'}: {message[0].lower() + message[1:]}{shown}")
    return "\n".join(lines)


def _cut(value: Any) -> str:
    """A value as an error shows it: a few lines of YAML aliases are a list of millions."""
    text = _SHORT.repr(value) if isinstance(value, list | tuple | set) else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text)} characters)"


def _fields_at(config: type[BaseModel], path: list[str]) -> list[str]:
    """Names of the fields below `path`; parts that name the arm of a union are stepped over."""
    candidates: list[type[BaseModel]] = [config]
    for part in path:
        below = [m for c in candidates if part in c.model_fields for m in _models_in(c.model_fields[part].annotation)]
        if below:
            candidates = below
        else:
            named = [c for c in candidates if _kind_of(c) == part]
            candidates = named or candidates
    return [name for c in candidates for name in c.model_fields]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for argument in getattr(annotation, "__args__", ()) for m in _models_in(argument)]


def _kind_of(config: type[BaseModel]) -> str | None:
    field = config.model_fields.get("kind")
    return None if field is None else field.default
