"""Sign-in, tokens and the security log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("account", sa.Column("totp_secret", sa.Text(), nullable=True))
    op.add_column("account", sa.Column("totp_used", sa.Integer(), nullable=True))
    op.add_column("session", sa.Column("client", sa.Text(), nullable=True))
    op.add_column("session", sa.Column("fresh_until", sa.Double(), nullable=True))
    op.add_column("api_token", sa.Column("parent_hash", sa.Text(), nullable=True))
    op.create_table(
        "sign_in_place",
        sa.Column("rater_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["rater_id"],
            ["account.rater_id"],
            name=op.f("fk_sign_in_place_rater_id"),
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("rater_id", "key", name=op.f("pk_sign_in_place")),
    )
    op.create_table(
        "security_event",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=True),
        sa.Column("program", sa.Integer(), nullable=True),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_security_event")),
    )
    op.create_index(op.f("ix_security_event_at"), "security_event", ["at"])
    op.create_table(
        "store_value",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_store_value")),
    )
