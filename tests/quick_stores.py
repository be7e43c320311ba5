"""New stores without all migrations: those of the first one are run, and what they made is made again in the others.

A test that opens an older store migrates it as users do, and so does every process that a test starts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from sqlalchemy import Connection

from assent.feedback.tables import schema

_TRANSACTION = re.compile(r"(BEGIN TRANSACTION|COMMIT);")
migrate = schema._upgrade


@dataclass
class FirstMigrated:
    """The first new SQLite store of this process as statements; stands in for `schema._upgrade`."""

    made: list[str] = field(default_factory=list)

    def upgrade(self, connection: Connection) -> None:
        """Bring a store to the newest revision."""
        if connection.dialect.name != "sqlite" or schema.inspect(connection).get_table_names():
            migrate(connection)
        elif self.made:
            for statement in self.made:
                connection.exec_driver_sql(statement)
        else:
            migrate(connection)
            raw = connection.connection.dbapi_connection
            assert raw is not None
            self.made += [line for line in raw.iterdump() if not _TRANSACTION.fullmatch(line)]
