"""Alembic's entry: run the revisions on the connection handed over by `assent.feedback.schema`."""

from __future__ import annotations

from alembic import context

from assent.feedback import account_tables, conversation_tables, webhook_tables  # noqa: F401 - they belong to the metadata
from assent.feedback.tables import Table

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Table.metadata,
    transactional_ddl=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
