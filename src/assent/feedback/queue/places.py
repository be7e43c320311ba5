"""Places in runs: of the projects that people were asked in at one place, the one that the run asks now is open.

A run names its project of a place when it makes it, or comes to one that is there: runs that share samples share the
project, which has a place in each. Where a run asks another one, the projects that it asked there before, for data or
settings that have changed since, lose this place, and those of later places, which rest on what was asked there, lose
theirs. What no run asks any more is closed. Closed is not gone: judgments stay, who holds a task may still hand it in,
and an admin may open a project again, which stays so.
"""

from __future__ import annotations

from sqlalchemy import Connection, select, update

from assent.feedback.queue.settings import settings_from
from assent.feedback.tables.queue import ProjectRow


def take(connection: Connection, name: str, place: str) -> None:
    """Let a project have a place in a run: RUN/STEP. What it had already changes nothing.

    One that was closed for another is opened again: the run came back to it.
    """
    if not place:
        return
    mine = connection.execute(select(ProjectRow).where(ProjectRow.name == name)).one()
    has = () if mine.replaced_by is not None else places_of(mine.place)
    if place in has:
        return
    _set_places(connection, name, (*has, place))
    if mine.replaced_by is not None:
        _set_open(connection, name, mine.settings, replaced_by=None)
    run = place.rpartition("/")[0] + "/"
    asked = (ProjectRow.place.contains(run, autoescape=True), ProjectRow.replaced_by.is_(None), ProjectRow.name != name)
    for row in connection.execute(select(ProjectRow).where(*asked)).all():
        had = places_of(row.place)
        left = tuple(one for one in had if not (one.startswith(run) and one >= place))
        if left == had:
            continue
        if left:
            _set_places(connection, row.name, left)
        elif row.archived_at is None and settings_from(row.settings).is_open:
            _set_open(connection, row.name, row.settings, replaced_by=name)


def places_of(kept: str | None) -> tuple[str, ...]:
    """The places of a project as its row keeps them."""
    return tuple((kept or "").splitlines())


def _set_places(connection: Connection, name: str, places: tuple[str, ...]) -> None:
    connection.execute(update(ProjectRow).where(ProjectRow.name == name).values(place="\n".join(places)))


def _set_open(connection: Connection, name: str, settings: object, *, replaced_by: str | None) -> None:
    known = settings_from(settings if isinstance(settings, dict) else None)
    changed = known.model_copy(update={"is_open": replaced_by is None}).model_dump(mode="json")
    values = {"settings": changed, "replaced_by": replaced_by}
    connection.execute(update(ProjectRow).where(ProjectRow.name == name).values(values))
