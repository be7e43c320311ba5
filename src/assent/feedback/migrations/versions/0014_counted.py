"""An index that holds all that is counted of a queue's slots."""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_slot_counted", "slot", ["project", "purpose", "service", "is_filled", "reserved_for"])
