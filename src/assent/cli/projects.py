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
    """Import rankings that people have given already, for every run of the project to learn from.

    Reads Argilla and Label Studio, TRL preferences, HH-RLHF, UltraFeedback, OpenAssistant, plain rankings and more, by
    their columns. All files or none; the same judgments again add nothing. What data.comparisons of the YAML names is
    learned from already and need not be imported. `assent feedback import` does the same and can name another project
    of the store, or evaluations.
    """
    from assent.pipeline.commands.project import import_files

    for line in import_files(config, files, format=format, skip_bad=skip_bad):
        typer.echo(line)


def inspect(
    files: Annotated[list[str], typer.Argument(help="Files, folders or hub ids.")],
    model: Annotated[
        str | None,
        typer.Option(
            help="Also count tokens with this model's tokenizer and show the first row as it reads it: runs/x/round-1,"
            " a model folder, or a hub id."
        ),
    ] = None,
    format: Format = "auto",
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Count bad rows instead of stopping at the first.")
    ] = False,
) -> None:
    """Counts, lengths, near-duplicates, ties, raters, length bias and an example of data sets, each for itself."""
    from assent.pipeline.commands.project import inspect_files

    for line in inspect_files(files, model=model, format=format, skip_bad=skip_bad):
        typer.echo(safe(line))
