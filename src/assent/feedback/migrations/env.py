"""Alembic's entry: run the revisions on the connection handed over by `assent.feedback.tables.schema`."""

from __future__ import annotations

from alembic import context

from assent.feedback.tables import arrivals as arrival_tables  # noqa: F401 - they belong to the metadata
from assent.feedback.tables import conversations as conversation_tables  # noqa: F401 - they belong to the metadata
from assent.feedback.tables import people as account_tables  # noqa: F401 - they belong to the metadata
from assent.feedback.tables import webhooks as webhook_tables  # noqa: F401 - they belong to the metadata
from assent.feedback.tables.queue import Table

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Table.metadata,
    transactional_ddl=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
