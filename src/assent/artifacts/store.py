"""Artifacts: directories whose manifest is written last and says what every byte should be.

    runs/artifacts/reward-3f09c2d17a55/
        manifest.json       key, config, inputs, version, and size and SHA-256 of every file below
        model/…  metrics.jsonl  …

No manifest, a wrong size or a wrong hash: not an artifact. It is removed and made again, never used.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from assent.artifacts import digests
from assent.artifacts.digests import digest_of
from assent.artifacts.round import stage_name
from assent.core import files
from assent.core.errors import RunError, UnreadableError, UserError
from assent.core.hashing import hash_file, hash_json, short
from assent.core.types import Record

MANIFEST = "manifest.json"
_LISTED = 12  # newest artifacts in an error


class FileEntry(Record):
    """What one file of an artifact should be."""

    size: int
    """Bytes."""
    sha256: str


class Manifest(Record):
    """What an artifact is, what it was made from, and what its files should be."""

    kind: str
    """What it is (policy, reward, samples, …); the first half of its folder's name."""
    key: str
    """Hash of everything that decides its content; 64 hex characters."""
    stage: str
    version: int
    """Version of the stage's code, raised when its results change."""
    config: Any
    """The resolved configuration of the stage, as JSON."""
    seed: int = 0
    inputs: dict[str, str | tuple[str, ...]] = Field(default_factory=dict)
    """name -> key, or keys, of the artifacts it was made from."""
    extra: dict[str, str] = Field(default_factory=dict)
    """name -> hash of what entered from outside: data files, a base model, a snapshot of the feedback store."""
    files: dict[str, FileEntry] = Field(default_factory=dict)
    """relative path -> size and hash; all files but the manifest itself."""
    seconds: float = 0.0
    """Time the stage took, interrupted attempts included."""
    created: str = ""
    """UTC, ISO 8601."""
    package: str = ""
    """Version of Assent that made it. For lineage; not part of the key."""
    source: str = ""
    """Hash of the source of that version. For lineage; not part of the key."""
    notes: dict[str, Any] = Field(default_factory=dict)
    """Small facts the stage wants known without opening its files, such as its metrics."""

    @property
    def title(self) -> str:
        """What people call the stage that made it, as plans and progress do: data prompts, reward."""
        part = self.config.get("part") if self.stage == "gather" and isinstance(self.config, Mapping) else None
        return stage_name(() if part is None else (str(part),), self.stage)

    @property
    def parents(self) -> dict[str, str]:
        """Name -> key of every artifact it was made from; the members of a list are called name[0], name[1], …"""
        found: dict[str, str] = {}
        for name, keys in self.inputs.items():
            found |= {name: keys} if isinstance(keys, str) else {f"{name}[{i}]": key for i, key in enumerate(keys)}
        return found


@dataclass(frozen=True)
class Artifact:
    """A finished artifact, or (`is_made` False) one that a plan says would be made."""

    folder: Path
    manifest: Manifest
    is_made: bool = True

    @classmethod
    def at(cls, folder: Path) -> Artifact:
        """The artifact in `folder`, verified. Raises InvalidArtifactError."""
        return cls(folder, verify(folder))

    @property
    def key(self) -> str:
        """Hash of everything that decides the content."""
        return self.manifest.key

    @property
    def kind(self) -> str:
        """What it is: policy, reward, samples, …"""
        return self.manifest.kind

    @property
    def name(self) -> str:
        """Name of its folder, as people type it: reward-3f09c2d17a55."""
        return self.folder.name

    @property
    def notes(self) -> dict[str, Any]:
        """Small facts that the stage left in the manifest."""
        return self.manifest.notes

    def file(self, name: str) -> Path:
        """Path of one of its files, or of a folder in it that holds files. Raises RunError for any other name."""
        if not self.is_made:
            raise RunError(f"{self.name} is planned but not made yet, so {name!r} cannot be read; run without --plan")
        if name not in self.manifest.files and not any(f.startswith(name + "/") for f in self.manifest.files):
            raise RunError(f"{self.name} has no file {name!r}; it has: {', '.join(self.manifest.files) or 'none'}")
        return self.folder / name


class ArtifactStore:
    """All artifacts of a project, in one directory. Each is verified once per store, when first found.

    `also` are directories that are looked in after it, such as a run's own of an older version. A read-only store
    reports invalid artifacts but leaves them where they are.
    """

    def __init__(
        self, root: Path, *, say: Callable[[str], None], read_only: bool = False, also: Sequence[Path] = ()
    ) -> None:
        self.root = root
        self._roots = tuple(dict.fromkeys((root, *also)))
        self._say, self._read_only = say, read_only
        self._verified: dict[str, Artifact] = {}
        self._read: set[str] = set()

    def path_of(self, kind: str, key: str) -> Path:
        """Where the artifact of that kind and key lives or would live."""
        return self.root / f"{kind}-{short(key)}"

    def place(self, name: str) -> Path:
        """The folder of the artifact with that whole name; where there is none, where it would be."""
        return next((folder for root in self._roots if (folder := root / name).is_dir()), self.root / name)

    def find(self, key: str) -> Artifact | None:
        """The valid artifact of that key, or None. An invalid one is reported in one line and removed."""
        if key in self._verified:
            return self._verified[key]
        for folder in self._folders(short(key)):
            try:
                artifact = Artifact.at(folder)
            except InvalidArtifactError as problem:
                self._say(f"{folder.name} is not valid ({problem}); it will be made again")
                if not self._read_only:
                    remove(folder)
                continue
            if artifact.key == key:
                self._verified[key] = artifact
                return artifact
        return None

    def named(self, name: str) -> Artifact:
        """The artifact whose folder name or key starts with `name`. Raises UserError unless exactly one does."""
        everything = self.all()
        fitting = [a for a in everything if a.name.startswith(name) or a.key.startswith(name)]
        if len(fitting) == 1:
            return fitting[0]
        found = [a.name for a in fitting or everything]
        more = f", and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
        names = ", ".join(found[-_LISTED:]) + more or "none yet"
        problem = "fits several artifacts" if fitting else "is no artifact here"
        raise UserError(f"{name!r} {problem}; choose from: {names}")

    def all(self) -> list[Artifact]:
        """Every valid artifact, each once, oldest first. Reads manifests only: hashes are checked by `find`."""
        first: dict[str, Artifact] = {}
        for artifact in self.every():
            first.setdefault(artifact.key, artifact)
        return list(first.values())

    def every(self) -> list[Artifact]:
        """The same with every copy, where several folders hold one."""
        found = []
        for folder in self._folders("*"):
            try:
                found.append(Artifact(folder, read_manifest(folder)))
            except InvalidArtifactError as problem:
                self._say(f"{folder.name} is not valid ({problem}); left out")
            except UnreadableError as problem:
                self._say(f"{problem}; left out")
        return sorted(found, key=lambda artifact: (artifact.manifest.created, artifact.name))

    def commit(self, output: Path, manifest: Manifest) -> Artifact:
        """Make `output` the content of the artifact that `manifest` describes (its `files` are filled in here).

        Files are moved, not copied, so `output` must be on the same disk; it is gone afterwards. The artifact appears
        under its name only when whole, flushed to disk and with its manifest.
        """
        final = self.path_of(manifest.kind, manifest.key)
        manifest = manifest.model_copy(update={"files": dict(_entries(output))})
        with files.new_directory(final) as partial:
            for child in sorted(output.iterdir()):
                child.rename(partial / child.name)
            write_manifest(partial, manifest)
            files.readable(partial, "*.safetensors")  # as the other files; what is private stays so
        shutil.rmtree(output, ignore_errors=True)
        for name, entry in manifest.files.items():
            digests.note(final / name, entry.sha256)
        artifact = Artifact(final, manifest)
        self._verified[manifest.key] = artifact
        self._read.add(manifest.key)
        return artifact

    def read(self, artifact: Artifact) -> None:
        """Read every byte of an artifact that is to be used, once. A spoiled one is removed: SpoiledArtifactError."""
        if artifact.key in self._read:
            return
        try:
            with digests.reading_everything():
                verify(artifact.folder)
        except InvalidArtifactError as problem:
            self._verified.pop(artifact.key, None)
            remove(artifact.folder)
            raise SpoiledArtifactError(
                f"{artifact.name} is not valid ({problem}) and was removed; a run makes it again"
            ) from None
        self._read.add(artifact.key)

    def _folders(self, ending: str) -> list[Path]:
        return [p for root in self._roots for p in sorted(root.glob(f"[!.]*-{ending}")) if p.is_dir()]


class InvalidArtifactError(RunError):
    """A directory is not what its manifest says, or has none."""


class SpoiledArtifactError(RunError):
    """An artifact that was taken for valid was not, once every byte of it was read; it is removed."""


def verify(folder: Path) -> Manifest:
    """Read the manifest and check size and hash of every file. Raises InvalidArtifactError with the first problem,
    UnreadableError where a file may not be read: that says nothing against the artifact.

    The hash of a large file that nobody has written to is remembered (artifacts/digests.py), not read again.
    """
    manifest = read_manifest(folder)
    with files.reading(folder, around=folder.parent):
        _check_files(folder, manifest)
    return manifest


def _check_files(folder: Path, manifest: Manifest) -> None:
    for name, entry in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise InvalidArtifactError(f"{name} is missing")
        if path.stat().st_size != entry.size:
            raise InvalidArtifactError(f"{name} has {path.stat().st_size} bytes instead of {entry.size}")
        # What is remembered of a file may be wrong; that it is spoiled is said of its bytes alone.
        if digest_of(path) != entry.sha256 and hash_file(path) != entry.sha256:
            raise InvalidArtifactError(f"{name} has changed since it was written")


def read_manifest(folder: Path) -> Manifest:
    """Read and check the manifest itself, not the files. Raises InvalidArtifactError, or UnreadableError."""
    try:
        with files.reading(folder / MANIFEST, around=folder.parent):
            values = json.loads((folder / MANIFEST).read_bytes())
    except FileNotFoundError:
        raise InvalidArtifactError("it has no manifest") from None
    except (ValueError, OSError):
        raise InvalidArtifactError("its manifest cannot be read") from None
    digest = values.pop("digest", None) if isinstance(values, dict) else None
    if digest != hash_json(values):
        raise InvalidArtifactError("its manifest has changed since it was written")
    try:
        return Manifest.model_validate(values)
    except ValidationError:
        raise InvalidArtifactError("its manifest is of another version of Assent") from None


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest with a digest of itself, so that a flipped bit in it is seen too."""
    values = manifest.model_dump(mode="json")
    files.write_json(folder / MANIFEST, {**values, "digest": hash_json(values)})


def remove(folder: Path) -> None:
    """Delete an artifact; its manifest first, so that a half-deleted one is never taken for whole."""
    (folder / MANIFEST).unlink(missing_ok=True)
    shutil.rmtree(folder)


def _entries(output: Path) -> Iterator[tuple[str, FileEntry]]:
    for path in sorted(output.rglob("*")):
        name = path.relative_to(output).as_posix()
        if path.is_symlink():
            raise RunError(f"an artifact holds plain files only, but {name} is a link; copy the file instead")
        if path.is_file() and name != MANIFEST:
            yield name, FileEntry(size=path.stat().st_size, sha256=hash_file(path))
