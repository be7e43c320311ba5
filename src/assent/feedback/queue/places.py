"""Places in runs: of the projects that people were asked in at one place, the one that the run asks now is open.

A run names its project of a place when it makes it. Projects that were made there before, for data or settings that
have changed since, are closed, and with them those of later places, which rest on what was asked there. Closed is not
gone: judgments stay, who holds a task may still hand it in, and an admin may open a project again, which stays so.
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
    if mine.place == place and mine.replaced_by is None:
        return
    connection.execute(update(ProjectRow).where(ProjectRow.name == name).values(place=place))
    if mine.replaced_by is not None:
        _set_open(connection, name, mine.settings, replaced_by=None)
    run = place.rpartition("/")[0]
    later = (ProjectRow.place.startswith(f"{run}/", autoescape=True), ProjectRow.place >= place)
    for row in connection.execute(select(ProjectRow).where(*later, ProjectRow.name != name)).all():
        if row.replaced_by is None and row.archived_at is None and settings_from(row.settings).is_open:
            _set_open(connection, row.name, row.settings, replaced_by=name)


def _set_open(connection: Connection, name: str, settings: object, *, replaced_by: str | None) -> None:
    known = settings_from(settings if isinstance(settings, dict) else None)
    changed = known.model_copy(update={"is_open": replaced_by is None}).model_dump(mode="json")
    values = {"settings": changed, "replaced_by": replaced_by}
    connection.execute(update(ProjectRow).where(ProjectRow.name == name).values(values))
