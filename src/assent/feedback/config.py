"""Where the feedback store lives."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from pathlib import Path
from urllib.parse import quote

from pydantic import Field

from assent.core.config import Config

SQLITE = "sqlite:///"
"""How the URL of a store in a file begins."""


def without_password(url: str) -> str:
    """A database URL as it may be shown and written down."""
    hidden = re.sub(r"(?<=://)([^:/?#@]*):[^?#]*@", r"\1:***@", url)
    return re.sub(r"([?&](?:ssl)?password=)[^&#]*", r"\1***", hidden, flags=re.IGNORECASE)


class StoreConfig(Config):
    """The database of human feedback."""

    url: str = Field(default="sqlite:///feedback.db", json_schema_extra={"outside": "place", "word": SQLITE + "{}"})
    """`sqlite:///file` (a relative file is taken from the project's folder) or `postgresql://user@host/database`.

    A password in it is used, but never shown or written into a run. It is better kept in `~/.pgpass`, which PostgreSQL
    reads by itself.
    """

    skip_bad: bool = False
    """true: imported judgments that the run cannot use are left out and counted. false: the first one ends the
    run, before anything is trained. A judgment is unusable where the base's chat template refuses it, or where it
    is too long for a stage whose `too_long` is error."""

    @property
    def shown(self) -> str:
        """The URL without a password."""
        return without_password(self.url)

    @property
    def file(self) -> Path | None:
        """The SQLite file; None where the store is on a database server."""
        return Path(self.url.removeprefix(SQLITE)) if self.url.startswith(SQLITE) else None

    @property
    def exists(self) -> bool:
        """Whether there is something to open: opening makes a SQLite file, and looking must not make a database."""
        return self.file is None or self.file.exists()

    @property
    def has_content(self) -> bool:
        """Whether there is a task or a rater in it; a file of which that is not plain is taken to have some.

        A SQLite file is looked at without what opens stores, whose modules take longer to load than a plan's others.
        """
        if self.file is None or not self.exists:
            return self.exists
        try:
            name = f"file:{quote(str(self.file.absolute()))}?mode=ro"
            with contextlib.closing(sqlite3.connect(name, uri=True)) as connection:
                return (
                    connection.execute("SELECT 1 FROM task UNION ALL SELECT 1 FROM rater LIMIT 1").fetchone()
                    is not None
                )
        except sqlite3.Error:
            return True

    def located(self, folder: Path) -> str:
        """The URL with a relative SQLite file taken from `folder`."""
        return self.url if self.file is None else SQLITE + str((folder / self.file).absolute())
