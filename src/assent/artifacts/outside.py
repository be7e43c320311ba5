"""What enters a run from outside, marked once on its config field: `Field(json_schema_extra={"outside": "file"})`.

    file        a file, or a folder
    data        the same, read by a format, which may read more beside it (`data/beside.py`: rounds.py adds that)
    template    Jinja text, or a file with it: text holds a brace
    model       a folder of a model, a GGUF file, or a hub id
    dataset     a folder saved by `datasets`, or a hub id
    python      "package.module:function"
    rubric      a rubric that comes with the package, by its name, or a file
    constitution  a constitution that comes with the package, by its name, or a file
    prompts     a folder of a judge's questions that comes with the package, by its name, or another
    place       where something is kept: it moves with the project, but what it holds decides no result
    none        nothing from outside, though its name sounds so

A mark is all that a new field needs: one walk hashes the content into the key of every stage whose config holds the
field, moves relative paths along with the project, and says what is missing. `"named"` beside the mark is the name of
the hash in the key; without it the hash is named by the value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, cast, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from assent.artifacts.identity import FromOutside, affects_result, hash_folder, hash_whole, resolved
from assent.artifacts.modules import problem_of, source_hash_of
from assent.artifacts.packaged import is_packaged_name, packaged_file, packaged_names
from assent.core.hashing import hash_json

Kind = Literal[
    "file", "data", "template", "model", "dataset", "python", "rubric", "constitution", "prompts", "place", "none"
]
_Config = TypeVar("_Config", bound=BaseModel)
_ADAPTER = "adapter_config.json"
_MODEL_FILES = ("config.json", _ADAPTER)
_GGUF = ".gguf"
_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")


@dataclass(frozen=True)
class Outside:
    """One value of a config that names something outside."""

    key: str
    """Where it stands: optimize.rewards[0].path."""
    kind: Kind
    value: str
    owner: BaseModel
    """The config that the field belongs to."""
    name: str
    """The name of its hash in a key."""
    counts: bool
    """Whether it decides results; False below a field that is marked so."""

    @property
    def path(self) -> Path:
        """The value as a path."""
        return Path(self.value)

    @property
    def is_path(self) -> bool:
        """Whether the value is surely a path, and neither text nor a name."""
        if self.kind in ("model", "dataset"):
            is_file = self.kind == "model" and self.value.endswith(_GGUF)
            return is_file or self.value.startswith((".", "/")) or not _HUB_ID.fullmatch(self.value)
        if self.kind in ("rubric", "constitution", "prompts"):
            return not self.is_packaged
        return self.kind in ("file", "data") or (self.kind == "template" and "{" not in self.value)

    @property
    def is_packaged(self) -> bool:
        """Whether it is the name of something that comes with the package."""
        return self.kind in ("rubric", "constitution", "prompts") and is_packaged_name(self.value)


def outside(config: BaseModel) -> list[Outside]:
    """Everything that a config names outside, in the order of its fields."""
    found: list[Outside] = []

    def keep(one: Outside) -> str:
        found.append(one)
        return one.value

    _walk(config, "", keep, counts=True)
    return found


def hashes(config: BaseModel) -> dict[str, str]:
    """Hashes of the content of all of it that decides results, as the `extra` of a key. What is missing has one too."""
    found: dict[str, str] = {}
    for one in outside(config):
        if one.counts:
            found |= _contents(one)
    return found


def known(config: BaseModel) -> FromOutside:
    """The same: in keys by where the config names it, not by what it is called."""
    content: dict[str, str] = {}
    for one in outside(config):
        if one.counts:
            content |= _contents(replace(one, name=one.key))
    return FromOutside(content, hashes(config))


def placeless(config: _Config) -> _Config:
    """The config without the paths of what `known` knows by content."""
    return changed(config, lambda one: "" if _is_place(one) else one.value)


def identity_of(config: BaseModel) -> str:
    """Hash of a config and of the content of all that it names outside; where that lies does not count."""
    nowhere = changed(config, lambda one: "" if one.path.exists() and not one.is_packaged else one.value)
    return hash_json([resolved(nowhere), sorted(hashes(config).values())])


def changed(config: _Config, change: Callable[[Outside], str]) -> _Config:
    """The config with every such value as `change` gives it."""
    return cast(_Config, _walk(config, "", change, counts=True))


def missing(one: Outside) -> str | None:
    """What is wrong where nothing is there; None where something is, or where only a hub or the run can tell."""
    if one.kind == "python":
        return problem_of(one.value)
    if one.kind in ("model", "dataset"):
        # `models/judge` may be a hub id; where there is a folder models, it is meant to lie in it.
        is_meant_here = one.is_path or Path(one.path.parts[0]).is_dir()
        if one.kind == "model" and one.value.endswith(_GGUF) and not one.path.exists():
            return f"{one.value}: no such file"
        if is_meant_here and not one.path.is_dir() and not _is_gguf(one):
            return f"{one.value}: no such folder"
        if one.kind == "model" and one.path.is_dir() and not _holds_model(one.path):
            return f"{one.value} holds no config.json"
        return None
    if (
        one.kind in ("rubric", "constitution", "prompts")
        and not one.is_path
        and packaged_file(one.kind, one.value) is None
    ):
        return f"the package has no {one.kind} {one.value!r}: it has {', '.join(packaged_names(one.kind))}"
    return f"{one.value}: no such file or folder" if one.is_path and not one.path.exists() else None


def mark_of(info: FieldInfo) -> tuple[Kind | None, str | None]:
    """The mark of a field and the name of its hash. Raises ValueError for a mark that is none."""
    extra = info.json_schema_extra
    if not isinstance(extra, dict) or "outside" not in extra:
        return None, None
    kind, name = extra["outside"], extra.get("named")
    if kind not in get_args(Kind):
        raise ValueError(f"a field is marked outside: {kind!r}; marks are {', '.join(get_args(Kind))}")
    return cast(Kind, kind), None if name is None else str(name)


def _walk(value: Any, key: str, visit: Callable[[Outside], str], *, counts: bool) -> Any:
    """The value with every outside value below it as `visit` gives it; the same object where nothing changes."""
    match value:
        case BaseModel():
            update = {}
            for field, info in type(value).model_fields.items():
                at, old = f"{key}.{field}" if key else field, getattr(value, field)
                new = _field(value, at, info, visit, counts=counts and affects_result(info))
                if new is not old:
                    update[field] = new
            return value.model_copy(update=update) if update else value
        case Mapping():
            items = {name: _walk(below, f"{key}.{name}", visit, counts=counts) for name, below in value.items()}
            return value if all(items[name] is value[name] for name in value) else items
        case list() | tuple():
            parts = [_walk(below, f"{key}[{n}]", visit, counts=counts) for n, below in enumerate(value)]
            return value if all(old is new for old, new in zip(value, parts, strict=True)) else type(value)(parts)
        case _:
            return value


def _field(owner: BaseModel, key: str, info: FieldInfo, visit: Callable[[Outside], str], *, counts: bool) -> Any:
    value = getattr(owner, key.rpartition(".")[2])
    kind, name = mark_of(info)
    if kind is None:
        return _walk(value, key, visit, counts=counts)
    if kind == "none":
        return value
    return _marked(value, key, lambda k, v: visit(Outside(k, kind, v, owner, name or v, counts)))


def _marked(value: Any, key: str, new: Callable[[str, str], str]) -> Any:
    """The value of a marked field, which holds one name, none or several."""
    match value:
        case str() | Path():
            said = new(key, str(value))
            return value if said == str(value) else type(value)(said)
        case Mapping():
            items = {name: _marked(below, f"{key}.{name}", new) for name, below in value.items()}
            return value if all(items[name] is value[name] for name in value) else items
        case list() | tuple():
            parts = [_marked(below, f"{key}[{n}]", new) for n, below in enumerate(value)]
            return value if all(old is now for old, now in zip(value, parts, strict=True)) else type(value)(parts)
        case _:
            return value


def _contents(one: Outside) -> dict[str, str]:
    """Name -> hash of what a value names; empty where the value itself says all."""
    match one.kind:
        case "python":
            return {one.name: source_hash_of(one.value)}
        case "model":
            if _is_gguf(one):
                return {one.name: hash_whole(one.path)}
            return _model(one.path, one.name) if one.path.is_dir() else {}
        case "dataset":
            # Of a dataset on the hub only its name is known before it is loaded.
            is_here = one.path.is_dir()
            return {one.name: hash_folder(one.path) if is_here else hash_json(one.owner.model_dump(mode="json"))}
        case "file" | "data" | "template" if one.is_path:
            return {one.name: hash_whole(one.path)}
        case "rubric" | "constitution" | "prompts":
            path = packaged_file(one.kind, one.value) or one.path
            return {f"{one.kind} {one.name}": hash_whole(path)}
        case _:
            return {}


def _is_place(one: Outside) -> bool:
    """Whether the value only says where something lies, whose content is hashed."""
    if one.kind in ("model", "dataset"):
        return one.path.is_dir() or _is_gguf(one)
    return one.kind != "place" and one.is_path


def _is_gguf(one: Outside) -> bool:
    """Whether it is a model in one file."""
    return one.kind == "model" and one.path.suffix == _GGUF and one.path.is_file()


def _holds_model(folder: Path) -> bool:
    return any((folder / name).is_file() for name in _MODEL_FILES) or any(folder.glob(f"*{_GGUF}"))


def _model(folder: Path, name: str) -> dict[str, str]:
    """The folder of a model; of an adapter also the folder of its base, and so on down."""
    found: dict[str, str] = {}
    seen: set[Path] = set()
    while folder.is_dir() and folder.resolve() not in seen:
        seen.add(folder.resolve())
        found[name] = hash_folder(folder)
        try:
            base = json.loads((folder / _ADAPTER).read_bytes()).get("base_model_name_or_path")
        except (OSError, ValueError, AttributeError):
            break
        # As `models/lora.py:adapter_base` looks for it: below the current folder, or beside the adapter.
        folder = next((p for p in (Path(str(base)), folder / str(base)) if p.is_dir()), Path(str(base)))
        name = f"{name} base"
    return found
