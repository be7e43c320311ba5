"""What every suite can be told; nothing heavy is imported."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from assent.core.config import Config


class PackagedSettings(Config):
    """What every suite can be told; those whose questions come with the package have no more."""

    name: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._ -]*$",
        json_schema_extra={"form": "letters, digits, spaces, dots, hyphens and underscores, a letter or digit first"},
    )
    """Name of the suite in reports; null: its kind. Two suites of one kind need two names."""
    limit: int | None = Field(default=None, ge=2)
    """How many items are asked, drawn by the run's seed; null: all."""

    @property
    def title(self) -> str:
        """Its name, or its kind."""
        return self.name or str(getattr(self, "kind", "suite"))


class SuiteSettings(PackagedSettings):
    """What every suite with a file of questions can be told."""

    path: Path = Field(json_schema_extra={"outside": "file"})
    """File with the questions, or a folder of such files; .jsonl, .json, .csv, .tsv (also .gz) or .parquet."""
