"""Earlier versions of a run: when its settings change, what it made before keeps a name, runs/first@1."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from assent.artifacts.layout import RUN_SETTINGS
from assent.artifacts.project import RESULT, STEPS, RunFolder
from assent.artifacts.round import ROUND, Made, read_round
from assent.core import files
from assent.core.errors import UserError

REPORT = "report.html"
_REPLACED = (STEPS, RESULT, REPORT)
"""Besides its rounds, what a run writes anew; its settings stay until others are written."""

Rounds = Mapping[int, Sequence[Made]]
"""What a run makes by the number of the round."""


def rounds_in(run: Path) -> dict[int, list[Made]]:
    """What is written down in the folder of a run; a round that cannot be read has made nothing."""
    found = {}
    for folder in RunFolder(run).rounds:
        try:
            found[int(folder.name.removeprefix("round-"))] = read_round(folder)
        except UserError:
            continue  # it is written anew
    return found


def lost(run: Path, now: Rounds) -> dict[int, list[Made]]:
    """Policies and evaluations that are named in the folder of a run and would not be by `now`, by round.

    A copy of the base is no policy that anybody trained, and of what is gone no name is lost.
    """
    store = RunFolder(run).store()
    kept = {number: {one.key for one in made} for number, made in now.items()}
    found = {
        number: [
            one
            for one in made
            if one.kind in ("policy", "evaluation")
            and one.stage != "base"
            and one.key not in kept.get(number, ())
            and store.place(one.artifact).is_dir()
        ]
        for number, made in rounds_in(run).items()
    }
    return {number: made for number, made in found.items() if made}


def newest_version(run: Path) -> Path | None:
    """The last of the earlier versions of a run; None where there is none."""
    return next(reversed(_versions(run)), None)


def version_for(run: Path, now: Rounds) -> Path | None:
    """The folder under which what a run has made would be kept, were `now` all that it names.

    One that has the same already serves for it. None where no name is lost.
    """
    gone = lost(run, now)
    if not gone:
        return None
    newest = newest_version(run)
    number = 1 + (0 if newest is None else RunFolder(newest).version or 0)
    return next((one for one in _versions(run) if _has(one, gone)), run.with_name(f"{run.name}@{number}"))


def set_aside(run: Path, now: Rounds) -> Path | None:
    """Keep what a run has made under another name, where names of it would be lost by `now`, and clear its place.

    Returns the folder of the version; None where nothing is lost.
    """
    version = version_for(run, now)
    if version is None:
        return None
    if not version.is_dir():
        with files.new_directory(version) as partial:
            _copy(run, partial)
    for folder in RunFolder(run).rounds:
        shutil.rmtree(folder)
    for name in _REPLACED:
        (run / name).unlink(missing_ok=True)
    return version


def _copy(run: Path, to: Path) -> None:
    for name in (RUN_SETTINGS, *_REPLACED):
        if (run / name).is_file():
            shutil.copy2(run / name, to / name)
    for folder in RunFolder(run).rounds:
        (to / folder.name).mkdir()
        shutil.copy2(folder / ROUND, to / folder.name / ROUND)


def _versions(run: Path) -> list[Path]:
    """Its earlier versions, oldest first."""
    found = [one for one in run.parent.glob(f"{run.name}@*") if RunFolder(one).version is not None]
    return sorted(found, key=lambda path: RunFolder(path).version or 0)


def _has(version: Path, gone: Rounds) -> bool:
    there = rounds_in(version)
    return all({one.key for one in made} <= {one.key for one in there.get(number, ())} for number, made in gone.items())
