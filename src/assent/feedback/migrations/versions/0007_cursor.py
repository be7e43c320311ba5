"""The order in which judgments were committed."""

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
    op.create_index(
        "ix_judgment_unnumbered",
        "judgment",
        ["id"],
        unique=False,
        sqlite_where=sa.text("number IS NULL"),
        postgresql_where=sa.text("number IS NULL"),
    )
    op.create_table(
        "last_number",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_last_number")),
    )
    op.execute("INSERT INTO last_number (id, number) SELECT 1, count(*) FROM judgment")
