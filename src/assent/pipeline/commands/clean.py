"""`assent clean`: what no run of a project refers to, or only a run that is to go, and how much; then gone, if wanted.

Judgments stay: no store is touched, and samples that people judged stay with what was made of their judgments, since
answers made again on another machine may be others than those that were judged.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from assent.artifacts.layout import ARTIFACTS, GIVEN, LOGS, PROJECT, RUN_SETTINGS, RUNS, WORK
from assent.artifacts.lineage import with_ancestors
from assent.artifacts.locks import lock_run, nobody_else
from assent.artifacts.project import PROFILES, RESULT, STEPS, RunFolder, all_artifacts, all_runs
from assent.artifacts.store import Artifact, remove
from assent.artifacts.versions import REPORT
from assent.core.config import read_yaml
from assent.core.errors import ConfigError, StoreError, UserError
from assent.core.files import size_of
from assent.feedback.config import StoreConfig
from assent.feedback.store import Store
from assent.pipeline.commands.runs import shown_size
from assent.pipeline.erasures import evaluation_project

ARTIFACT = re.compile(r"\b[a-z]+-[0-9a-f]{12}\b")
OF_A_RUN = (RESULT, STEPS, REPORT, LOGS, PROFILES, WORK, ".lock", RUN_SETTINGS)
"""What `assent run` writes into a run's folder beside its rounds; run.yaml goes last, so that what a kill leaves can be
named and cleaned again. Everything else in the folder, such as a store, is somebody's own."""


@dataclass(frozen=True)
class Clearance:
    """What would go, and what stays though no run that stays refers to it."""

    runs: tuple[RunFolder, ...]
    """Whose own small files go."""
    artifacts: tuple[Artifact, ...]
    works: tuple[Path, ...]
    logs: tuple[Path, ...]
    """Folders of logs of what is gone, or goes."""
    given: tuple[Path, ...] = ()
    """Files and models that Python programs gave to runs that are gone, or go."""
    kept: Mapping[Path, str] = field(default_factory=dict)
    """Folders of artifacts, and other files in the runs' folders, with the reason why they stay."""
    mentions: tuple[str, ...] = ()
    """Files of the project that name a run that would go."""
    has_runs: bool = True
    """Whether there is any run in the project."""

    @property
    def places(self) -> list[Path]:
        """Every file and folder that would go, in the order of its going."""
        small = [path for run in self.runs for path in _small_files(run.path)]
        return [*(a.folder for a in self.artifacts), *self.works, *self.logs, *self.given, *small]

    @property
    def num_bytes(self) -> int:
        """What would be free then."""
        return sum(map(size_of, self.places))

    def lines(self) -> Iterator[str]:
        """What would go and what stays, a line each."""
        for run in self.runs:
            small = sum(map(size_of, _small_files(run.path)))
            yield f"  {run.path}: {shown_size(small)}, settings, numbers, report and logs of the run"
        for one in self.artifacts:
            made = one.manifest.created[:16].replace("T", " ")
            yield f"  {one.folder}: {shown_size(size_of(one.folder))}, {one.manifest.title}, made {made}"
        for work in self.works:
            yield f"  {work}: {shown_size(size_of(work))}, unfinished"
        if self.logs:
            yield f"  {len(self.logs)} logs of what is gone: {shown_size(sum(map(size_of, self.logs)))}"
        for path in self.given:
            yield f"  {path}: {shown_size(size_of(path))}, given by a Python program"
        for path, reason in self.kept.items():
            yield f"stays: {path}: {reason}"
        yield from (f"note: {said}" for said in self.mentions)

    def why_nothing(self) -> str:
        """Why nothing would go, where that is so."""
        if not self.has_runs:
            return "there is no run in this project yet"
        return f"runs use everything{' else' if self.kept else ''} that is there; `assent runs` lists them"

    def question(self) -> str:
        """What would go, in short."""
        counts = (
            (len(self.runs), "run"),
            (len(self.artifacts), "artifact"),
            (len(self.works), "unfinished work"),
            (len(self.logs), "log"),
            (len(self.given), "given file"),
        )
        parts = [f"{n} {what}{'s' if n > 1 and not what.endswith('work') else ''}" for n, what in counts if n]
        return f"{', '.join(parts)}: {shown_size(self.num_bytes)}"


def clearance(names: Sequence[str] = (), runs: Path = RUNS) -> Clearance:
    """What no run uses; with names of runs also these and what no other run uses. Nothing is deleted.

    `first` means the run with its earlier versions, `first@1` this version. Raises UserError for a name that is none.
    """
    known, everything = all_runs(runs), all_artifacts(runs).every()
    going = [one for name in names for one in _named(name, known, runs)]
    staying = [one for one in known if one not in going]
    used = {a.key for run in staying for a in run.artifacts(everything)}
    worked = {work for run in staying for work in run.works()}
    homes = {runs / ARTIFACTS, *(one.path / ARTIFACTS for one in going)}
    loose = [a for a in everything if a.folder.parent in homes]
    loose = [a for a in loose if a.folder.parent != runs / ARTIFACTS or a.key not in used]
    kept = _mentioned(runs, loose, everything) | _judged(runs, known, loose, everything)
    gone = [a for a in loose if a.folder not in kept]
    works = [one for one in sorted((runs / WORK).glob("[!.]*")) if one.is_dir() and one not in worked]
    there = {a.name for a in everything if a not in gone} | {one.name for one in worked}
    logs = [log for run in staying for log in _logs(run) if log.name not in there]
    texts = "".join(_settings_of(run) for run in staying)
    given = [one for one in sorted((runs / GIVEN).glob("[!.]*")) if one.name not in texts]
    others = {path: "no file of a run; delete it yourself" for run in going for path in _others(run.path)}
    mentions = [said for run in going if run.version is None for said in _naming(runs, run)]
    return Clearance(
        runs=tuple(going),
        artifacts=tuple(gone),
        works=tuple(works),
        logs=tuple(dict.fromkeys(logs)),
        given=tuple(given),
        kept=kept | others,
        mentions=tuple(mentions),
        has_runs=bool(known),
    )


def clear(agreed: Clearance, names: Sequence[str] = (), runs: Path = RUNS) -> Iterator[str]:
    """Delete what was agreed to, and of that only what may still go; each artifact's manifest first.

    Raises UserError where a run is at work.
    """
    with ExitStack() as locks:
        locks.enter_context(nobody_else(runs))
        now = clearance(names, runs)
        for run in now.runs:
            locks.callback(lock_run(run.path).close)
        may_go, wanted = set(now.places), agreed.places
        artifacts = {a.folder for a in agreed.artifacts}
        before = now.num_bytes
        for place in (one for one in wanted if one in may_go):
            if place in artifacts:
                remove(place)
            elif place.is_dir():
                shutil.rmtree(place)
            else:
                place.unlink(missing_ok=True)
        for run in now.runs:
            _remove_empty(run.path)
    yield f"deleted {agreed.question().rpartition(': ')[0]}: {shown_size(before)} are free again"
    if left := [one for one in wanted if one not in may_go]:
        yield f"{len(left)} of them stayed, since a run that began meanwhile uses them"


def _named(name: str, known: Sequence[RunFolder], runs: Path) -> list[RunFolder]:
    wanted = Path(name).name
    found = [one for one in known if wanted in (one.path.name, one.name if "@" not in wanted else "")]
    if not found:
        there = ", ".join(one.path.name for one in known) or "none"
        raise UserError(f"--run {name} is no run below {runs}; there is: {there}")
    return found


def _settings_of(run: RunFolder) -> str:
    path = run.path / RUN_SETTINGS
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _small_files(folder: Path) -> list[Path]:
    rounds = sorted(folder.glob("round-*"))
    return [*rounds, *(path for name in OF_A_RUN if (path := folder / name).exists())]


def _others(folder: Path) -> list[Path]:
    known = {*_small_files(folder), folder / ARTIFACTS}
    return sorted(path for path in folder.iterdir() if path not in known)


def _logs(run: RunFolder) -> list[Path]:
    return [path for path in sorted((run.newest / LOGS).glob("*")) if ARTIFACT.fullmatch(path.name)]


def _remove_empty(folder: Path) -> None:
    for path in (folder / ARTIFACTS, folder):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()


def _texts(runs: Path) -> Iterator[tuple[Path, str]]:
    """The YAML files of the project, and those of its folders, but not of its runs."""
    home = runs.parent
    for path in sorted({*home.glob("*.y*ml"), *home.glob("[!.]*/*.y*ml")}):
        if not path.is_relative_to(runs):
            yield path, path.read_text(encoding="utf-8", errors="replace")


def _mentioned(runs: Path, loose: Sequence[Artifact], everything: Sequence[Artifact]) -> dict[Path, str]:
    """Artifacts that a file of the project names, such as a profile, with what they were made from."""
    found: dict[Path, str] = {}
    for path, text in _texts(runs):
        names = set(ARTIFACT.findall(text))
        named = with_ancestors([a for a in everything if a.name in names], everything)
        keys = {a.key for a in named}
        found |= {a.folder: f"{path} names it, or what was made from it" for a in loose if a.key in keys}
    return found


def _naming(runs: Path, run: RunFolder) -> Iterator[str]:
    name = re.compile(rf"\b{re.escape(runs.name)}/{re.escape(run.name)}(?![\w.-])")
    for path, text in _texts(runs):
        if name.search(text):
            yield f"{path} names {run.path}, and will not find it"


def _judged(
    runs: Path, known: Iterable[RunFolder], loose: Sequence[Artifact], everything: Sequence[Artifact]
) -> dict[Path, str]:
    """Samples that people judged, and what was made of their judgments."""
    names = {a.key: a.name for a in everything}
    projects = {a.folder: found for a in loose if (found := _projects(a, names))}
    asked = {one for found in projects.values() for one in found}
    said: dict[str, int] = {}
    problems: list[str] = []
    for url in _stores(runs, known) if asked else ():
        try:
            said |= _said_by_people(url, asked)
        except StoreError as error:
            problems.append(f"people may have judged it, and the store cannot be read ({error})")
    return {
        folder: problems[0] if problems else f"{sum(said.get(one, 0) for one in found)} judgments of people are of it"
        for folder, found in projects.items()
        if problems or any(one in said for one in found)
    }


def _projects(artifact: Artifact, names: Mapping[str, str]) -> list[str]:
    """The projects of the store whose judgments an artifact is of."""
    parents = artifact.manifest.parents
    match artifact.kind:
        case "samples":
            return [artifact.name]
        case "judgments":
            return [names[key] for name, key in parents.items() if name == "samples" and key in names]
        case "evaluation":
            sides = [names.get(parents.get(side, "")) for side in ("policy", "baseline")]
            return [evaluation_project(*map(str, sides))] if all(sides) else []
    return []


def _stores(runs: Path, known: Iterable[RunFolder]) -> list[str]:
    """Every store that the project or a run of it names, and that is there."""
    found: dict[str, None] = {}
    for settings in (runs.parent / PROJECT, *(one.path / RUN_SETTINGS for one in known)):
        if settings.is_file():
            try:
                values = read_yaml(settings).get("store") or {}
                store = StoreConfig.parse(values)
            except ConfigError:
                continue  # of another version; the store of the others is most likely its own
            located = StoreConfig(url=store.located(settings.parent))
            if located.exists:
                found[located.url] = None
    return list(found)


def _said_by_people(url: str, projects: set[str]) -> dict[str, int]:
    """How many judgments of people each of these projects has; those without any are missing."""
    with Store.open(url) as store:
        people = {rater.id for rater in store.raters() if rater.kind == "person"}
        there = projects & {project.name for project in store.projects.all()}
        counts = {name: sum(row.rater_id in people for row in store.said(name)) for name in sorted(there)}
    return {name: count for name, count in counts.items() if count}
