"""Who judges which project: other judges of the same tasks get a project of their own, so that judgments never mix.

The first judges of a queue have the project of its own name. Whoever is asked later about the same tasks has a project
named after both, where the tasks have other ids. The store notes who was asked, so that the same judges find their
project again. A project without a note, of a store that was made before, belongs to the first judges asked whom its
judgments fit.
"""

from __future__ import annotations

from sqlalchemy import Connection, Select, select

from assent.core.hashing import short
from assent.feedback.queue.judgments import in_queue
from assent.feedback.records.judges import MACHINES, Judges
from assent.feedback.records.queue import Queue
from assent.feedback.tables.connection import insert_missing
from assent.feedback.tables.queue import JudgesRow, JudgmentRow, RaterRow, TaskRow


def queue_of(connection: Connection, asked: Queue, judges: Judges) -> Queue:
    """The queue in which these judges are asked the tasks of `asked`. Notes nothing."""
    noted = {row.judges: row.project for row in connection.execute(_noted(asked))}
    if judges.name in noted:
        project = noted[judges.name]
    elif asked.project not in noted.values() and _fits(connection, asked, judges):
        project = asked.project
    else:
        project = f"{asked.project} by {short(judges.name)}"
    return Queue(project, asked.purpose)


def take_queue(connection: Connection, asked: Queue, judges: Judges, *, now: float) -> Queue:
    """The same, and noted: from now on the project is theirs."""
    queue = queue_of(connection, asked, judges)
    row = {"asked": asked.project, "purpose": asked.purpose, "judges": judges.name}
    insert_missing(connection, JudgesRow, [{**row, "project": queue.project, "created_at": now}])
    return queue_of(connection, asked, judges)  # another process may have noted other judges a moment before


def _noted(asked: Queue) -> Select[str, str]:
    is_asked = (JudgesRow.asked == asked.project, JudgesRow.purpose == asked.purpose)
    return select(JudgesRow.judges, JudgesRow.project).where(*is_asked)


def _fits(connection: Connection, queue: Queue, judges: Judges) -> bool:
    """Whether all that was judged in a queue may have been judged by these."""
    query = (
        select(RaterRow.id, RaterRow.kind)
        .join(JudgmentRow, JudgmentRow.rater_id == RaterRow.id)
        .join(TaskRow, TaskRow.id == JudgmentRow.task_id)
        .where(in_queue(queue), JudgmentRow.outcome != "erased")
        .distinct()
    )
    found = connection.execute(query).all()
    if judges.ids:
        return all(row.id in judges.ids and row.kind in MACHINES for row in found)
    return all(row.kind not in MACHINES for row in found)
