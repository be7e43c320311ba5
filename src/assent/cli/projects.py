"""The commands around a project's data: `assent init`, `assent import`, `assent data inspect`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from assent.artifacts.layout import PROJECT
from assent.cli.options import Format, StoreConfig
from assent.core.terminal import safe


def init(folder: Annotated[Path, typer.Argument(help="Folder to make; it must not exist or be empty.")]) -> None:
    """Make a project folder: a commented assent.yaml, data/ with examples, and a place for judgments."""
    from assent.pipeline.commands.project import make_project

    for line in make_project(folder):
        typer.echo(line)


def import_(
    files: Annotated[list[Path], typer.Argument(help="Files of rankings or pairs: JSONL, JSON or Parquet.")],
    config: StoreConfig = PROJECT,
    format: Format = "auto",
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Put bad rows into quarantine.jsonl beside the YAML and go on.")
    ] = False,
) -> None:
    """Import rankings that people have given already into the project's store.

    Reads HH-RLHF, TRL preferences, UltraFeedback, OpenAssistant, plain rankings and Assent's own format.

    All files or none; importing the same judgments again adds nothing. `assent run` then learns from them.
    """
    from assent.pipeline.commands.project import import_files

    for line in import_files(config, files, format=format, skip_bad=skip_bad):
        typer.echo(line)


def inspect(
    files: Annotated[list[str], typer.Argument(help="Files, folders or hub ids.")],
    model: Annotated[str | None, typer.Option(help="Also count tokens with this model's tokenizer.")] = None,
    format: Format = "auto",
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Count bad rows instead of stopping at the first.")
    ] = False,
) -> None:
    """Counts, lengths, near-duplicates, ties, raters and length bias of data sets, each for itself."""
    from assent.pipeline.commands.project import inspect_files

    for line in inspect_files(files, model=model, format=format, skip_bad=skip_bad):
        typer.echo(safe(line))
