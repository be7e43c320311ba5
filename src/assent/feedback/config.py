"""Where the feedback store lives."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from assent.core.config import Config

SQLITE = "sqlite:///"
"""How the URL of a store in a file begins."""


class StoreConfig(Config):
    """The database of human feedback."""

    url: str = Field(default="sqlite:///feedback.db", json_schema_extra={"outside": "place"})
    """`sqlite:///file` (a relative file is taken from the project's folder) or `postgresql://user@host/database`."""

    def located(self, folder: Path) -> str:
        """The URL with a relative SQLite file taken from `folder`."""
        if not self.url.startswith(SQLITE):
            return self.url
        return SQLITE + str((folder / self.url.removeprefix(SQLITE)).absolute())
