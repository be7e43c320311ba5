"""What runs made of the judgments: how right reward models became with more of them, and which models they touched.

Runs write a manifest beside every artifact (`runs/artifacts/<name>/manifest.json`). Only those are read, no model is
opened, and no run needs to know that anybody looks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from assent.artifacts.layout import ARTIFACTS, RUNS
from assent.artifacts.lineage import resting_on
from assent.artifacts.project import is_run
from assent.artifacts.store import Artifact, ArtifactStore
from assent.feedback.config import StoreConfig
from assent.stats.estimate import Estimate


@dataclass(frozen=True)
class CurvePoint:
    """A reward model: the judgments it was fitted to, and the share of held-out pairs it orders as raters did."""

    artifact: str
    created: str
    judgments: int
    accuracy: Estimate
    ceiling: Estimate | None = None
    """The raters' own agreement on the same pairs."""
    baseline: Estimate | None = None
    """"The longer answer wins" on the same pairs."""


def folders_beside(store_url: str) -> list[Path]:
    """Folders in which runs with this store keep their artifacts: around its SQLite file and in `runs` beside it.

    A store may lie in the folder of its run. Of a store on a database server: around where this process was started,
    which is the project's folder.
    """
    file = StoreConfig(url=store_url).file
    home = Path.cwd() if file is None else file.absolute().parent
    shared = [home.parent / ARTIFACTS] if is_run(home) else []
    found = [home / ARTIFACTS, *shared, home / RUNS / ARTIFACTS, *sorted((home / RUNS).glob(f"*/{ARTIFACTS}"))]
    return [folder for folder in found if folder.is_dir()]


def made_in(folders: Iterable[Path]) -> list[Artifact]:
    """All artifacts by their manifests, oldest first; what cannot be read as a manifest is none."""
    first, *others = [*folders] or [Path()]
    return ArtifactStore(first, say=lambda _: None, read_only=True, also=others).all()


def curve(made: Sequence[Artifact], *, project: str | None = None) -> list[CurvePoint]:
    """One point per reward model, fewest judgments first; of those that rest on `project` where it is named."""
    by_key = {one.key: one for one in made}
    points = []
    for one in made:
        judgments = by_key.get(one.manifest.parents.get("judgments", ""))
        accuracy = _share(one, "heldout_accuracy")
        if one.kind != "reward" or judgments is None or accuracy is None:
            continue
        number = judgments.notes.get("judgments")
        if isinstance(number, int) and (project is None or project in _projects(judgments, by_key)):
            points.append(
                CurvePoint(
                    artifact=one.name,
                    created=one.manifest.created,
                    judgments=number,
                    accuracy=accuracy,
                    ceiling=_share(one, "ceiling"),
                    baseline=_share(one, "longer_wins"),
                )
            )
    return sorted(points, key=lambda p: (p.judgments, p.created, p.artifact))


def touched(made: Sequence[Artifact], snapshots: Collection[str]) -> list[Artifact]:
    """Everything that rests on judgments of these snapshots (by hash), oldest first."""
    keys = resting_on(made, {one.key for one in made if one.notes.get("snapshot") in snapshots})
    return [one for one in made if one.key in keys]


def _projects(judgments: Artifact, by_key: Mapping[str, Artifact]) -> set[str]:
    """Projects whose judgments it holds: each round's tasks are a project named by its samples."""
    found: set[str] = set()
    at: Artifact | None = judgments
    while at is not None:
        parents, noted = at.manifest.parents, at.notes.get("project")
        samples = by_key.get(parents.get("samples", ""))
        found |= {noted} if isinstance(noted, str) else {samples.name} if samples is not None else set()
        at = by_key.get(parents.get("earlier", ""))
    return found


def _share(reward: Artifact, name: str) -> Estimate | None:
    """A share of a reward model's held-out pairs, from its notes."""
    held_out = reward.notes.get("held_out")
    return Estimate.of(reward.notes.get(name), n=held_out if isinstance(held_out, int) else 0)
