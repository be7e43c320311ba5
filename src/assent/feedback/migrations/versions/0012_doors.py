"""E-mail addresses of accounts and invitations, and how sign-in providers know people."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("account", sa.Column("email", sa.Text(), nullable=True))
    op.create_index(op.f("ix_account_email"), "account", ["email"], unique=True)
    op.add_column("invitation", sa.Column("email", sa.Text(), nullable=True))
    op.create_index(op.f("ix_invitation_email"), "invitation", ["email"], unique=False)
    op.create_table(
        "identity",
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("rater_id", sa.Text(), nullable=False),
        sa.Column("linked_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["rater_id"],
            ["account.rater_id"],
            name=op.f("fk_identity_rater_id"),
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("issuer", "subject", name=op.f("pk_identity")),
        sa.UniqueConstraint("rater_id", "issuer", name=op.f("uq_identity_rater_id_issuer")),
    )
