"""What decides the content of an artifact: the identity of a stage call, and its hash, the key."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

import assent
from assent.artifacts.digests import digest_of
from assent.core.errors import UserError
from assent.core.hashing import hash_file, hash_json


@dataclass(frozen=True)
class Identity:
    """Everything that decides the content of an artifact, and nothing else. `key` is its hash.

    Keys depend on the keys of inputs, never on their content, so a whole chain can be planned without running it.
    Of the code only the stage's `version` counts, raised by hand when results change. The package's version and
    a hash of its source are recorded in the manifest but kept out of the key: a patch release must not orphan days of
    training, and with them the judgments that people gave on samples made from it.
    """

    stage: str
    version: int
    config: Any
    """As `resolved` gives it, with the paths that it names."""
    seed: int
    inputs: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    """name -> key, or keys, of artifacts."""
    extra: Mapping[str, str] = field(default_factory=dict)
    """name -> hash of what enters from outside the run; names may be paths."""
    content: tuple[Any, Mapping[str, str]] | None = None
    """Config and extra without any path, which is what enters the key; None where they hold none."""

    @property
    def key(self) -> str:
        """SHA-256 of the canonical JSON of all that decides the content; 64 hex characters."""
        inputs = {name: keys if isinstance(keys, str) else list(keys) for name, keys in self.inputs.items()}
        config, extra = self.content or (self.config, self.extra)
        return hash_json([self.stage, self.version, config, self.seed, inputs, dict(extra)])

    @property
    def former(self) -> Identity | None:
        """The identity that it had while paths were part of keys, where that is another: what was made then stays."""
        return None if self.content is None else replace(self, content=None)


@dataclass(frozen=True)
class FromOutside:
    """Hashes of what enters from outside, by name: as keys hold them, and as people read them and keys held them once.

    The same content under another path has the same `content`.
    """

    content: Mapping[str, str]
    said: Mapping[str, str]

    @classmethod
    def of(cls, hashes: Mapping[str, str] | FromOutside | None) -> FromOutside:
        """Hashes whose names are no paths."""
        return hashes if isinstance(hashes, cls) else cls(dict(hashes or {}), dict(hashes or {}))  # type: ignore[arg-type]

    @classmethod
    def numbered(cls, what: str, by_path: Mapping[str, str]) -> FromOutside:
        """Hashes by path: in keys by their number."""
        return cls({f"{what}[{n}]": digest for n, digest in enumerate(by_path.values())}, by_path)

    def __or__(self, more: Mapping[str, str] | FromOutside | None) -> FromOutside:
        other = self.of(more)
        return FromOutside({**self.content, **other.content}, {**self.said, **other.said})

    def __bool__(self) -> bool:
        return bool(self.said)


def resolved(value: Any) -> Any:
    """A config as JSON, defaults included, without fields marked `Field(json_schema_extra={"affects_result": False})`.

    Such fields (how often to save, how much to print) may change without anything being made again. A field marked
    `{"added_later": True}` is left out too where it has its default: what was made before there was such a field keeps
    its key.
    """
    match value:
        case BaseModel():
            fields = [(n, info, getattr(value, n)) for n, info in type(value).model_fields.items()]
            return {
                n: resolved(one) for n, info, one in fields if affects_result(info) and not _is_as_before(info, one)
            }
        case Mapping():
            return {str(key): resolved(below) for key, below in value.items()}
        case list() | tuple():
            return [resolved(below) for below in value]
        case set() | frozenset():
            return sorted(resolved(below) for below in value)
        case float() if not math.isfinite(value):
            return str(value)
        case _:
            return to_jsonable_python(value)


def affects_result(info: FieldInfo) -> bool:
    """Whether a field of a config enters keys."""
    extra = info.json_schema_extra
    return not (isinstance(extra, dict) and extra.get("affects_result") is False)


def _is_as_before(info: FieldInfo, value: Any) -> bool:
    """Whether a field that came later says what was so before it came."""
    extra = info.json_schema_extra
    return (
        isinstance(extra, dict)
        and extra.get("added_later") is True
        and value == info.get_default(call_default_factory=True)
    )


def hash_folder(folder: Path) -> str:
    """Hash of a folder's files and their names, hidden ones left out: a base model as an `extra` of a key.

    What links lead to counts like what lies in the folder. Raises UserError where there is no such folder.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; give the path of a model folder")
    shown = sorted(path.relative_to(folder) for path in _shown(folder, above=frozenset()))
    return hash_json([[name.as_posix(), digest_of(folder / name)] for name in shown])


def hash_whole(path: Path) -> str:
    """Hash of a file or a folder; of one that is not there its name stands in, so that a run can still be planned."""
    if path.is_dir():
        return hash_folder(path)
    return digest_of(path) if path.exists() else hash_json(str(path))


@functools.cache
def source_hash() -> str:
    """Hash of the package's Python source, for lineage."""
    package = Path(assent.__file__).parent
    return hash_json([[p.relative_to(package).as_posix(), hash_file(p)] for p in sorted(package.rglob("*.py"))])


def _shown(folder: Path, *, above: frozenset[Path]) -> Iterator[Path]:
    """Files that are not hidden, also behind links; a link that leads back up is not followed."""
    real = folder.resolve()
    if real in above:
        return
    for path in folder.iterdir():
        if path.name.startswith("."):
            continue
        if path.is_dir():
            yield from _shown(path, above=above | {real})
        elif path.is_file():
            yield path
