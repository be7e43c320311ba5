"""The order of judgments for those who follow them: the order in which their transactions were committed.

A reader who asks for what comes after the last number it saw misses nothing and gets nothing twice, since a number is
given in the transaction that writes the judgment, and numbers become visible in their own order: whoever gives numbers
holds the row of `last_number` until they commit, so the next ones wait (SQLite has one writer anyway). Neither clocks
nor the order of beginnings matter. It is done last in a transaction: nobody who holds that row waits for another.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, func, select, update

from assent.core.errors import ConflictError
from assent.feedback.tables.arrivals import LastNumber
from assent.feedback.tables.connection import insert_missing
from assent.feedback.tables.queue import JudgmentRow

_LAST = select(LastNumber.number).with_for_update()
_GIVE = update(JudgmentRow).where(JudgmentRow.id == bindparam("judgment_id")).values(number=bindparam("new_number"))
_NOTE = update(LastNumber).values(number=bindparam("new_number"))
_AT = select(JudgmentRow.id).where(JudgmentRow.number == bindparam("number"))


def number(connection: Connection, judgment_ids: Sequence[str]) -> None:
    """Give new judgments their numbers; the last thing that a transaction does."""
    if not judgment_ids:
        return
    last = _lock_last(connection)
    rows = [{"judgment_id": one, "new_number": n} for n, one in enumerate(judgment_ids, start=last + 1)]
    connection.execute(_GIVE, rows)
    connection.execute(_NOTE, {"new_number": last + len(rows)})


def number_brought(connection: Connection, project: str) -> None:
    """The same for all that have none: what a batch, of which there is one at a time, has brought and shows now.

    They are the project's from now on.
    """
    last = _lock_last(connection)
    place = func.row_number().over(order_by=(JudgmentRow.submitted_at, JudgmentRow.id))
    placed = select(JudgmentRow.id, (last + place).label("place")).where(JudgmentRow.number.is_(None)).subquery()
    give = update(JudgmentRow).where(JudgmentRow.id == placed.c.id).values(number=placed.c.place, project=project)
    connection.execute(_NOTE, {"new_number": last + connection.execute(give).rowcount})


def refuse_foreign(connection: Connection, number: int, judgment_id: str) -> None:
    """Raise ConflictError where the judgment of this number is another, or the number was never given.

    So it is where a store was put back to an older copy: from there on, the same numbers go to other judgments.
    """
    last = connection.execute(select(LastNumber.number)).scalar() or 0
    found = connection.execute(_AT, {"number": number}).scalar()
    if number > last or found not in (None, judgment_id):
        raise ConflictError(
            f"the last judgment seen, {judgment_id!r}, is not number {number} of this store, which was put back to an"
            " older copy or is another one; begin again without a cursor and take every id once"
        )


def _lock_last(connection: Connection) -> int:
    last = connection.execute(_LAST).scalar()
    if last is None:  # a store whose rows were all taken out
        insert_missing(connection, LastNumber, [{"id": 1, "number": 0}])
        last = connection.execute(_LAST).scalar_one()
    return last
