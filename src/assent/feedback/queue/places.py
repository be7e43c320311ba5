"""Places in runs: of the projects that people were asked in at one place, the one that the run asks now is open.

A run names its project of a place when it makes it. Projects that were made there before, for data or settings that
have changed since, are closed, and with them those of later places, which rest on what was asked there. Closed is not
gone: judgments stay, who holds a task may still hand it in, and an admin may open a project again, which stays so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlalchemy import Connection, select, update

from assent.feedback.queue.settings import settings_from
from assent.feedback.tables.queue import ProjectRow

FINAL = 1_000_000
"""Step of the last comparison of a run, which comes after all rounds."""
_PLACE = re.compile(r"(?P<run>.+)@(?P<folder>[^@/]+)/(?P<step>\d+)")


@dataclass(frozen=True)
class Address:
    """A place in a run as people write it: first/round-1/rankings, first/round-1/evaluation, first/final."""

    run: str
    folder: str
    """Tells runs of one name apart."""
    step: int

    @classmethod
    def of(cls, place: str) -> Address | None:
        """That of a place; None for what is none."""
        found = _PLACE.fullmatch(place)
        return None if found is None else cls(found["run"], found["folder"], int(found["step"]))

    def __str__(self) -> str:
        if self.step == FINAL:
            return f"{self.run}/final"
        return f"{self.run}/round-{self.step // 2}/{'evaluation' if self.is_evaluation else 'rankings'}"

    @property
    def is_evaluation(self) -> bool:
        """Whether two policies are compared there."""
        return self.step == FINAL or self.step % 2 == 1

    def is_below(self, named: str) -> bool:
        """Whether a name means it: its own, that of its round, or that of its run."""
        return named == str(self) or str(self).startswith(f"{named}/")


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
