"""The order in which a rater sees the answers of a task: drawn once, kept, shown again the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sqlalchemy import Connection, bindparam, insert, select, update

from assent.core import seeds
from assent.core.types import Judgment, Task
from assent.feedback.queue.tasks import blocks
from assent.feedback.records.asked import Asked
from assent.feedback.records.queue import Viewing
from assent.feedback.tables.queue import GuidelineVersion, JudgmentRow, Presentation

_GUIDELINE = (
    select(GuidelineVersion)
    .where(GuidelineVersion.project == bindparam("project"))
    .order_by(GuidelineVersion.version.desc())
    .limit(1)
)
_PRESENTATIONS = (
    select(Presentation)
    .where(Presentation.rater_id == bindparam("rater_id"))
    .where(Presentation.task_id.in_(bindparam("task_ids", expanding=True)))
    .order_by(Presentation.id)
)
_USE = (
    select(JudgmentRow.id)
    .where(JudgmentRow.presentation_id == bindparam("presentation_id"))
    .where(JudgmentRow.task_id == bindparam("task_id"), JudgmentRow.rater_id == bindparam("rater_id"))
)


def drawn_order(task: Task, rng: np.random.Generator) -> tuple[str, ...]:
    """An order to show the answers in: any is as likely as another.

    Evaluations ask each pair by two tasks, one for each order. There the order that the task lists is kept, or turned
    round for both tasks of the pair alike, so that they stay opposites; that depends on the texts, not the rater, and
    so a pair asked by one task only is shown either way round just as often. Win rates read the order that was shown.
    """
    ids = [completion.id for completion in task.completions]
    if task.purpose == "evaluation" and task.kind != "battle":
        rng = seeds.stream(0, "evaluation order", task.prompt.id, *sorted(ids))
    return tuple(ids[i] for i in rng.permutation(len(ids)))


def newest_guideline(connection: Connection, project: str) -> Any:
    """The row of the guideline that holds now, or None."""
    return connection.execute(_GUIDELINE, {"project": project}).first()


def read_presentations(connection: Connection, rater_id: str, task_ids: Sequence[str]) -> dict[str, Any]:
    """The newest presentation of each task to a rater, where there is one."""
    found: dict[str, Any] = {}
    for block in blocks(task_ids):
        rows = connection.execute(_PRESENTATIONS, {"rater_id": rater_id, "task_ids": block})
        found |= {row.task_id: row for row in rows}
    return found


def show(
    connection: Connection,
    rater_id: str,
    showings: Sequence[tuple[Task, dict[str, Any]]],
    rng: np.random.Generator,
    *,
    now: float,
) -> dict[str, Mapping[str, Any]]:
    """Presentations of tasks to a rater by task, each in the order of its first time; the fields are of this time."""
    before = read_presentations(connection, rater_id, [task.id for task, _ in showings])
    shown: dict[str, Mapping[str, Any]] = {}
    new = []
    for task, fields in showings:
        if task.id not in before:
            row = {"task_id": task.id, "rater_id": rater_id, "order_shown": list(drawn_order(task, rng))}
            new.append(row | {"activity": {}, "propensity": None, "shown_at": now} | fields)
            shown[task.id] = new[-1]
            continue
        old = before[task.id]
        if "asked" in fields:
            fields = fields | {"asked": _asked_too(old.asked, fields["asked"])}
        shown[task.id] = {**old._mapping, **fields}
        if any(getattr(old, name) != value for name, value in fields.items()):
            connection.execute(update(Presentation).where(Presentation.id == old.id).values(fields))
    if new:
        connection.execute(insert(Presentation), new)
    return shown


def with_order(connection: Connection, judgment: Judgment) -> Judgment:
    """The judgment with the order that its rater was shown, where it does not say it itself."""
    if judgment.order_shown:
        return judgment
    shown = read_presentations(connection, judgment.rater_id, [judgment.task_id]).get(judgment.task_id)
    return judgment if shown is None else judgment.model_copy(update={"order_shown": tuple(shown.order_shown)})


def complete(connection: Connection, judgment: Judgment, viewing: Viewing | None, *, now: float) -> int | None:
    """Note how a judgment's task was seen; the id of its presentation, None where nobody knows.

    What was written when the task was served is completed. A correction, or another order than the one served, gets a
    presentation of its own: what an earlier judgment was given under stays as it was.
    """
    shown = read_presentations(connection, judgment.rater_id, [judgment.task_id]).get(judgment.task_id)
    if shown is None and not judgment.order_shown:
        return None
    seen = {} if viewing is None else viewing_columns(viewing)
    if shown is not None and tuple(shown.order_shown) == judgment.order_shown:
        if not _is_used(connection, shown):
            if seen:
                connection.execute(update(Presentation).where(Presentation.id == shown.id).values(seen))
            return int(shown.id)
        seen = {"propensity": shown.propensity, "guideline_id": shown.guideline_id, "asked": shown.asked, **seen}
    values = presentation_row(judgment, now=now) | seen
    return connection.execute(insert(Presentation).values(values).returning(Presentation.id)).scalar_one()


def presentation_row(judgment: Judgment, *, now: float) -> dict[str, Any]:
    """The row that keeps the order in which the rater saw the answers."""
    return {
        "task_id": judgment.task_id,
        "rater_id": judgment.rater_id,
        "order_shown": list(judgment.order_shown),
        "shown_at": now - (judgment.seconds or 0.0),
        "activity": {},
    }


def viewing_columns(viewing: Viewing) -> dict[str, Any]:
    """What is kept of a viewing."""
    return {
        "locale": viewing.locale,
        "client": viewing.client,
        "is_translated": viewing.is_translated,
        "activity": dict(viewing.activity),
    }


def asked_of(connection: Connection, rater_id: str, task_id: str) -> tuple[Asked, ...] | None:
    """What a rater was ever asked about a task; None where that is not known of some showing."""
    rows = connection.execute(_PRESENTATIONS, {"rater_id": rater_id, "task_ids": [task_id]}).all()
    if any(row.asked is None for row in rows):
        return None
    return tuple(Asked.read(form) for row in rows for form in row.asked)


def _asked_too(before: list[Any] | None, now: list[Any]) -> list[Any] | None:
    """What a rater was asked, with what they are asked now; not known stays so."""
    return None if before is None else [*before, *(form for form in now if form not in before)]


def _is_used(connection: Connection, shown: Any) -> bool:
    where = {"presentation_id": shown.id, "task_id": shown.task_id, "rater_id": shown.rater_id}
    return connection.execute(_USE, where).first() is not None
