"""`assent feedback`: judgments out to files and in, fixed in snapshots; raters forgotten and projects deleted."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from assent.artifacts.layout import RUNS
from assent.core.errors import ConflictError, StoreError, UserError
from assent.core.files import write_bytes
from assent.core.types import Purpose
from assent.data.config import Source
from assent.data.exports import export
from assent.feedback.config import StoreConfig
from assent.feedback.exporting import gather, those_who_said
from assent.feedback.people.work import Period, as_csv
from assent.feedback.records.places import Address
from assent.feedback.records.queue import Contents, Project, Queue
from assent.feedback.said_files import read_said
from assent.feedback.store import Store
from assent.feedback.terminal import note
from assent.pipeline.erasures import Touched, remove, touched

_SAID = {"reward": "rankings", "evaluation": "comparisons"}


@dataclass(frozen=True)
class StoreQueue:
    """Which judgments are meant: those of a queue in the store at a URL."""

    store_url: str
    project: str | None = None
    """Its name, or a place in a run: first, first/round-1, first/round-1/rankings. None: the only one there is."""
    purpose: Purpose = "reward"

    def queue(self, store: Store) -> Queue:
        """The queue. Raises StoreError where there is no such project, or several are possible."""
        found = self.queues(store)
        if len(found) > 1:
            known = {project.name: project for project in store.projects.all()}
            names = _listed([called(known[one.project]) for one in found])
            raise StoreError(f"name one project with --project; there are {names} for {self.purpose}")
        return found[0]

    def queues(self, store: Store) -> list[Queue]:
        """All queues that are meant, those of a run in its order. Raises StoreError where there is none."""
        projects = store.projects.all()
        if self.project in [one.name for one in projects]:
            return [Queue(str(self.project), self.purpose)]
        if self.project is not None:
            return self._of_run(projects, self.project.rstrip("/"))
        filled = [one for one in projects if store.counts(Queue(one.name, self.purpose)).need]
        if len(filled) != 1:
            names = _listed([called(one) for one in filled])
            raise StoreError(f"name the project with --project; there are {names} for {self.purpose}")
        return [Queue(filled[0].name, self.purpose)]

    def _of_run(self, projects: Sequence[Project], named: str) -> list[Queue]:
        found: list[tuple[Address, Project]] = []
        for one in projects:
            found += [(at, one) for at in addresses(one) if at.is_below(named)]
        exact = [(at, one) for at, one in found if str(at) == named]
        wanted = exact or [(at, one) for at, one in found if at.is_evaluation == (self.purpose == "evaluation")]
        if not wanted:
            kind = f" for {self.purpose}" if found else ""
            raise StoreError(
                f"there is no project {named!r}{kind} in the store; there are {_listed([called(p) for p in projects])}"
            )
        if len({at.folder for at, _ in wanted}) > 1:
            names = _listed([one.name for _, one in wanted])
            raise StoreError(f"several runs are called {wanted[0][0].run!r}; name one of the projects {names}")
        wanted.sort(key=lambda one: one[0].step)
        return [Queue(one.name, "evaluation" if at.is_evaluation else "reward") for at, one in wanted]


def addresses(project: Project) -> list[Address]:
    """Where in runs a project is asked now; runs that share samples ask the same one."""
    if project.replaced_by is not None:
        return []
    return [at for place in project.places if (at := Address.of(place)) is not None]


def called(project: Project) -> str:
    """A project as one may name it: by its place in a run, the first of several."""
    return next((str(at) for at in addresses(project)), project.name)


def list_projects(store_url: str) -> Iterator[str]:
    """A line for each project: how it is named, how much is in, and whether it is open."""
    with open_store(store_url) as store:
        rows = [_row(store, project) for project in store.projects.all()]
    width = max((len(row[0]) for row in rows), default=0)
    yield from (f"{name:{width}}  {counts}{state}" for name, counts, state in rows)
    if not rows:
        yield "there are no projects yet; `assent run` with people as raters, or `assent rate --from FILE`, makes one"


def _row(store: Store, project: Project) -> tuple[str, str, str]:
    """Name, counts of both purposes and state of a project."""
    counts = {purpose: store.counts(Queue(project.name, purpose)) for purpose in get_args(Purpose)}
    said = [f"{one.have} of {one.need} {_SAID[purpose]}" for purpose, one in counts.items() if one.need]
    state = "" if project.settings.is_open else ", closed"
    if project.replaced_by is not None:
        asked = [str(at) for place in project.places if (at := Address.of(place)) is not None]
        state = f", closed: {asked[-1] if asked else 'its run'} asks other tasks now"
    if project.archived_at is not None:
        state = ", archived"
    others = [*map(str, addresses(project)), project.name][1:]
    alias = f" ({', '.join(others)})" if others else ""
    return called(project), (", ".join(said) or "nothing asked") + alias, state


def export_feedback(
    asked: StoreQueue, to: Path, *, format: str, snapshot: str | None = None, attributes: bool = False
) -> Iterator[str]:
    """Write everything said in a queue to a file and say what the format could not hold."""
    with open_store(asked.store_url) as store:
        queues = asked.queues(store) if snapshot is None else [asked.queue(store)]
        said = [one for queue in queues for one in gather(store, queue, snapshot=_hash(store, queue, snapshot))]
        raters = those_who_said(store, attributes=attributes)
        for queue in queues:
            about = "with attributes" if attributes else ""
            note(store.events, "feedback export", about=about, project=queue.project)
    report = export(said, format, to, raters=raters)
    of = f" of {len(queues)} projects" if len(queues) > 1 else ""
    yield f"{report.lines()[0]}{of} to {to}"
    yield from report.lines()[1:]


def import_feedback(
    asked: StoreQueue, files: Sequence[Path], *, format: str = "auto", skip_bad: bool = False
) -> Iterator[str]:
    """Bring the rankings of all files into a queue, or none of them; the same ones again add nothing.

    Without a project they go where `assent import` puts them, and every run learns from them. Bad rows end it with
    DataError, or go into quarantine.jsonl beside the first file with `skip_bad`.
    """
    from assent.pipeline.imported import IMPORTED

    queue = Queue(asked.project or IMPORTED.project, asked.purpose)
    where = "assent feedback import"
    sources = [Source.parse({"path": f, "format": format, "skip_bad": skip_bad}, where=where) for f in files]
    quarantine = files[0].parent / "quarantine.jsonl"
    said, report = read_said(sources, quarantine=quarantine)
    with Store.open(asked.store_url) as store:
        counts = store.import_comparisons(said.comparisons, queue, now=time.time())
        note(store.events, "feedback import", about=str(counts.added), project=queue.project)
    yield from (*report.lines(), *said.lines())
    added = f"{counts.added} judgments added to {queue.project}, {counts.known} known already"
    yield f"{added}, {counts.new_raters} new raters"
    yield from counts.lines()


def work_table(store_url: str, project: str | None, *, first: str, last: str, to: Path | None) -> Iterator[str]:
    """Who did how much in a project or in all, between two days: as lines, or as a CSV file."""
    period = Period.of(first, last)
    with open_store(store_url) as store:
        if project is not None:
            StoreQueue(store_url, project).queue(store)
        found = store.accounts.work(project, period)
        note(store.events, "feedback work", project=project)
    table = as_csv(found)
    if to is None:
        yield from table.decode("utf-8-sig").splitlines()
        return
    write_bytes(to, table)
    judgments, skips = sum(one.judgments for one in found), sum(one.skips for one in found)
    yield f"wrote {len(found)} rows to {to}: {judgments} judgments and {skips} skips"


def snapshot_feedback(asked: StoreQueue, name: str) -> Iterator[str]:
    """Fix what has been said so far under a name; a name that is taken gives the same snapshot back."""
    with open_store(asked.store_url) as store:
        queue = asked.queue(store)
        taken = store.snapshot(name, queue, now=time.time())
        note(store.events, "feedback snapshot", about=taken.hash, project=queue.project)
    yield f"snapshot {taken.name}: {taken.judgments} judgments, {taken.hash}"


def what_erasing_takes(store_url: str, rater_id: str, *, runs: Path = RUNS) -> str:
    """What `erase_feedback` would forget, in a line. Raises StoreError where there is no such rater."""
    with open_store(store_url) as store:
        found = _rater(store, rater_id)
        queues = store.listing.queues_of(found)
        said = sum(one.rater_id == found for queue in queues for one in store.judgments(queue))
        rests = len(touched(runs, found, queues))
    called = f"rater {found}" if found == rater_id else f"{rater_id} (rater {found})"
    return (
        f"{called}: account, attributes and {said} judgments would be erased, and {rests} artifacts below {runs} rest"
        " on them; this cannot be undone"
    )


def erase_feedback(
    store_url: str, rater_id: str, *, runs: Path = RUNS, remove_artifacts: bool = False
) -> Iterator[str]:
    """Forget a rater, by id or login, and say what rested on what they said; `assent run` then makes it again."""
    with open_store(store_url) as store:
        rater_id = _rater(store, rater_id)
        found = touched(runs, rater_id, store.listing.queues_of(rater_id))
        erasure = store.erase_rater(rater_id, now=time.time())
        note(store.events, "feedback erase", about=erasure.tombstone)
    yield f"erased: {erasure.judgments} judgments; what is left is the tombstone {erasure.tombstone}"
    for snapshot in erasure.snapshots:
        yield f"snapshot {snapshot.name} ({snapshot.hash[:12]}) cannot be read any more"
    for one in found:
        yield f"{one.artifact.folder} {_why(one)}"
    if not found:
        yield f"no artifact below {runs} rests on it"
        return
    given = [one for one in found if one.artifact.kind == "data"]
    for one in given:
        yield f"{one.artifact.folder} came from a file of yours: take rater {rater_id!r} out of it"
    if remove_artifacts:
        removed = remove(one for one in found if one.artifact.kind != "data")
        yield f"{removed} artifacts were removed; run `assent run` again to make them without this rater"
    else:
        yield "run `assent run` again to make them without this rater; --remove deletes these, also from disk"


def archive_project(store_url: str, name: str, *, is_archived: bool = True) -> Iterator[str]:
    """Put a project away, or take it out of the archive again, noted in the security log."""
    with open_store(store_url) as store:
        _known(store, name)
        store.projects.archive(name, is_archived=is_archived, now=time.time())
        note(store.events, "feedback archive", about="" if is_archived else "back", project=name)
    yield f"project {name} is archived" if is_archived else f"project {name} is out of the archive"


def project_contents(store_url: str, name: str) -> Contents:
    """What is in a project that may be deleted. Raises StoreError for an unknown one, or one that is not archived."""
    with open_store(store_url) as store:
        if _known(store, name).archived_at is None:
            raise ConflictError(f"project {name!r} is not archived; put it away first: assent feedback archive {name}")
        return store.projects.contents(name)


def delete_project(store_url: str, name: str) -> Iterator[str]:
    """Delete an archived project with everything in it, for good, noted in the security log."""
    with open_store(store_url) as store:
        held = store.projects.delete(name, now=time.time())
        note(store.events, "feedback delete", project=name)
    yield f"deleted: project {name} with {held.said()}"
    yield "models that runs made of it stay on disk; the next `assent run` of the same project asks people anew"


def _known(store: Store, name: str) -> Project:
    """A project by name. Raises StoreError that lists those there are."""
    found = {project.name: project for project in store.projects.all()}
    if name not in found:
        raise StoreError(f"there is no project {name!r} in the store; there are {_listed(list(found))}")
    return found[name]


def _why(one: Touched) -> str:
    return "holds what they said" if one.holds_it else "was made from it"


def open_store(url: str) -> Store:
    """The store at a URL, where there is one: a typing error must not make an empty database."""
    config = StoreConfig(url=url)
    if not config.exists:
        raise UserError(f"there is no store {config.file}; name the YAML of a project, or the store with --store")
    return Store.open(url)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


def _hash(store: Store, queue: Queue, snapshot: str | None) -> str | None:
    """A snapshot's hash, by its hash, the beginning of one, or its name."""
    if snapshot is None:
        return None
    taken = store.listing.snapshots(queue.project)
    fitting = [s.hash for s in taken if s.name == snapshot and s.touched_at is None]
    fitting += [s.hash for s in taken if len(snapshot) >= 8 and s.hash.startswith(snapshot)]
    if not fitting:
        raise StoreError(f"there is no snapshot {snapshot!r}; there are {_listed([s.name for s in taken])}")
    return fitting[0]


def _rater(store: Store, named: str) -> str:
    """A rater's id; people may be named by the login they know them by. Raises StoreError."""
    if store.listing.rater(named) is not None:
        return named
    account = store.accounts.by_login(named)
    if account is None:
        raise StoreError(f"there is no rater {named!r}, or they were erased already; give an id or a login")
    return account.rater_id
