"""The commands that judge models outside a run: `assent evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    models: Annotated[
        list[str],
        typer.Argument(
            help="runs/x/round-2, runs/x/round-2/reward, an artifact, a model folder, or a hub id. The first of several"
            " is what the others are compared with."
        ),
    ],
    file: Annotated[
        Path | None, typer.Option("--suites", help="YAML with `suites:`; paths in it are taken from its folder.")
    ] = None,
    suite: Annotated[
        list[str] | None,
        typer.Option("--suite", metavar="KIND[=PATH]", help="One suite and its questions. Repeatable."),
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting of the file. Repeatable.")
    ] = None,
    to: Annotated[Path, typer.Option("--to", help="Folder for what was found, an outcome per item.")] = Path(
        "evaluations"
    ),
) -> None:
    """Examine policies and reward models with suites: refusals, preferences between answers, and more.

    Every number has its interval, and beside it what answers without any thought reach. Of several models, differences
    are paired by item. In a run, `suites:` of its YAML does the same for every round.
    """
    from assent.pipeline.commands.evaluate import evaluate as examine

    for line in examine(models, file=file, suites=tuple(suite or ()), settings=tuple(settings or ()), to=to):
        typer.echo(line)
