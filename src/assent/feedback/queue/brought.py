"""One judgment on its way into the store, checked, with an id where its file gives none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from assent.core.errors import StoreError
from assent.core.types import Judgment, Ranking, Task
from assent.data.task_records import Circumstances, TaskRecord
from assent.feedback.queue.gold import REPEAT_OF
from assent.feedback.queue.submissions import check, content_hash, outcome
from assent.feedback.queue.tasks import json_hash, refuse_nul, task_content, task_row
from assent.feedback.records.queue import Queue


@dataclass
class Brought:
    """A judgment with its task."""

    judgment: Judgment
    content: str
    task: Task
    task_content: str
    record: TaskRecord
    superseded_by: str | None = None

    @property
    def how(self) -> Circumstances:
        """How it came about, as far as its file says."""
        return self.record.about.get(self.judgment.id, Circumstances())

    def at(self, now: float) -> float:
        """When it was given."""
        return self.record.times.get(self.judgment.id, now)

    @property
    def fills_slot(self) -> bool:
        """Does it take a slot? Not a skip, not what came late, not what was corrected."""
        return self.superseded_by is None and outcome(self.judgment) != "skipped" and not self.how.is_surplus


def task_of(record: TaskRecord, queue: Queue) -> tuple[Task, str]:
    """The task as it is in a queue, and the hash of its content, by which it is named where it has no id."""
    task = record.task.model_copy(update={"project": queue.project, "purpose": queue.purpose})
    task = task.model_copy(update={"id": task.id or "?"})
    content = task_content(task)
    return task.model_copy(update={"id": record.task.id or "t-" + content[:24]}), content


def checked(record: TaskRecord, queue: Queue) -> list[Brought]:
    """The judgments of a record. Raises StoreError where something in it does not fit."""
    if record.facts is not None and record.task.purpose != queue.purpose:
        raise StoreError(
            f"task {record.task.id!r} serves {record.task.purpose}, not {queue.purpose}; import it with purpose"
            f" {record.task.purpose}"
        )
    task, task_hash = task_of(record, queue)
    where = f"comparison of prompt {record.task.prompt.id!r}"
    json_hash(record.model_dump(exclude={"judgments", "task"}), where=where)
    refuse_nul(record.model_dump_json(exclude={"judgments", "task"}), where=where)
    answers = {completion.id for completion in task.completions}
    gold = None if record.facts is None else record.facts.gold
    for ranking in (*(decision.ranking for decision in record.decisions), None if gold is None else gold.ranking):
        _check_ranking(ranking, answers, where=where)
    items = []
    for said in record.judgments:
        refuse_nul(said.id + said.rater_id, where=where)
        content = content_hash(said)
        name = said.id or "j-" + json_hash([task.id, content], where=where)[:24]
        judgment = said.model_copy(update={"id": name, "task_id": task.id})
        check(judgment, answers, where=f"{where}: judgment of rater {said.rater_id!r}")
        items.append(Brought(judgment, content, task, task_hash, record))
    return items


def row_of(record: TaskRecord, task: Task, content: str, *, now: float, guideline_id: int | None) -> dict[str, Any]:
    """The row of a record's task; a task that another judgment of the same rater needs has only its texts."""
    facts = record.facts if task.id == record.task.id else None
    repeats = {} if facts is None or facts.repeat_of is None else {REPEAT_OF: facts.repeat_of}
    created, priority = (now, 0.0) if facts is None else (facts.created_at, facts.priority)
    meta = {**record.meta, **repeats}
    state = ("propensity", "wanted", "set_aside_at", "set_aside_why", "brought_back_at")
    values = {name: None if facts is None else getattr(facts, name) for name in state}
    return task_row(task, content, now=created, priority=priority, meta=meta) | values | {"guideline_id": guideline_id}


def _check_ranking(ranking: Ranking | None, answers: set[str], *, where: str) -> None:
    judgment = Judgment(task_id="", rater_id="-", ranking=ranking)
    check(judgment, answers, where=f"{where}: a decision or known answer")
