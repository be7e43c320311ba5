"""Storing what an import brings: a block of tasks with their judgments, decisions and known answers at a time."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from assent.core.errors import ConflictError, StoreError
from assent.core.types import RaterKind, Task
from assent.data.task_records import TaskRecord
from assent.feedback.queue.brought import Brought, checked, row_of, task_of
from assent.feedback.queue.decided import lay
from assent.feedback.queue.presentations import presentation_row
from assent.feedback.queue.submissions import row, submit
from assent.feedback.queue.tasks import blocks, clashes, insert_task_rows, known_contents, load_tasks, slot_row
from assent.feedback.queue.told import Placed
from assent.feedback.records.queue import ImportCounts, Queue
from assent.feedback.tables.connection import insert_missing
from assent.feedback.tables.queue import JudgmentEvent, JudgmentRow, Lease, Presentation, RaterRow, Slot

IMPORTED_LEASE = "import-"
"""How the tokens of leases begin that nobody was ever given."""
_REPEAT = "~"  # between a task's id and its repeat number
_Content = tuple[str, str, str, str]  # project, purpose, task, hash of what is said
_SEEN = ("propensity", "locale", "is_translated", "activity", "asked")


@dataclass
class Bringing:
    """An import in one transaction."""

    connection: Connection
    queue: Queue
    kind: RaterKind
    now: float
    placed: Placed
    kinds: dict[str, RaterKind] = field(default_factory=dict)
    hidden: str | None = None
    """The project that tasks are put into until all is there."""
    counts: ImportCounts = field(default_factory=ImportCounts)
    new: list[str] = field(default_factory=list)
    """Ids of the judgments added."""

    def add(self, records: Sequence[TaskRecord]) -> None:
        """Store one block of records."""
        given = [(record, checked(record, self.queue)) for record in records]
        items = [item for _, some in given for item in some]
        fresh = self.without_known(items)
        decided = {decision.adjudicator for record in records for decision in record.decisions}
        new_raters = self._register({item.judgment.rater_id for item in fresh} | decided)
        direct, corrections = self._chained(fresh)
        self._insert_tasks(direct, [record for record, some in given if not some])
        self._insert(direct)
        for item in corrections:
            self._correct(item)
        self.new += [item.judgment.id for item in fresh]
        known = len(items) - len(fresh)
        self.count(comparisons=len(records), added=len(fresh), known=known, new_raters=new_raters)
        for record, some in given:
            own = task_of(record, self.queue)[0].id
            decisions, gold = lay(self.connection, record, own, [item.judgment.id for item in some])
            self.count(decisions=decisions, known_answers=gold)

    def count(self, **more: int) -> None:
        """Count what was done."""
        self.counts = self.counts.plus(ImportCounts(**more))

    def without_known(self, items: Sequence[Brought]) -> list[Brought]:
        """Items that are neither in the store nor earlier in the block. Raises where one id says two things."""
        stored = self._stored([item.judgment.id for item in items])
        fresh: dict[str, Brought] = {}
        for item in items:
            name, said = item.judgment.id, (*vars(self.queue).values(), item.task.id, item.content)
            if name in stored:
                is_same = stored[name] is None or stored[name] == said or self._is_same(item)
            else:
                first = fresh.setdefault(name, item)
                is_same = (first.task.id, first.content) == (item.task.id, item.content)
            if not is_same:
                raise StoreError(
                    f"judgment id {name!r} (prompt {item.task.prompt.id!r}) is taken by a judgment that "
                    "says something else; give every judgment its own id, or none"
                )
        return list(fresh.values())

    def _is_same(self, item: Brought) -> bool:
        """Whether a known judgment is this one; its task may have another name where an export comes back."""
        query = select(JudgmentRow.task_id, JudgmentRow.content_hash).where(JudgmentRow.id == item.judgment.id)
        stored = self.connection.execute(query).one()
        task = load_tasks(self.connection, [stored.task_id])[stored.task_id]
        answers = [{c.id: c.text for c in one.completions} for one in (task, item.task)]
        if stored.content_hash != item.content or task.prompt.id != item.task.prompt.id or answers[0] != answers[1]:
            return False
        if (task.project, task.purpose) != (self.queue.project, self.queue.purpose):
            raise StoreError(
                f"judgment {item.judgment.id!r} is in project {task.project!r} of this store already, and is kept once;"
                " import into that project, or into another store"
            )
        return True

    def _stored(self, judgment_ids: Sequence[str]) -> dict[str, _Content | None]:
        """What the judgments that are in the store say, and where; None for erased ones."""
        stored: dict[str, _Content | None] = {}
        content = (JudgmentRow.id, JudgmentRow.task_id, JudgmentRow.content_hash, JudgmentRow.outcome)
        query = select(*content, JudgmentRow.project, JudgmentRow.purpose)
        for block in blocks(judgment_ids):
            for found in self.connection.execute(query.where(JudgmentRow.id.in_(block))):
                said = (found.project, found.purpose, found.task_id.split(_REPEAT)[0], found.content_hash)
                stored[found.id] = None if found.outcome == "erased" else said
        return stored

    def _chained(self, fresh: Sequence[Brought]) -> tuple[list[Brought], list[Brought]]:
        """Items to be stored as they are, each after what it corrects, and corrections of what the store holds.

        What corrects something that is nowhere stands alone: an export may be without history.
        """
        by_id = {item.judgment.id: item for item in fresh}
        first = [i for i in fresh if i.judgment.supersedes not in by_id and self._old_task(i) is None]
        self._place(first)
        placed = {item.judgment.id for item in first}
        later = [item for item in fresh if item.judgment.id not in placed]
        corrections: list[Brought] = []
        corrected: set[str] = set()
        while later:
            waiting = []
            for item in later:
                old = by_id.get(str(item.judgment.supersedes))
                if old is None or old.judgment.id in corrected:
                    corrections.append(item)
                    corrected.add(item.judgment.id)
                elif old.judgment.id in placed:
                    self._follow(item, old)
                    placed.add(item.judgment.id)
                    first.append(item)
                else:
                    waiting.append(item)
            if len(waiting) == len(later):
                raise StoreError(f"judgment {waiting[0].judgment.id!r} corrects itself in a ring; correct 'supersedes'")
            later = waiting
        return first, corrections

    def _follow(self, item: Brought, old: Brought) -> None:
        """Put a correction on the task of what it corrects."""
        if old.superseded_by is not None or old.judgment.rater_id != item.judgment.rater_id:
            raise ConflictError(
                f"judgment {item.judgment.id!r} supersedes {old.judgment.id!r}, which is of another rater or was"
                " corrected by another judgment; correct 'supersedes'"
            )
        old.superseded_by = item.judgment.id
        item.task = old.task
        item.judgment = item.judgment.model_copy(update={"task_id": old.task.id})

    def _old_task(self, item: Brought) -> str | None:
        """The task of what an item corrects, where that is in the store."""
        old = item.judgment.supersedes
        if old is None:
            return None
        return self.connection.execute(select(JudgmentRow.task_id).where(JudgmentRow.id == old)).scalar()

    def _correct(self, item: Brought) -> None:
        """Submit a correction of what the store holds, with the time and the circumstances of its file."""
        task_id = self._old_task(item)
        judgment = item.judgment.model_copy(update={"task_id": task_id})
        submit(self.connection, judgment, token=None, now=item.at(self.now))
        shown = select(JudgmentRow.presentation_id).where(JudgmentRow.id == judgment.id)
        presentation_id = self.connection.execute(shown).scalar()
        if presentation_id is not None and item.how.shown_at is not None:
            where = Presentation.id == presentation_id
            self.connection.execute(update(Presentation).where(where).values(self._seen(item)))

    def _register(self, rater_ids: set[str]) -> int:
        known: dict[str, str] = {}
        for block in blocks(sorted(rater_ids)):
            found = self.connection.execute(select(RaterRow.id, RaterRow.kind).where(RaterRow.id.in_(block)))
            known |= {one.id: one.kind for one in found}
        self.count(otherwise=sum(self.kinds.get(name, kind) != kind for name, kind in known.items()))
        new = sorted(rater_ids - known.keys())
        rows = [{"id": name, "kind": self.kinds.get(name, self.kind), "created_at": self.now} for name in new]
        insert_missing(self.connection, RaterRow, rows)
        return len(new)

    def _place(self, items: Sequence[Brought]) -> None:
        """Give each item a task its rater has not judged yet: the record's own, or a repeat of it."""
        judged = self._judged({item.task.id for item in items})
        for item in items:
            own, rater = item.task.id, item.judgment.rater_id
            for repeat in itertools.count(1):
                task_id = own if repeat == 1 else f"{own}{_REPEAT}{repeat}"
                if task_id not in judged:
                    judged |= self._judged({task_id})
                if rater not in judged[task_id]:
                    break
            judged[task_id].add(rater)
            item.task = item.task.model_copy(update={"id": task_id})
            item.judgment = item.judgment.model_copy(update={"task_id": task_id})

    def _judged(self, task_ids: set[str]) -> dict[str, set[str]]:
        """Who has a current judgment of which task."""
        judged: dict[str, set[str]] = {task_id: set() for task_id in task_ids}
        for block in blocks(sorted(task_ids)):
            query = select(JudgmentRow.task_id, JudgmentRow.rater_id)
            current = query.where(JudgmentRow.task_id.in_(block), JudgmentRow.superseded_by.is_(None))
            for task_id, rater_id in self.connection.execute(current):
                judged[task_id].add(rater_id)
        return judged

    def _insert_tasks(self, items: Sequence[Brought], unjudged: Iterable[TaskRecord]) -> None:
        """Add the tasks that are missing. Raises StoreError where an id stands for another task."""
        found: dict[str, tuple[TaskRecord, Task, str]] = {}
        for item in items:
            found.setdefault(item.task.id, (item.record, item.task, item.task_content))
        own = [(record, *task_of(record, self.queue)) for record in unjudged]
        found |= {task.id: (record, task, content) for record, task, content in own}
        tasks = [task for _, task, _ in found.values()]
        for reason in clashes(self.connection, tasks).values():
            raise StoreError(reason)
        known = known_contents(self.connection, found)
        rows = []
        for record, task, content in found.values():
            name = None if record.facts is None else record.facts.guideline
            guideline_id = self.placed.id_of(name, where=f"task {task.id!r}")
            rows.append(row_of(record, task, content, now=self.now, guideline_id=guideline_id) | self._place_of_rows())
        seen = insert_task_rows(self.connection, tasks, rows, now=self.now) if rows else set()
        if seen and self.hidden:
            raise StoreError(f"{len(seen)} tasks came in by another import meanwhile; import the file again")
        self.count(tasks=sum(task.id not in known for _, task, _ in own))

    def _insert(self, items: Sequence[Brought]) -> None:
        """Store judgments with the slots they fill, how they were given and what happened to them."""
        if not items:
            return
        filling = [item for item in items if item.fills_slot]
        slots = dict(zip((item.judgment.id for item in filling), self._spent_slots(filling), strict=True))
        shown = [item for item in items if item.judgment.order_shown or item.how.shown_at is not None]
        ids = self._insert_returning(Presentation, [self._presentation(item) for item in shown], Presentation.id)
        presentations = dict(zip((item.judgment.id for item in shown), ids, strict=True))
        values = [
            row(
                item.judgment,
                slot_id=slots.get(item.judgment.id),
                presentation_id=presentations.get(item.judgment.id),
                now=item.at(self.now),
            )
            | {"superseded_by": item.superseded_by, "project": item.task.project, "purpose": item.task.purpose}
            | self._place_of_rows()
            for item in items
        ]
        self.connection.execute(insert(JudgmentRow), values)
        events = [{"judgment_id": item.judgment.id, **vars(event)} for item in items for event in item.how.events]
        if events:
            self.connection.execute(insert(JudgmentEvent), events)

    def _presentation(self, item: Brought) -> dict[str, Any]:
        return presentation_row(item.judgment, now=item.at(self.now)) | self._seen(item)

    def _seen(self, item: Brought) -> dict[str, Any]:
        """How a task was seen, as columns; when, only where the file says it."""
        how = item.how
        guideline_id = self.placed.id_of(how.guideline, where=f"judgment {item.judgment.id!r}")
        seen = {name: getattr(how, name) for name in _SEEN} | {"guideline_id": guideline_id}
        at = item.at(self.now) - (item.judgment.seconds or 0.0)
        return seen | {"shown_at": at if how.shown_at is None else how.shown_at}

    def _spent_slots(self, items: Sequence[Brought]) -> list[int]:
        """A new slot for each item, with a spent lease so that it is never given out."""
        taken: dict[str, int] = {}
        for block in blocks(sorted({item.task.id for item in items})):
            query = select(Slot.task_id, func.max(Slot.n)).where(Slot.task_id.in_(block)).group_by(Slot.task_id)
            taken |= {found[0]: found[1] + 1 for found in self.connection.execute(query)}
        slots = []
        for item in items:
            n = taken.get(item.task.id, 0)
            taken[item.task.id] = n + 1
            service = item.how.service
            own = {"service": service, "reserved_for": None if service == "normal" else item.judgment.rater_id}
            slots.append(slot_row(item.task, n) | {"is_filled": True} | own | self._place_of_rows())
        ids = self._insert_returning(Slot, slots, Slot.id)
        leases = [
            {
                "slot_id": slot_id,
                "task_id": item.task.id,
                "rater_id": item.judgment.rater_id,
                "token": f"{IMPORTED_LEASE}{slot_id}",
                "expires_at": self.now,
                "is_spent": True,
            }
            for item, slot_id in zip(items, ids, strict=True)
        ]
        if leases:
            self.connection.execute(insert(Lease), leases)
        return ids

    def _place_of_rows(self) -> dict[str, str]:
        return {} if self.hidden is None else {"project": self.hidden}

    def _insert_returning(self, table: Any, rows: Sequence[dict[str, Any]], column: Any) -> list[int]:
        """Insert rows and return a generated column, in the order of the rows."""
        if not rows:
            return []
        statement = insert(table).returning(column, sort_by_parameter_order=True)
        return list(self.connection.execute(statement, list(rows)).scalars())
