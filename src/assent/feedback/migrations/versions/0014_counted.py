"""Indexes for large stores: all that is counted of a queue's slots, those that wait by task, what a rater judged."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_slot_counted", "slot", ["project", "purpose", "service", "is_filled", "reserved_for"])
    op.create_index(
        "ix_slot_unfilled",
        "slot",
        ["task_id", "project", "purpose", "reserved_for", "place", "id"],
        sqlite_where=sa.text("is_filled = 0"),
        postgresql_where=sa.text("is_filled = false"),
    )
    op.create_index("ix_judgment_rater_id_task_id", "judgment", ["rater_id", "task_id"])
