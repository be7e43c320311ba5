"""Where the feedback store lives."""

from __future__ import annotations

from pathlib import Path

from assent.core.config import Config


class StoreConfig(Config):
    """The database of human feedback."""

    url: str = "sqlite:///feedback.db"
    """`sqlite:///file` (a relative file is taken from the project's folder) or `postgresql://user@host/database`."""

    def located(self, folder: Path) -> str:
        """The URL with a relative SQLite file taken from `folder`."""
        prefix = "sqlite:///"
        if not self.url.startswith(prefix):
            return self.url
        return prefix + str((folder / self.url.removeprefix(prefix)).absolute())
