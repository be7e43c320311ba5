"""Importing comparisons that a team already has: prompts, answers and named raters' rankings, all or nothing."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, func, insert, select

from assent.core.errors import StoreError
from assent.core.types import Comparison, Judgment, RaterKind, Task
from assent.feedback.queue.adding import at_once
from assent.feedback.queue.batches import BLOCK, hidden
from assent.feedback.queue.order import number, number_brought
from assent.feedback.queue.presentations import presentation_row
from assent.feedback.queue.submissions import check, content_hash, row, submit
from assent.feedback.queue.tasks import (
    blocks,
    insert_task_rows,
    json_hash,
    known_contents,
    load_tasks,
    refuse_nul,
    slot_row,
    task_content,
    task_row,
)
from assent.feedback.records.queue import ImportCounts, Queue
from assent.feedback.tables.connection import insert_missing, read_transaction
from assent.feedback.tables.queue import JudgmentRow, Lease, Presentation, ProjectRow, RaterRow, Slot

IMPORTED_LEASE = "import-"
"""How the tokens of leases begin that nobody was ever given."""
_REPEAT = "~"  # between a task's id and its repeat number
_How = tuple[Queue, RaterKind, float]  # where to, what the raters are, now


def import_comparisons(
    engine: Engine, comparisons: Iterable[Comparison], *, queue: Queue, rater_kind: RaterKind, now: float
) -> ImportCounts:
    """Add judgments of tasks named by their content, so that the same file imported again adds nothing.

    Where one rater ranks the same answers twice and differently, the second ranking becomes a repeat of the task:
    both are kept. Each judgment brings its own slot, so nothing imported waits for a rater. A large file comes in a
    block at a time where nobody sees it, so that raters are answered meanwhile, and is shown as a whole.
    """
    every, how = list(comparisons), (queue, rater_kind, now)
    if len(every) <= BLOCK:
        return at_once(engine, _bring, every, how)
    with hidden(engine, now=now) as batch:
        with read_transaction(engine) as connection:
            unseen, others, counts = _sorted_out(connection, every, how)
        for start in range(0, len(unseen), BLOCK):
            counts = counts.plus(batch.write(_hide, unseen[start : start + BLOCK], how, batch.project))
        return counts.plus(batch.show(queue.project, _bring_last, others, how))


def refuse_unusable(comparison: Comparison) -> None:
    """Raise StoreError for a comparison that no import takes: so that whoever reads a file can say in which line."""
    for _ in _checked(comparison, Queue()):
        pass


@dataclass
class _Item:
    """One judgment on its way into the store."""

    judgment: Judgment
    content: str
    task: Task
    task_content: str
    meta: dict[str, Any]


def _bring(connection: Connection, comparisons: Sequence[Comparison], how: _How) -> ImportCounts:
    """Bring comparisons in in one transaction."""
    importing = _added(connection, comparisons, how)
    number(connection, importing.new)
    return importing.counts


def _bring_last(connection: Connection, comparisons: Sequence[Comparison], how: _How) -> ImportCounts:
    """The same with the numbers of all that was brought before them unseen."""
    importing = _added(connection, comparisons, how)
    number_brought(connection)
    return importing.counts


def _added(connection: Connection, comparisons: Sequence[Comparison], how: _How) -> _Import:
    queue, _, now = how
    insert_missing(connection, ProjectRow, [{"name": queue.project, "created_at": now}])
    # Imports into one project wait for each other, so that two of the same file end as one.
    mine = select(ProjectRow.name).where(ProjectRow.name == queue.project)
    connection.execute(mine.with_for_update(key_share=True))
    importing = _Import(connection, *how)
    for start in range(0, len(comparisons), BLOCK):
        importing.add(comparisons[start : start + BLOCK])
    return importing


def _hide(connection: Connection, comparisons: Sequence[Comparison], how: _How, project: str) -> ImportCounts:
    importing = _Import(connection, *how, hidden=project)
    importing.add(comparisons)
    return importing.counts


def _sorted_out(
    connection: Connection, comparisons: Sequence[Comparison], how: _How
) -> tuple[list[Comparison], list[Comparison], ImportCounts]:
    """Comparisons of tasks that are not in the store yet, those that touch what is there, and the count of the known.

    Only the first can be brought in unseen: a judgment of a task that others see is seen with it.
    """
    importing = _Import(connection, *how)
    unseen, others = [], []
    for start in range(0, len(comparisons), BLOCK):
        block = comparisons[start : start + BLOCK]
        items = [list(importing.items(comparison)) for comparison in block]
        fresh = {id(item) for item in importing.without_known([item for some in items for item in some])}
        there = known_contents(connection, {item.task.id for some in items for item in some})
        for comparison, some in zip(block, items, strict=True):
            if not any(id(item) in fresh for item in some):
                importing.count(comparisons=1, known=len(some))
            elif some[0].task.id in there or any(item.judgment.supersedes for item in some):
                others.append(comparison)
            else:
                unseen.append(comparison)
    return unseen, others, importing.counts


@dataclass
class _Import:
    connection: Connection
    queue: Queue
    rater_kind: RaterKind
    now: float
    hidden: str | None = None
    """The project that tasks are put into until all is there."""
    counts: ImportCounts = field(default_factory=ImportCounts)
    new: list[str] = field(default_factory=list)
    """Ids of the judgments added."""

    def add(self, comparisons: Sequence[Comparison]) -> None:
        """Store one block of comparisons."""
        items = [item for comparison in comparisons for item in self.items(comparison)]
        fresh = self.without_known(items)
        corrections = [item for item in fresh if self._is_correction(item, fresh)]
        later = {item.judgment.id for item in corrections}
        plain = [item for item in fresh if item.judgment.id not in later]
        new_raters = self._register({item.judgment.rater_id for item in fresh})
        self._place(plain)
        self._insert(plain)
        for item in corrections:
            old = self._task_of(str(item.judgment.supersedes))
            submit(self.connection, item.judgment.model_copy(update={"task_id": old}), token=None, now=self.now)
        self.new += [item.judgment.id for item in fresh]
        known = len(items) - len(fresh)
        self.count(comparisons=len(comparisons), added=len(fresh), known=known, new_raters=new_raters)

    def count(self, **more: int) -> None:
        """Count what was done."""
        self.counts = self.counts.plus(ImportCounts(**more))

    def items(self, comparison: Comparison) -> Iterator[_Item]:
        """Judgments of a comparison, checked, with ids where the file gives none."""
        return _checked(comparison, self.queue)

    def without_known(self, items: Sequence[_Item]) -> list[_Item]:
        """Items that are neither in the store nor earlier in the block. Raises where one id says two things."""
        stored = self._stored([item.judgment.id for item in items])
        fresh: dict[str, _Item] = {}
        for item in items:
            name, said = item.judgment.id, (item.task.id, item.content)
            if name in stored:
                is_same = stored[name] is None or stored[name] == said or self._is_native(item)
            else:
                first = fresh.setdefault(name, item)
                is_same = (first.task.id, first.content) == said
            if not is_same:
                raise StoreError(
                    f"judgment id {name!r} (prompt {item.task.prompt.id!r}) is taken by a judgment that "
                    "says something else; give every judgment its own id, or none"
                )
        return list(fresh.values())

    def _is_native(self, item: _Item) -> bool:
        """Whether a judgment was given here, on a task of another name, and comes back from an export."""
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

    def _stored(self, judgment_ids: Sequence[str]) -> dict[str, tuple[str, str] | None]:
        """Task and content of the judgments that are in the store; None for erased ones."""
        stored: dict[str, tuple[str, str] | None] = {}
        query = select(JudgmentRow.id, JudgmentRow.task_id, JudgmentRow.content_hash, JudgmentRow.outcome)
        for block in blocks(judgment_ids):
            for found in self.connection.execute(query.where(JudgmentRow.id.in_(block))):
                said = (found.task_id.split(_REPEAT)[0], found.content_hash)
                stored[found.id] = None if found.outcome == "erased" else said
        return stored

    def _is_correction(self, item: _Item, fresh: Sequence[_Item]) -> bool:
        """Whether the judgment it supersedes is here; an export without history names one that is not."""
        old = item.judgment.supersedes
        return old is not None and (any(f.judgment.id == old for f in fresh) or self._task_of(old) is not None)

    def _task_of(self, judgment_id: str) -> str | None:
        return self.connection.execute(select(JudgmentRow.task_id).where(JudgmentRow.id == judgment_id)).scalar()

    def _register(self, rater_ids: set[str]) -> int:
        count = select(func.count()).select_from(RaterRow)
        before = self.connection.execute(count).scalar_one()
        rows = [{"id": rater_id, "kind": self.rater_kind, "created_at": self.now} for rater_id in sorted(rater_ids)]
        insert_missing(self.connection, RaterRow, rows)
        return self.connection.execute(count).scalar_one() - before

    def _place(self, items: Sequence[_Item]) -> None:
        """Give each item a task its rater has not judged yet: the comparison's own, or a repeat of it."""
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

    def _insert(self, items: Sequence[_Item]) -> None:
        if not items:
            return
        tasks = {item.task.id: item for item in items}
        rows = [
            task_row(item.task, item.task_content, now=self.now, priority=0.0, meta=item.meta)
            for item in tasks.values()
        ]
        rows = [one | self._place_of_rows() for one in rows]
        seen = insert_task_rows(self.connection, [item.task for item in tasks.values()], rows, now=self.now)
        if seen and self.hidden:
            raise StoreError(f"{len(seen)} tasks came in by another import meanwhile; import the file again")
        slots = self._spent_slots(items)
        shown = [presentation_row(item.judgment, now=self.now) for item in items if item.judgment.order_shown]
        presentations = self._insert_returning(Presentation, shown, Presentation.id)
        values = [
            row(
                item.judgment,
                slot_id=slot_id,
                presentation_id=presentations.pop(0) if item.judgment.order_shown else None,
                now=self.now,
            )
            for item, slot_id in zip(items, slots, strict=True)
        ]
        self.connection.execute(insert(JudgmentRow), values)

    def _spent_slots(self, items: Sequence[_Item]) -> list[int]:
        """A new slot for each item, with a spent lease so that it is never given out."""
        taken: dict[str, int] = {}
        for block in blocks(sorted({item.task.id for item in items})):
            query = select(Slot.task_id, func.count()).where(Slot.task_id.in_(block)).group_by(Slot.task_id)
            taken |= {found[0]: found[1] for found in self.connection.execute(query)}
        slots = []
        for item in items:
            n = taken.get(item.task.id, 0)
            taken[item.task.id] = n + 1
            slots.append(slot_row(item.task, n) | {"is_filled": True} | self._place_of_rows())
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


def _checked(comparison: Comparison, queue: Queue) -> Iterator[_Item]:
    task = Task(
        id="?",
        prompt=comparison.prompt,
        completions=comparison.completions,
        purpose=queue.purpose,
        project=queue.project,
    )
    task_hash = task_content(task)
    task = task.model_copy(update={"id": "t-" + task_hash[:24]})
    where = f"comparison of prompt {comparison.prompt.id!r}"
    json_hash(comparison.meta, where=where)
    answers = {completion.id for completion in task.completions}
    for said in comparison.judgments:
        refuse_nul(said.id + said.rater_id, where=where)
        content = content_hash(said)
        name = said.id or "j-" + json_hash([task.id, content], where=where)[:24]
        judgment = said.model_copy(update={"id": name, "task_id": task.id})
        check(judgment, answers, where=f"{where}: judgment of rater {said.rater_id!r}")
        yield _Item(judgment, content, task, task_hash, comparison.meta)
