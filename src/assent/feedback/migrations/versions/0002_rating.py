"""What rating by people wants: settings of projects, propensities, reserved slots, notes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_JSON = sa.JSON(none_as_null=True)


def upgrade() -> None:
    _widen_slots()
    op.create_index(
        "ix_lease_held",
        "lease",
        ["expires_at"],
        unique=False,
        sqlite_where=sa.text("is_spent = 0"),
        postgresql_where=sa.text("is_spent = false"),
    )
    op.add_column("project", sa.Column("settings", _JSON, nullable=True))
    op.add_column("gold", sa.Column("set_at", sa.Double(), nullable=True))
    op.add_column("presentation", sa.Column("propensity", sa.Double(), nullable=True))
    # In the words that both databases have: Alembic would rebuild the table on SQLite, which its foreign keys forbid.
    op.execute(
        "ALTER TABLE presentation ADD COLUMN guideline_id INTEGER"
        " CONSTRAINT fk_presentation_guideline_id REFERENCES guideline_version (id)"
    )
    op.add_column("presentation", sa.Column("is_translated", sa.Boolean(), nullable=True))
    op.add_column("presentation", sa.Column("activity", _JSON, nullable=False, server_default="{}"))
    op.add_column("judgment", sa.Column("notes", _JSON, nullable=False, server_default="[]"))
    op.add_column("judgment", sa.Column("skip_reason", sa.Text(), nullable=True))
    op.drop_index(op.f("ix_judgment_rater_id"), "judgment")
    op.create_index(op.f("ix_judgment_rater_id_submitted_at"), "judgment", ["rater_id", "submitted_at"], unique=False)
    op.create_index(op.f("ix_judgment_submitted_at"), "judgment", ["submitted_at"], unique=False)


def _widen_slots() -> None:
    op.add_column("slot", sa.Column("project", sa.Text(), nullable=False, server_default=""))
    op.add_column("slot", sa.Column("purpose", sa.Text(), nullable=False, server_default="reward"))
    op.add_column("slot", sa.Column("place", sa.Double(), nullable=False, server_default="0"))
    op.add_column("slot", sa.Column("is_filled", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("slot", sa.Column("reserved_for", sa.Text(), nullable=True))
    op.add_column("slot", sa.Column("service", sa.Text(), nullable=False, server_default="normal"))
    op.execute(
        "UPDATE slot SET"
        " project = (SELECT project FROM task WHERE task.id = slot.task_id),"
        " purpose = (SELECT purpose FROM task WHERE task.id = slot.task_id),"
        " place = (SELECT 0 - priority FROM task WHERE task.id = slot.task_id),"
        " is_filled = EXISTS (SELECT 1 FROM lease WHERE lease.slot_id = slot.id AND lease.is_spent)"
    )
    op.create_index(
        "ix_slot_waiting",
        "slot",
        ["project", "purpose", "place", "n", "id", "task_id", "is_filled", "reserved_for"],
        unique=False,
        sqlite_where=sa.text("is_filled = 0 AND reserved_for IS NULL"),
        postgresql_where=sa.text("is_filled = false AND reserved_for IS NULL"),
    )
