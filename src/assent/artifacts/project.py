"""The runs of a project: which there are, what each of them refers to, and what none does.

runs/{artifacts,work}/          shared by all runs
runs/first/                     a run: run.yaml, steps.json, round-N/round.json, result.json, report.html, logs/
runs/first@1/                   what it was before its settings changed: the same small files
runs/old/artifacts/             of older versions: a run with artifacts of its own
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assent.artifacts.layout import ARTIFACTS, RESERVED, RUN_SETTINGS, RUNS, WORK
from assent.artifacts.lineage import with_ancestors
from assent.artifacts.round import ROUND, read_round
from assent.artifacts.stage import Step
from assent.artifacts.store import Artifact, ArtifactStore
from assent.core import files
from assent.core.errors import UserError

STEPS = "steps.json"
"""In a run's folder: every stage that it asked for, in order, begun or done."""
RESULT = "result.json"
PROFILES = "profiles"
"""In a run's folder: a folder for each profile that was fitted from it, with steps of its own."""
_NAME = re.compile(r"\b[a-z]+-[0-9a-f]{12}\b")


@dataclass(frozen=True)
class RunFolder:
    """The folder of a run, or of an earlier version of one."""

    path: Path

    @property
    def name(self) -> str:
        """Of the run: "first", of the version first@1 too."""
        return self.path.name.partition("@")[0]

    @property
    def version(self) -> int | None:
        """1 for first@1; None for what the run is now."""
        number = self.path.name.partition("@")[2]
        return int(number) if number.isdigit() else None

    @property
    def newest(self) -> Path:
        """Folder of what the run is now."""
        return self.path.with_name(self.name)

    @property
    def rounds(self) -> list[Path]:
        """The folders of its rounds, in order; round 0 is what the first one starts from."""
        found = [one.parent for one in self.path.glob(f"round-*/{ROUND}")]
        numbered = [one for one in found if one.name.removeprefix("round-").isdigit()]
        return sorted(numbered, key=lambda one: int(one.name.removeprefix("round-")))

    def store(self, say: Callable[[str], None] = lambda _: None) -> ArtifactStore:
        """Where its artifacts are, to look at only: those that all runs share, then its own of an older version."""
        own = (self.path / ARTIFACTS, self.newest / ARTIFACTS)
        return ArtifactStore(self.path.parent / ARTIFACTS, say=say, read_only=True, also=own)

    def names(self) -> set[str]:
        """Names of the artifacts and works that its files refer to; what they were made from may be missing."""
        found = {made.artifact for folder in self.rounds for made in _made(folder)}
        for path in (self.path / STEPS, *self.path.glob(f"{PROFILES}/*/{STEPS}")):
            found |= {str(step["artifact"]) for step in _json(path).get("steps") or ()}
        result = _json(self.path / RESULT)
        for one in (
            *(result.get("rounds") or ()),
            {"artifacts": {"final": (result.get("final") or {}).get("artifact")}},
        ):
            found |= {str(name) for name in (one.get("artifacts") or {}).values() if name}
        settings = self.path / RUN_SETTINGS
        return found | set(_NAME.findall(settings.read_text(encoding="utf-8")) if settings.is_file() else ())

    def artifacts(self, everything: Sequence[Artifact] | None = None) -> list[Artifact]:
        """Every artifact that it rests on, oldest first. All that lie in its own folder are its own.

        `everything` are the artifacts of all runs, where they were read already.
        """
        everything = self.store().all() if everything is None else everything
        own, names = self.path / ARTIFACTS, self.names()
        return with_ancestors([a for a in everything if a.name in names or a.folder.parent == own], everything)

    def works(self) -> list[Path]:
        """Unfinished work that it would go on with; of a run of an older version all that lies in its own folder."""
        names, own = self.names(), _folders(self.path / WORK)
        if (self.path / STEPS).is_file():
            own = [one for one in own if one.name in names]
        return [*(one for one in _folders(self.path.parent / WORK) if one.name in names), *own]


@dataclass(frozen=True)
class Unused:
    """What no run of a project refers to."""

    artifacts: tuple[Artifact, ...]
    works: tuple[Path, ...]


def is_run(folder: Path) -> bool:
    """Whether a folder is that of a run, begun or finished, or of an earlier version of one."""
    return (folder / RUN_SETTINGS).is_file() or next(folder.glob(f"round-*/{ROUND}"), None) is not None


def all_runs(runs: Path = RUNS) -> list[RunFolder]:
    """Every run below a folder, by name; its versions, oldest first, before what it is now."""
    found = [RunFolder(one) for one in runs.glob("[!.]*") if one.name not in RESERVED and is_run(one)]
    return sorted(found, key=lambda one: (one.name, one.version is None, one.version or 0))


def all_artifacts(runs: Path = RUNS) -> ArtifactStore:
    """The artifacts of all runs below a folder, to look at only: the shared ones, and those of older versions' runs."""
    own = sorted(one for one in runs.glob(f"*/{ARTIFACTS}") if one.parent.name not in RESERVED)
    return ArtifactStore(runs / ARTIFACTS, say=lambda _: None, read_only=True, also=own)


def unused(runs: Path = RUNS) -> Unused:
    """Artifacts and unfinished work that no run refers to, and no artifact that one refers to was made from."""
    known, everything = all_runs(runs), all_artifacts(runs).all()
    used = {artifact.key for run in known for artifact in run.artifacts(everything)}
    worked = {work for run in known for work in run.works()}
    works = [work for place in (runs, *(run.path for run in known)) for work in _folders(place / WORK)]
    return Unused(
        tuple(one for one in everything if one.key not in used),
        tuple(one for one in works if one not in worked),
    )


def run_of(artifact: Artifact) -> Path:
    """The folder of the run that an artifact belongs to; of several, of the one that was started last.

    Raises UserError where none refers to it.
    """
    runs = artifact.folder.parent.parent
    if is_run(runs):
        return runs
    mine = [one.path for one in all_runs(runs) if artifact.name in one.names()]
    if not mine:
        raise UserError(f"{artifact.folder} belongs to no run below {runs}; name a round of a run: {runs}/x/round-1")
    return max(mine, key=lambda path: (path / RUN_SETTINGS).stat().st_mtime if (path / RUN_SETTINGS).is_file() else 0)


def neighbours(folder: Path) -> tuple[Path, ...]:
    """Other folders in which artifacts lie that those in `folder` were made from, or that were made from them."""
    if folder.name != ARTIFACTS:
        return ()
    return (folder.parent.parent / ARTIFACTS, *sorted(folder.parent.glob(f"*/{ARTIFACTS}")))


def read_steps(folder: Path) -> list[dict[str, Any]]:
    """The steps in a run's folder as they were written; none where there is no such file."""
    return list(_json(folder / STEPS).get("steps") or ())


def write_steps(folder: Path, steps: Sequence[Step], *, before: Sequence[dict[str, Any]] = ()) -> None:
    """Write steps.json. Steps of `before` that were not come to yet stay: their work is gone on with."""
    now = [
        {"stage": one.stage, "scope": list(one.scope), "artifact": one.artifact.name, "key": one.artifact.key}
        for one in steps
    ]
    reached = {(one["stage"], tuple(one["scope"])) for one in now}
    left = [one for one in before if (one["stage"], tuple(one["scope"])) not in reached]
    files.write_json(folder / STEPS, {"steps": [*now, *left]})


def _made(folder: Path) -> Iterator[Any]:
    try:
        yield from read_round(folder)
    except UserError:
        return  # said by whoever asks for the round


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _folders(place: Path) -> list[Path]:
    return sorted(one for one in place.glob("[!.]*") if one.is_dir())
