"""Judgments name the project and the purpose of their task, and an index tells what a rater has done in each."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_INDEXES = (
    "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema() AND tablename = 'judgment'"
    " AND indexname <> 'pk_judgment'"
)


def upgrade() -> None:
    op.drop_index(op.f("ix_judgment_rater_id_submitted_at"), "judgment")
    op.add_column("judgment", sa.Column("project", sa.Text(), nullable=False, server_default=""))
    op.add_column("judgment", sa.Column("purpose", sa.Text(), nullable=False, server_default="reward"))
    bind = op.get_bind()
    made = []
    if bind.dialect.name == "postgresql":
        # A table is not indexed while checks of it wait for the end of the transaction.
        op.execute("SET CONSTRAINTS ALL IMMEDIATE")
        # A changed row is a new one there, and is put into every index: of millions it is faster to make them anew.
        for name, definition in bind.execute(sa.text(_INDEXES)).all():
            op.drop_index(name, "judgment")
            made.append(definition)
    op.execute(
        "UPDATE judgment SET project = task.project, purpose = task.purpose FROM task WHERE task.id = judgment.task_id"
    )
    for definition in made:
        op.execute(definition)
    op.create_index(
        "ix_judgment_done",
        "judgment",
        ["rater_id", "submitted_at", "project", "purpose", "outcome", "superseded_by"],
        unique=False,
    )
