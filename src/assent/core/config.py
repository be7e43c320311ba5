"""Configuration: frozen, typed, unknown keys refused with the nearest name; and the YAML that it is written in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from assent.core.errors import ConfigError
from assent.core.problems import listed, problems, shown
from assent.core.schema import plain


class Config(BaseModel):
    """Base of every configuration. The string under a field is its help and its entry in the reference.

    Numbers are finite: beside .nan every comparison is false, so a limit of .nan may hold back nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

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
                laid[name] = overlay({name: plain(field.default)}, {name: laid[name]})[name]
        return laid

    @classmethod
    def parse(cls, values: Mapping[str, Any], *, where: str = "config") -> Self:
        """Validate plain values. Raises ConfigError with one line per problem: key, value, what would fit."""
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise ConfigError(listed([f"{where}: {one}" for one in problems(error, cls)])) from None


class YAML(yaml.SafeLoader):
    """YAML as people mean it: only true and false are truth values; off, on, yes and no are words.

    A key that stands twice in one mapping is an error: YAML's own reader silently keeps the last. So is a value that
    has the form of a date or a number and is none (2020-02-30), with its line: that reader lets Python's errors out.
    """

    def compose_mapping_node(self, anchor: Any) -> Any:
        """A mapping whose keys are all different."""
        node = super().compose_mapping_node(anchor)
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    raise yaml.composer.ComposerError(
                        None, None, f"the key {shown(key.value)} stands twice in one mapping", key.start_mark
                    )
                seen.add((key.tag, key.value))
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """The value of a node."""
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError) as error:  # date(), int(), a table, no match
            tag = node.tag.removeprefix("tag:yaml.org,2002:")
            why = f": {error}" if type(error) is ValueError else ""
            said = f"{shown(node.value)} is no {tag}{why}; correct it, or put it in quotes to mean the text"
            raise yaml.constructor.ConstructorError(None, None, said, node.start_mark) from None


YAML.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
YAML.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))


def load_yaml(text: str) -> Any:
    """The value of a YAML text. Raises yaml.YAMLError, whatever is wrong with it."""
    try:
        return yaml.load(text, YAML)
    except RecursionError:
        raise yaml.YAMLError("nested too deeply") from None


def read_yaml(path: Path) -> dict[str, Any]:
    """Read one YAML mapping. Raises ConfigError with file and line."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read {path}: {getattr(error, 'strerror', None) or 'not UTF-8'}") from None
    try:
        values = load_yaml(text) or {}
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
