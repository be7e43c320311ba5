"""Studies: participants, qualification, tasks set aside and assigned, projects put away."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("project", sa.Column("archived_at", sa.Double(), nullable=True))
    op.add_column("task", sa.Column("wanted", sa.Integer(), nullable=True))
    op.add_column("task", sa.Column("set_aside_at", sa.Double(), nullable=True))
    op.add_column("task", sa.Column("set_aside_why", sa.Text(), nullable=True))
    op.add_column("task", sa.Column("brought_back_at", sa.Double(), nullable=True))
    op.add_column("presentation", sa.Column("asked", sa.JSON(none_as_null=True), nullable=True))
    op.create_table(
        "assignee",
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("is_group", sa.Boolean(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["task.id"], name=op.f("fk_assignee_task_id")),
        sa.PrimaryKeyConstraint("task_id", "is_group", "name", name=op.f("pk_assignee")),
    )
    op.create_index(op.f("ix_assignee_name_is_group"), "assignee", ["name", "is_group"], unique=False)
    op.create_table(
        "group_member",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("rater_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["rater_id"], ["rater.id"], name=op.f("fk_group_member_rater_id"), onupdate="CASCADE"),
        sa.PrimaryKeyConstraint("name", "rater_id", name=op.f("pk_group_member")),
    )
    op.create_table(
        "qualification",
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("rater_id", sa.Text(), nullable=False),
        sa.Column("is_passed", sa.Boolean(), nullable=False),
        sa.Column("tasks", sa.Integer(), nullable=False),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("decided_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["project"], ["project.name"], name=op.f("fk_qualification_project")),
        sa.ForeignKeyConstraint(["rater_id"], ["rater.id"], name=op.f("fk_qualification_rater_id"), onupdate="CASCADE"),
        sa.PrimaryKeyConstraint("project", "rater_id", name=op.f("pk_qualification")),
    )
    op.create_table(
        "participant",
        sa.Column("rater_id", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("details", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["rater_id"],
            ["account.rater_id"],
            name=op.f("fk_participant_rater_id"),
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("rater_id", name=op.f("pk_participant")),
        sa.UniqueConstraint("source", "external_id", name=op.f("uq_participant_source_external_id")),
    )
