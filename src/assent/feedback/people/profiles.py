"""Profiles: what raters say about themselves, each thing with its own consent, and what their own record looks like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from sqlalchemy import Connection, Engine, delete, select

from assent.core.errors import StoreError
from assent.core.hashing import hash_json, short
from assent.core.types import Judgment
from assent.feedback.quality.ballots import pair_values
from assent.feedback.queue.claims import lock_rater
from assent.feedback.queue.gold import REPEAT_OF
from assent.feedback.queue.judgments import judgment_of, select_judgments
from assent.feedback.queue.tasks import refuse_nul
from assent.feedback.records.settings import AttributeQuestion
from assent.feedback.tables.connection import insert_missing, read_transaction, write_transaction
from assent.feedback.tables.queue import JudgmentRow, RaterAttribute, TaskRow
from assent.stats.clustered import cautious_share
from assent.stats.estimate import Estimate

LONGEST = 200
"""Characters of something a rater says about themselves."""


@dataclass(frozen=True)
class Told:
    """Something a rater said about themselves, and the version of the text they agreed to."""

    value: str
    consent: str


@dataclass(frozen=True)
class OwnRecord:
    """What a rater's own judgments show them."""

    judged: int
    skipped: int
    seconds: float
    """Active reading time in all."""
    median_seconds: float | None
    consistency: Estimate | None
    """Pairs said alike when the same task came again; the rater is the only one who sees it beside those in charge."""


class Profiles:
    """What raters say about themselves. Every method is one transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def told(self, rater_id: str) -> dict[str, Told]:
        """What a rater said, by the name of the question."""
        query = select(RaterAttribute).where(RaterAttribute.rater_id == rater_id)
        with read_transaction(self._engine) as connection:
            return {row.name: Told(row.value, row.consent or "") for row in connection.execute(query)}

    def tell(self, rater_id: str, answers: Mapping[str, Told]) -> None:
        """Keep these answers and nothing else: what is not among them is withdrawn. Raises StoreError."""
        for name, told in answers.items():
            if not told.consent:
                raise StoreError(f"{name!r} needs consent; tick the box beside it, or leave it empty")
            if len(told.value) > LONGEST:
                raise StoreError(f"{name!r} has {len(told.value)} characters; use at most {LONGEST}")
            refuse_nul(name + told.value, where=f"{name!r}")
        rows = [{"rater_id": rater_id, "name": n, "value": t.value, "consent": t.consent} for n, t in answers.items()]
        with write_transaction(self._engine) as connection:
            lock_rater(connection, rater_id)
            connection.execute(delete(RaterAttribute).where(RaterAttribute.rater_id == rater_id))
            insert_missing(connection, RaterAttribute, rows)

    def record(self, rater_id: str) -> OwnRecord:
        """What a rater's own judgments show."""
        with read_transaction(self._engine) as connection:
            return _record(connection, rater_id)


def consent_version(consent_text: str, question: AttributeQuestion) -> str:
    """Names exactly what somebody agreed to: the consent text, the question and its purpose."""
    return short(hash_json([consent_text, question.model_dump(mode="json")]))


def _record(connection: Connection, rater_id: str) -> OwnRecord:
    query = select_judgments().add_columns(JudgmentRow.outcome, TaskRow.meta[REPEAT_OF].as_string().label("again"))
    query = query.where(JudgmentRow.rater_id == rater_id, JudgmentRow.superseded_by.is_(None))
    rows = connection.execute(query).all()
    said = [judgment_of(row) for row in rows if row.outcome != "skipped"]
    seconds = [j.seconds for j in said if j.seconds is not None]
    return OwnRecord(
        judged=len(said),
        skipped=len(rows) - len(said),
        seconds=sum(seconds),
        median_seconds=median(seconds) if seconds else None,
        consistency=_consistency(said, {row.task_id: row.again for row in rows if row.again}),
    )


def _consistency(said: Sequence[Judgment], again: Mapping[str, str]) -> Estimate | None:
    """Share of pairs ordered alike both times."""
    rankings = {j.task_id: j.ranking for j in said}
    alike = []
    for task_id, first in again.items():
        before, after = rankings.get(first), rankings.get(task_id)
        if before is not None and after is not None:
            once, twice = pair_values(before), pair_values(after)
            alike += [(first, float(once[pair] == twice[pair])) for pair in once.keys() & twice.keys()]
    return cautious_share(alike)
