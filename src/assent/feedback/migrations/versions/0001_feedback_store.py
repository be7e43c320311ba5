"""The first schema: projects, tasks and their slots, leases, judgments, raters, snapshots."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _projects_and_raters()
    _answers_and_snapshots()
    _tasks()
    _slots_and_what_was_shown()
    _judgments()
    _what_hangs_on_judgments()


def _projects_and_raters() -> None:
    op.create_table(
        "project",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_project")),
    )
    op.create_table(
        "prompt",
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("messages", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("meta", sa.JSON(none_as_null=True), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_prompt")),
    )
    op.create_index(op.f("ix_prompt_id"), "prompt", ["id"], unique=False)
    op.create_table(
        "rater",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("erased_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rater")),
    )
    op.create_table(
        "guideline_version",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("text_hash", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["project"], ["project.name"], name=op.f("fk_guideline_version_project")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_guideline_version")),
        sa.UniqueConstraint("project", "version", name=op.f("uq_guideline_version_project_version")),
    )
    op.create_table(
        "rater_attribute",
        sa.Column("rater_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("consent", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["rater_id"], ["rater.id"], name=op.f("fk_rater_attribute_rater_id"), onupdate="CASCADE"
        ),
        sa.PrimaryKeyConstraint("rater_id", "name", name=op.f("pk_rater_attribute")),
    )


def _answers_and_snapshots() -> None:
    op.create_table(
        "response",
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("prompt_hash", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("text_hash", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("sampler", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("seed", sa.BigInteger(), nullable=True),
        sa.Column("is_finished", sa.Boolean(), nullable=False),
        sa.Column("meta", sa.JSON(none_as_null=True), nullable=False),
        sa.ForeignKeyConstraint(["prompt_hash"], ["prompt.hash"], name=op.f("fk_response_prompt_hash")),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_response")),
    )
    op.create_index(op.f("ix_response_id"), "response", ["id"], unique=False)
    op.create_index(op.f("ix_response_prompt_hash"), "response", ["prompt_hash"], unique=False)
    op.create_table(
        "snapshot",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("touched_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["project"], ["project.name"], name=op.f("fk_snapshot_project")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_snapshot")),
    )
    op.create_index(op.f("ix_snapshot_hash"), "snapshot", ["hash"], unique=False)
    op.create_index(
        "uq_snapshot_valid_name",
        "snapshot",
        ["name"],
        unique=True,
        sqlite_where=sa.text("touched_at IS NULL"),
        postgresql_where=sa.text("touched_at IS NULL"),
    )


def _tasks() -> None:
    op.create_table(
        "task",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("prompt_hash", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("priority", sa.Double(), nullable=False),
        sa.Column("propensity", sa.Double(), nullable=True),
        sa.Column("guideline_id", sa.Integer(), nullable=True),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("meta", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["guideline_id"], ["guideline_version.id"], name=op.f("fk_task_guideline_id")),
        sa.ForeignKeyConstraint(["project"], ["project.name"], name=op.f("fk_task_project")),
        sa.ForeignKeyConstraint(["prompt_hash"], ["prompt.hash"], name=op.f("fk_task_prompt_hash")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task")),
    )
    op.create_index(op.f("ix_task_project_purpose"), "task", ["project", "purpose"], unique=False)
    op.create_table(
        "adjudication",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("adjudicator_id", sa.Text(), nullable=False),
        sa.Column("ranking", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("decided_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["adjudicator_id"], ["rater.id"], name=op.f("fk_adjudication_adjudicator_id"), onupdate="CASCADE"
        ),
        sa.ForeignKeyConstraint(["task_id"], ["task.id"], name=op.f("fk_adjudication_task_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_adjudication")),
    )
    op.create_index(op.f("ix_adjudication_task_id"), "adjudication", ["task_id"], unique=False)
    op.create_table(
        "gold",
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("ranking", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["task.id"], name=op.f("fk_gold_task_id")),
        sa.PrimaryKeyConstraint("task_id", name=op.f("pk_gold")),
    )


def _slots_and_what_was_shown() -> None:
    op.create_table(
        "presentation",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("rater_id", sa.Text(), nullable=False),
        sa.Column("order_shown", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("locale", sa.Text(), nullable=True),
        sa.Column("client", sa.Text(), nullable=True),
        sa.Column("shown_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["rater_id"], ["rater.id"], name=op.f("fk_presentation_rater_id"), onupdate="CASCADE"),
        sa.ForeignKeyConstraint(["task_id"], ["task.id"], name=op.f("fk_presentation_task_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_presentation")),
    )
    op.create_index(op.f("ix_presentation_task_id_rater_id"), "presentation", ["task_id", "rater_id"], unique=False)
    op.create_table(
        "slot",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["task.id"], name=op.f("fk_slot_task_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_slot")),
        sa.UniqueConstraint("task_id", "n", name=op.f("uq_slot_task_id_n")),
    )
    op.create_table(
        "task_response",
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("response_hash", sa.Text(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["response_hash"], ["response.hash"], name=op.f("fk_task_response_response_hash")),
        sa.ForeignKeyConstraint(["task_id"], ["task.id"], name=op.f("fk_task_response_task_id")),
        sa.PrimaryKeyConstraint("task_id", "response_hash", name=op.f("pk_task_response")),
    )


def _judgments() -> None:
    op.create_table(
        "judgment",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("rater_id", sa.Text(), nullable=False),
        sa.Column("slot_id", sa.Integer(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("ranking", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("flags", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("scores", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("critique", sa.Text(), nullable=True),
        sa.Column("edits", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=True),
        sa.Column("presentation_id", sa.Integer(), nullable=True),
        sa.Column("supersedes", sa.Text(), nullable=True),
        sa.Column("superseded_by", sa.Text(), nullable=True),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("submitted_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["presentation_id"], ["presentation.id"], name=op.f("fk_judgment_presentation_id")),
        sa.ForeignKeyConstraint(["rater_id"], ["rater.id"], name=op.f("fk_judgment_rater_id"), onupdate="CASCADE"),
        sa.ForeignKeyConstraint(["slot_id"], ["slot.id"], name=op.f("fk_judgment_slot_id")),
        sa.ForeignKeyConstraint(
            ["superseded_by"],
            ["judgment.id"],
            name=op.f("fk_judgment_superseded_by"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(["task_id"], ["task.id"], name=op.f("fk_judgment_task_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_judgment")),
    )
    op.create_index(op.f("ix_judgment_rater_id"), "judgment", ["rater_id"], unique=False)
    op.create_index(op.f("ix_judgment_task_id_rater_id"), "judgment", ["task_id", "rater_id"], unique=False)
    op.create_index(
        "uq_judgment_current_slot",
        "judgment",
        ["slot_id"],
        unique=True,
        sqlite_where=sa.text("superseded_by IS NULL"),
        postgresql_where=sa.text("superseded_by IS NULL"),
    )
    op.create_index(
        "uq_judgment_current_task_rater",
        "judgment",
        ["task_id", "rater_id"],
        unique=True,
        sqlite_where=sa.text("superseded_by IS NULL"),
        postgresql_where=sa.text("superseded_by IS NULL"),
    )


def _what_hangs_on_judgments() -> None:
    op.create_table(
        "lease",
        sa.Column("slot_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("rater_id", sa.Text(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.Column("is_spent", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["rater_id"], ["rater.id"], name=op.f("fk_lease_rater_id"), onupdate="CASCADE"),
        sa.ForeignKeyConstraint(["slot_id"], ["slot.id"], name=op.f("fk_lease_slot_id")),
        sa.ForeignKeyConstraint(["task_id"], ["task.id"], name=op.f("fk_lease_task_id")),
        sa.PrimaryKeyConstraint("slot_id", name=op.f("pk_lease")),
        sa.UniqueConstraint("token", name=op.f("uq_lease_token")),
    )
    op.create_index(op.f("ix_lease_rater_id"), "lease", ["rater_id"], unique=False)
    op.create_index(op.f("ix_lease_task_id_rater_id"), "lease", ["task_id", "rater_id"], unique=False)
    op.create_table(
        "judgment_event",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("judgment_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("payload", sa.JSON(none_as_null=True), nullable=False),
        sa.ForeignKeyConstraint(["judgment_id"], ["judgment.id"], name=op.f("fk_judgment_event_judgment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_judgment_event")),
    )
    op.create_index(op.f("ix_judgment_event_judgment_id"), "judgment_event", ["judgment_id"], unique=False)
    op.create_table(
        "snapshot_judgment",
        sa.Column("snapshot_id", sa.Integer(), nullable=False),
        sa.Column("judgment_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["judgment_id"], ["judgment.id"], name=op.f("fk_snapshot_judgment_judgment_id")),
        sa.ForeignKeyConstraint(["snapshot_id"], ["snapshot.id"], name=op.f("fk_snapshot_judgment_snapshot_id")),
        sa.PrimaryKeyConstraint("snapshot_id", "judgment_id", name=op.f("pk_snapshot_judgment")),
    )
    op.create_index(op.f("ix_snapshot_judgment_judgment_id"), "snapshot_judgment", ["judgment_id"], unique=False)
