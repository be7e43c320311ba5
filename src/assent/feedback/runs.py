"""What runs made of the judgments: how right reward models became with more of them, and which models they touched.

Runs write a manifest beside every artifact (`artifacts/<name>/manifest.json`). Only those are read, no model is opened,
and no run needs to know that anybody looks.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assent.feedback.quality.intervals import Interval

_SQLITE = "sqlite:///"
_FIELDS = ("estimate", "low", "high")


@dataclass(frozen=True)
class Made:
    """An artifact of a run."""

    name: str
    kind: str
    key: str
    created: str
    inputs: Mapping[str, str]
    notes: Mapping[str, Any]
    folder: Path


@dataclass(frozen=True)
class CurvePoint:
    """A reward model: the judgments it was fitted to, and the share of held-out pairs it orders as raters did."""

    artifact: str
    created: str
    judgments: int
    accuracy: Interval
    ceiling: Interval | None = None
    """The raters' own agreement on the same pairs."""
    baseline: Interval | None = None
    """"The longer answer wins" on the same pairs."""


def folders_beside(store_url: str) -> list[Path]:
    """Folders in which runs with this store keep their artifacts: beside its SQLite file and in `runs` beside it.

    Of a store on a database server: beside where this process was started, which is the project's folder.
    """
    is_file = store_url.startswith(_SQLITE)
    home = Path(store_url.removeprefix(_SQLITE)).absolute().parent if is_file else Path.cwd()
    found = [home / "artifacts", *sorted(home.glob("runs/*/artifacts"))]
    return [folder for folder in found if folder.is_dir()]


def made_in(folders: Iterable[Path]) -> list[Made]:
    """All whole artifacts, oldest first; what cannot be read as a manifest is no artifact."""
    found = [made for folder in folders for path in folder.glob("*/manifest.json") if (made := _read(path)) is not None]
    return sorted(found, key=lambda made: (made.created, made.name))


def curve(made: Sequence[Made], *, project: str | None = None) -> list[CurvePoint]:
    """One point per reward model, fewest judgments first; of those that rest on `project` where it is named."""
    by_key = {one.key: one for one in made}
    points = []
    for one in made:
        judgments = by_key.get(one.inputs.get("judgments", ""))
        accuracy = _interval(one.notes.get("heldout_accuracy"), one.notes.get("held_out"))
        if one.kind != "reward" or judgments is None or accuracy is None:
            continue
        number = judgments.notes.get("judgments")
        if isinstance(number, int) and (project is None or project in _projects(judgments, by_key)):
            points.append(
                CurvePoint(
                    artifact=one.name,
                    created=one.created,
                    judgments=number,
                    accuracy=accuracy,
                    ceiling=_interval(one.notes.get("rater_ceiling"), one.notes.get("held_out")),
                    baseline=_interval(one.notes.get("longer_wins"), one.notes.get("held_out")),
                )
            )
    return sorted(points, key=lambda p: (p.judgments, p.created, p.artifact))


def touched(made: Sequence[Made], snapshots: Collection[str]) -> list[Made]:
    """Everything that rests on judgments of these snapshots (by hash), oldest first."""
    keys = {one.key for one in made if one.notes.get("snapshot") in snapshots}
    while True:
        more = {one.key for one in made if one.key not in keys and keys & set(one.inputs.values())}
        if not more:
            return [one for one in made if one.key in keys]
        keys |= more


def _projects(judgments: Made, by_key: Mapping[str, Made]) -> set[str]:
    """Projects whose judgments it holds: each round's tasks are a project named by its samples."""
    found: set[str] = set()
    at: Made | None = judgments
    while at is not None:
        samples = by_key.get(at.inputs.get("samples", ""))
        noted = at.notes.get("project")
        found |= {noted} if isinstance(noted, str) else {samples.name} if samples is not None else set()
        at = by_key.get(at.inputs.get("earlier", ""))
    return found


def _read(path: Path) -> Made | None:
    try:
        values = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(values, dict) or not isinstance(values.get("key"), str) or "kind" not in values:
        return None
    inputs, notes = values.get("inputs"), values.get("notes")
    return Made(
        name=path.parent.name,
        kind=str(values["kind"]),
        key=values["key"],
        created=str(values.get("created", "")),
        inputs=inputs if isinstance(inputs, dict) else {},
        notes=notes if isinstance(notes, dict) else {},
        folder=path.parent,
    )


def _interval(values: Any, n: Any) -> Interval | None:
    if not isinstance(values, dict) or not all(isinstance(values.get(k), float | int) for k in _FIELDS):
        return None
    estimate, low, high = (float(values[k]) for k in _FIELDS)
    return Interval(estimate, low, high, n if isinstance(n, int) else 0)
