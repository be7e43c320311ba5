"""The order in which judgments were committed, and batches: what is brought in a block at a time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("judgment", sa.Column("number", sa.BigInteger(), nullable=True))
    # When those of older stores were committed is not known any more; this is the order in which they were listed.
    op.execute(
        "UPDATE judgment SET number = placed.place FROM"
        " (SELECT id, row_number() OVER (ORDER BY submitted_at, id) AS place FROM judgment) AS placed"
        " WHERE placed.id = judgment.id"
    )
    op.create_index("uq_judgment_number", "judgment", ["number"], unique=True)
    op.create_table(
        "last_number",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_last_number")),
    )
    op.execute("INSERT INTO last_number (id, number) SELECT 1, count(*) FROM judgment")
    op.create_table(
        "batch",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("beats", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batch")),
    )
    # Without these, taking out a row means a look through all rows that could point to it.
    op.create_index(op.f("ix_task_prompt_hash"), "task", ["prompt_hash"], unique=False)
    op.create_index(op.f("ix_task_response_response_hash"), "task_response", ["response_hash"], unique=False)
    op.create_index(op.f("ix_judgment_slot_id"), "judgment", ["slot_id"], unique=False)
    op.create_index(op.f("ix_judgment_presentation_id"), "judgment", ["presentation_id"], unique=False)
    op.create_index(
        "ix_judgment_superseded_by",
        "judgment",
        ["superseded_by"],
        unique=False,
        sqlite_where=sa.text("superseded_by IS NOT NULL"),
        postgresql_where=sa.text("superseded_by IS NOT NULL"),
    )
