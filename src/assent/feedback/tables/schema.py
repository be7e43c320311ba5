"""Bringing a database to the current schema with Alembic: an empty one is created, an older one upgraded."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

from sqlalchemy import Connection, Engine, Table, inspect, text

from assent.core.errors import StoreError
from assent.feedback.tables import queue
from assent.feedback.tables.connection import read_transaction, write_transaction

HEAD = "0015"
"""The newest revision in migrations/versions."""

MOVED = "moved"
"""The revision of a store that `assent store move` has left behind."""

MIGRATIONS = Path(__file__).parents[1] / "migrations"
_LOCK = 4_113_310_001  # any fixed number: PostgreSQL's name for "somebody is migrating this database"


def bring_to_head(engine: Engine) -> None:
    """Create or upgrade the tables in one transaction. Raises StoreError for a store of a newer Assent."""
    with read_transaction(engine) as connection:
        if revision(connection) == HEAD:
            return
    with write_transaction(engine) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        if revision(connection) != HEAD:  # another process may have done it while we waited for the lock
            _upgrade(connection)


def every_table() -> list[Table]:
    """All tables, those that others point to first."""
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        importlib.import_module(f"{__package__}.{module.name}")
    return queue.Table.metadata.sorted_tables


def revision(connection: Connection) -> str | None:
    """The schema revision of a database; None where there is no store yet."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _upgrade(connection: Connection) -> None:
    from alembic import command  # only where there is something to do: its import costs as much as opening the store
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    found = revision(connection)
    if found == MOVED:
        raise StoreError("this store has moved to another database with `assent store move`; open that one")
    if found is not None and found not in known:
        raise StoreError(f"the store has schema revision {found!r}, newer than this Assent knows; upgrade Assent")
    command.upgrade(config, "head")
