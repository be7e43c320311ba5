"""The tables of how rows arrive: the order in which judgments were committed, what comes in a block at a time."""

from __future__ import annotations

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from assent.feedback.tables.queue import Table


class LastNumber(Table):
    """The one row that says which number of a judgment was given last; whoever numbers holds it until they commit."""

    __tablename__ = "last_number"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(BigInteger)


class BatchRow(Table):
    """What is being brought in a block at a time, see queue/batches.py; one at a time, so there is one row or none."""

    __tablename__ = "batch"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    project: Mapped[str]
    """The project, shown to nobody, that its tasks are in until it is whole."""
    beats: Mapped[int] = mapped_column(BigInteger)
    """Grows with every block. Where it does not, whoever brought the batch is dead."""
