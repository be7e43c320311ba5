"""Where an artifact comes from: a walk over manifests, back to data files and the very judgments."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assent.artifacts.store import Artifact, ArtifactStore, Manifest
from assent.core.errors import DataError
from assent.core.hashing import short

LINEAGE = "lineage.json"
"""In the folder of an exported model."""


@dataclass(frozen=True)
class Origin:
    """Something that entered from outside the run: a data file, a base model, a snapshot of the feedback store."""

    name: str
    digest: str


@dataclass(frozen=True)
class Ancestor:
    """An artifact in the lineage of another, with the name under which it entered (empty for the artifact itself)."""

    name: str
    key: str
    artifact: Artifact | None
    """None where it is no longer in the store."""
    parents: tuple[Ancestor, ...] = ()
    origins: tuple[Origin, ...] = ()


def lineage(artifact: Artifact, store: ArtifactStore) -> Ancestor:
    """The artifact with everything it was made from, all the way up."""
    return _tree(artifact.key, {one.key: one for one in store.all()} | {artifact.key: artifact})


def read_lineage(path: Path) -> Ancestor:
    """What `assent export` wrote beside a model. Raises DataError where the file holds no lineage."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        known = {
            key: Artifact(
                path.parent / str(one["name"]), Manifest.model_validate({**_fields(one), "key": key}), is_made=False
            )
            for key, one in values["artifacts"].items()
            if one is not None
        }
        return _tree(str(values["root"]), known)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise DataError("is no lineage that `assent export` wrote; export the model again", path=path) from None


def members(root: Ancestor) -> list[Artifact]:
    """Every artifact of a lineage that is there, each after all that it was made from."""
    found: dict[str, Artifact] = {}

    def visit(one: Ancestor) -> None:
        for parent in one.parents:
            if parent.key not in found:
                visit(parent)
        if one.artifact is not None:
            found[one.key] = one.artifact

    visit(root)
    return list(found.values())


def _fields(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name in Manifest.model_fields}


def _tree(root: str, known: Mapping[str, Artifact]) -> Ancestor:
    seen: dict[str, Ancestor] = {}

    def walk(key: str, name: str) -> Ancestor:
        if key not in seen:
            seen[key] = _without_name(key)
        found = seen[key]
        return Ancestor(name, key, found.artifact, found.parents, found.origins)

    def _without_name(key: str) -> Ancestor:
        at = known.get(key)
        if at is None:
            return Ancestor("", key, None)
        parents = tuple(walk(parent, label) for label, parent in at.manifest.parents.items())
        origins = tuple(Origin(label, digest) for label, digest in at.manifest.extra.items())
        return Ancestor("", key, at, parents, origins)

    return walk(root, "")


def origins(root: Ancestor) -> list[Origin]:
    """Everything from outside that the artifact rests on, each once, nearest first."""
    return list(dict.fromkeys(origin for one in _each(root) for origin in one.origins))


def resting_on(artifacts: Sequence[Artifact], keys: Collection[str]) -> set[str]:
    """`keys`, and the keys of all artifacts that were made from them, directly or not."""
    found = set(keys)
    while more := {a.key for a in artifacts if a.key not in found and found & set(a.manifest.parents.values())}:
        found |= more
    return found


def with_ancestors(ends: Sequence[Artifact], artifacts: Sequence[Artifact]) -> list[Artifact]:
    """Those of `artifacts` that `ends` are or were made from, directly or not, in their order."""
    known = {a.key: a for a in artifacts}
    used: set[str] = set()
    queue = [a.key for a in ends]
    while queue:
        key = queue.pop()
        if key in known and key not in used:
            used.add(key)
            queue.extend(known[key].manifest.parents.values())
    return [a for a in artifacts if a.key in used]


def render(root: Ancestor) -> str:
    """The tree as plain text; what was shown before is not opened again.

    reward-3f09c2d17a55  reward v1, 41.2 s
      start: policy-77ab01c4d2e9  sft v1, 120.5 s
        demonstrations.jsonl: 9c1185a5c5e9
      judgments: judgments-0b1f6f0c5d21  collect v1, 3.0 s
    """
    lines: list[str] = []
    shown: set[str] = set()

    def write(one: Ancestor, depth: int) -> None:
        label = f"{one.name}: " if one.name else ""
        again = one.key in shown and bool(one.parents or one.origins)
        lines.append(f"{'  ' * depth}{label}{_describe(one)}{'  (see above)' if again else ''}")
        if again:
            return
        shown.add(one.key)
        lines.extend(f"{'  ' * (depth + 1)}{_entered(o)}" for o in one.origins)
        for parent in one.parents:
            write(parent, depth + 1)

    write(root, 0)
    return "\n".join(lines)


def as_dict(root: Ancestor) -> dict[str, Any]:
    """The lineage for the report: every artifact once under its key, inputs by key.

    {"root": key, "artifacts": {key: {name, stage, version, seconds, created, package, inputs, extra, notes}}}
    """
    artifacts: dict[str, Any] = {}
    for one in _each(root):
        if one.artifact is None:
            artifacts[one.key] = None
            continue
        manifest = one.artifact.manifest.model_dump(mode="json", exclude={"files", "key"})
        artifacts[one.key] = {"name": one.artifact.name, **manifest}
    return {"root": root.key, "artifacts": artifacts}


def _each(root: Ancestor) -> Iterator[Ancestor]:
    """Every ancestor once, breadth first."""
    seen, queue = {root.key}, [root]
    while queue:
        one = queue.pop(0)
        yield one
        fresh = [parent for parent in one.parents if parent.key not in seen]
        seen.update(parent.key for parent in fresh)
        queue.extend({parent.key: parent for parent in fresh}.values())


def _describe(one: Ancestor) -> str:
    if one.artifact is None:
        return f"{short(one.key)}  (no longer in the store)"
    manifest = one.artifact.manifest
    said = f"{one.artifact.name}  {manifest.title} v{manifest.version}, {manifest.seconds:.1f} s"
    notes = manifest.notes
    if manifest.kind != "judgments" or "judgments" not in notes:
        return said
    taken = f", snapshot {short(str(notes['snapshot']))}" if notes.get("snapshot") else ""
    project = f" of project {notes['project']}" if notes.get("project") else ""
    return f"{said}: {notes['judgments']} judgments by {notes.get('raters', '?')} raters{taken}{project}"


def _entered(origin: Origin) -> str:
    """Something from outside; what was looked for and was not there is said so."""
    if origin.name == "reading":
        return f"read as version {origin.digest} of the formats"
    return f"{origin.name}: {short(origin.digest) if origin.digest else 'nothing'}"
