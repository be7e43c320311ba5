"""Conversations of raters with two blind models, kept turn by turn.

    waiting ── rating ── ready ── waiting ── rating ── … ── ended        failed: the models did not answer; ask again
       a message was said    rated; the better one goes on                names may be told from here on

What a rater decides about a turn is a judgment of its task, like any other; this is only where the talk stands.
"""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy import Connection, Engine, delete, insert, select, update

from assent.core.errors import ConflictError
from assent.core.types import Message, Purpose, Record
from assent.feedback.tables.connection import read_transaction, write
from assent.feedback.tables.conversations import ConversationRow

Phase = Literal["waiting", "failed", "rating", "ready", "ended"]
Choice = Literal["first", "second", "tie", "bad"]
"""What a rater says of the answers in the order they were shown. bad: neither can be used."""
SILENCE_SECONDS = 45.0
"""A server that waits for answers says so more often than this; after it, it is taken for dead."""


class Turn(Record):
    """A message and what came of it."""

    said: str
    task_id: str | None = None
    token: str | None = None
    shown: tuple[str, ...] = ()
    """Ids of the answers in the order they were shown."""
    choice: Choice | None = None
    answer: str | None = None
    """The text that the conversation goes on from."""
    chosen: str | None = None
    """Its id."""
    is_drawn: bool = False
    """Whether lots decided, since the rater preferred neither."""
    is_void: bool = False
    """Whether an answer named a model: a vote on it does not compare models."""
    attempt: int = 0
    """How often the models were asked before."""


class BlindTalk(Record):
    """A conversation as it stands."""

    id: str
    project: str
    rater_id: str
    purpose: Purpose
    models: tuple[str, str]
    """Names of the two; the same twice where there is only one."""
    seed: int
    phase: Phase = "waiting"
    turns: tuple[Turn, ...] = ()
    speaking: tuple[str, str] | None = None
    """Who answers now; both models at first, the better one twice from then on."""
    version: int = 0
    alive_at: float | None = None

    @property
    def turn(self) -> Turn:
        """The turn that is on."""
        return self.turns[-1]

    @property
    def messages(self) -> tuple[Message, ...]:
        """What was said so far; the answer of a turn is there once it was rated."""
        said: list[Message] = []
        for turn in self.turns:
            said.append(Message(role="user", content=turn.said))
            if turn.answer is not None:
                said.append(Message(role="assistant", content=turn.answer))
        return tuple(said)

    def is_silent(self, now: float) -> bool:
        """Does nobody wait for the models' answers any more?"""
        return self.phase == "waiting" and (self.alive_at or 0.0) < now - SILENCE_SECONDS

    def with_turn(self, **changes: Any) -> BlindTalk:
        """The conversation with its last turn changed."""
        return self.model_copy(update={"turns": (*self.turns[:-1], self.turn.model_copy(update=changes))})


def forget(connection: Connection, rater_id: str) -> None:
    """Delete what a rater and the models said to each other; what was asked of them stays in their tasks."""
    connection.execute(delete(ConversationRow).where(ConversationRow.rater_id == rater_id))


_COLUMNS = ("id", "project", "rater_id", "purpose", "phase", "version", "alive_at")


class Conversations:
    """The conversations of a store."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def get(self, conversation_id: str, rater_id: str) -> BlindTalk | None:
        """A rater's own conversation."""
        return self._read(ConversationRow.id == conversation_id, ConversationRow.rater_id == rater_id)

    def latest(self, rater_id: str, project: str, purpose: Purpose) -> BlindTalk | None:
        """The newest conversation that a rater has not ended."""
        return self._read(
            ConversationRow.rater_id == rater_id,
            ConversationRow.project == project,
            ConversationRow.purpose == purpose,
            ConversationRow.phase != "ended",
        )

    def waiting(self, rater_id: str) -> BlindTalk | None:
        """The newest conversation in which a rater waits for the models, in whatever project."""
        return self._read(ConversationRow.rater_id == rater_id, ConversationRow.phase == "waiting")

    def begin(self, conversation: BlindTalk, *, now: float) -> BlindTalk:
        """Keep a new conversation. Raises ConflictError where its id is taken."""
        values = _row(conversation) | {"version": 1, "created_at": now, "changed_at": now}

        def add(connection: Any) -> None:
            taken = select(ConversationRow.id).where(ConversationRow.id == conversation.id)
            if connection.execute(taken).first() is not None:
                raise ConflictError(f"conversation {conversation.id!r} has begun already; reload the page")
            connection.execute(insert(ConversationRow).values(values))

        write(self._engine, add)
        return conversation.model_copy(update={"version": 1})

    def save(self, conversation: BlindTalk, *, now: float) -> BlindTalk:
        """Keep a change. Raises ConflictError where somebody changed the conversation since it was read."""
        version = conversation.version + 1
        known = (ConversationRow.id == conversation.id, ConversationRow.version == conversation.version)
        values = _row(conversation) | {"version": version, "changed_at": now}
        statement = update(ConversationRow).where(*known).values(values)
        if write(self._engine, lambda connection: connection.execute(statement).rowcount) != 1:
            raise ConflictError(f"conversation {conversation.id!r} went on elsewhere; reload the page")
        return conversation.model_copy(update={"version": version})

    def beat(self, conversation: BlindTalk, *, now: float) -> None:
        """Say that the answers are still waited for."""
        known = (ConversationRow.id == conversation.id, ConversationRow.version == conversation.version)
        statement = update(ConversationRow).where(*known).values(alive_at=now)
        write(self._engine, lambda connection: connection.execute(statement))

    def _read(self, *wanted: Any) -> BlindTalk | None:
        query = select(ConversationRow).where(*wanted).order_by(ConversationRow.created_at.desc()).limit(1)
        with read_transaction(self._engine) as connection:
            row = connection.execute(query).first()
        if row is None:
            return None
        return BlindTalk.model_validate(row.state | {name: getattr(row, name) for name in _COLUMNS})


def _row(conversation: BlindTalk) -> dict[str, Any]:
    own = {name: getattr(conversation, name) for name in _COLUMNS}
    return own | {"state": conversation.model_dump(mode="json", exclude=set(_COLUMNS))}
