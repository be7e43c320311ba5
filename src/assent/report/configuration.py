"""Settings of a run: what differs from the defaults, with its help, and everything."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, to_jsonable_python

from assent.core.config import read_yaml
from assent.core.errors import ConfigError
from assent.pipeline.config import RunConfig


@dataclass(frozen=True)
class Setting:
    """One key of the configuration."""

    key: str
    value: str
    default: str | None
    """None where it has none and must be given."""
    help: str

    @property
    def is_changed(self) -> bool:
        """True where the value is not the default."""
        return self.value != self.default


@dataclass(frozen=True)
class Settings:
    """All settings, or why they cannot be compared with the defaults, with the file as it is."""

    settings: tuple[Setting, ...]
    problem: str = ""
    text: str = ""


def read_settings(path: Path) -> Settings:
    """The settings in a run's resolved YAML. A file of another version is shown as it is, with the reason."""
    if not path.is_file():
        return Settings((), problem=f"{path.name} is missing")
    try:
        return Settings(settings_of(RunConfig.parse(read_yaml(path), where=path.name)))
    except ConfigError as error:
        return Settings((), problem=str(error), text=path.read_text(encoding="utf-8", errors="replace"))


def settings_of(config: BaseModel) -> tuple[Setting, ...]:
    """Every key of a configuration, depth first, in the order of its fields."""
    return tuple(_below(config, PydanticUndefined, ""))


def _below(config: BaseModel, place: Any, prefix: str) -> Iterator[Setting]:
    """Settings of a part. `place` is what stands in its place by default.

    Where that is something else or nothing, its kind counts as changed, and its other keys are held against the
    defaults of its own class.
    """
    is_same = type(place) is type(config)
    for name, info in type(config).model_fields.items():
        value, key = getattr(config, name), prefix + name
        default = getattr(place, name) if is_same else _default(info)
        if name == "kind" and not is_same:
            default = getattr(place, "kind", PydanticUndefined)
        if isinstance(value, BaseModel):
            yield from _below(value, default, key + ".")
        else:
            yield Setting(key, _text(value), None if default is PydanticUndefined else _text(default), _sentence(info))


def _default(info: FieldInfo) -> Any:
    return info.default_factory() if info.default_factory else info.default  # type: ignore[call-arg]


def _text(value: Any) -> str:
    if isinstance(value, BaseModel):
        return "on, with its own defaults"
    plain = to_jsonable_python(value)
    return plain if isinstance(plain, str) and plain else json.dumps(plain, ensure_ascii=False)


def _sentence(info: FieldInfo) -> str:
    return " ".join((info.description or "").split())
