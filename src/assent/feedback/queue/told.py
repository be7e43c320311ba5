"""Guidelines that come in with a file: each text finds its version in the project, or gets one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import Connection, delete, false, insert, select, update

from assent.core.errors import StoreError
from assent.core.hashing import hash_bytes
from assent.data.task_records import Guideline
from assent.feedback.queue.wanted import IS_WANTED
from assent.feedback.tables.queue import GuidelineVersion, Presentation, Slot, TaskRow


@dataclass
class Placed:
    """Where guidelines of a file stand in the store."""

    ids: dict[str, int] = field(default_factory=dict)
    """Name in the file -> id of the row."""
    added: int = 0
    renumbered: int = 0
    """Those of them whose number another text has here."""

    def id_of(self, name: str | None, *, where: str) -> int | None:
        """The row of a guideline. Raises StoreError for one that the file does not hold."""
        if name is None:
            return None
        if name not in self.ids:
            raise StoreError(f"{where} was given under guideline {name!r}, which is not in the file; add its row")
        return self.ids[name]


def place(connection: Connection, guidelines: Iterable[Guideline], project: str) -> Placed:
    """Find each guideline in a project, by its number and words, then by its words; add those that are missing.

    A number that another text has gives way to the next free one. Raises StoreError where that would tell something
    new to raters who are at work.
    """
    placed = Placed()
    query = select(GuidelineVersion.id, GuidelineVersion.version, GuidelineVersion.text)
    there = {
        (row.version, row.text): row.id for row in connection.execute(query.where(GuidelineVersion.project == project))
    }
    for one in sorted(guidelines, key=lambda guideline: guideline.version):
        if (one.version, one.text) in there:
            placed.ids[one.name] = there[one.version, one.text]
            continue
        numbers = {version for version, _ in there}
        same = [row_id for (_, text), row_id in sorted(there.items()) if text == one.text]
        if one.version in numbers and same:
            placed.ids[one.name] = same[0]
            continue
        _refuse_at_work(connection, one, project)
        version = one.version if one.version not in numbers else max(numbers) + 1
        values = {"project": project, "version": version, "text": one.text, "created_at": one.created_at}
        values["text_hash"] = hash_bytes(one.text.encode())
        added = insert(GuidelineVersion).values(values).returning(GuidelineVersion.id)
        there[version, one.text] = placed.ids[one.name] = connection.execute(added).scalar_one()
        placed.added += 1
        placed.renumbered += version != one.version
    return placed


def settle(connection: Connection, brought: Placed, guidelines: Iterable[Guideline], project: str) -> Placed:
    """Move guidelines that came in unseen to the project where they belong, with all that names them."""
    final = place(connection, guidelines, project)
    for name, old in brought.ids.items():
        for table in (Presentation, TaskRow):
            connection.execute(update(table).where(table.guideline_id == old).values(guideline_id=final.ids[name]))
        connection.execute(delete(GuidelineVersion).where(GuidelineVersion.id == old))
    return final


def _refuse_at_work(connection: Connection, one: Guideline, project: str) -> None:
    """What raters are told changes only by those who run the project."""
    waiting = select(Slot.id).where(Slot.project == project, Slot.is_filled == false(), IS_WANTED)
    if connection.execute(waiting.limit(1)).first() is not None:
        raise StoreError(
            f"the file brings guideline {one.version}, which project {project!r} does not have, while raters are at"
            " work there; import into another project"
        )
