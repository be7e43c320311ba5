"""Tasks that were given other content, and projects whose place in a run another one took."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0009"
branch_labels = None
depends_on = None

_REPLACED = sa.text("replaced_at IS NOT NULL")
_FAMILY = sa.text("replaces IS NOT NULL")


def upgrade() -> None:
    op.add_column("task", sa.Column("replaced_at", sa.Double(), nullable=True))
    op.add_column("task", sa.Column("replaces", sa.Text(), nullable=True))
    op.create_index("ix_task_replaced_at", "task", ["replaced_at"], sqlite_where=_REPLACED, postgresql_where=_REPLACED)
    op.create_index("ix_task_replaces", "task", ["replaces"], sqlite_where=_FAMILY, postgresql_where=_FAMILY)
    op.add_column("project", sa.Column("place", sa.Text(), nullable=True))
    op.add_column("project", sa.Column("replaced_by", sa.Text(), nullable=True))
