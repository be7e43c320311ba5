"""The commands that look after what runs made: `assent runs`, `assent clean`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from assent.core.terminal import safe


def runs(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="RUN", help="One or two runs; none: all of them.")
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", help="Also write two runs side by side, with their curves, as this page.")
    ] = None,
) -> None:
    """List the runs of this folder: state, verdict, disk of their own. Given two, show what differs between them."""
    from assent.core.errors import UserError
    from assent.pipeline.commands.compare import compare, facts_of, lines
    from assent.pipeline.commands.runs import list_runs, tell

    names = names or []
    if len(names) > 2:
        raise UserError(f"{len(names)} runs are named; name two to compare, one to look at, or none for the list")
    if to is not None and len(names) != 2:
        raise UserError(f"--to {to} is for two runs side by side; name two")
    if not names:
        for line in list_runs():
            typer.echo(safe(line))
        return
    told = tell(names)
    if len(told) == 1:
        for line in facts_of(told[0]):
            typer.echo(safe(line))
        return
    found = compare(*told)
    for line in lines(found):
        typer.echo(safe(line))
    if to is not None:
        from assent.report.compare import write_comparison

        typer.echo(write_comparison(found, to))


def clean(
    run: Annotated[
        list[str] | None,
        typer.Option("--run", metavar="NAME", help="Also this run, and what no other run uses. Repeatable."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Say what no run uses any more and how much disk it takes, and delete it if you say so.

    Stores and judgments are never touched, and samples that people judged stay.
    """
    from assent.core.errors import UserError
    from assent.pipeline.commands.clean import clear, clearance

    names = run or []
    found = clearance(names)
    for line in found.lines():
        typer.echo(safe(line))
    if not found.places:
        typer.echo(f"nothing to clean: {found.why_nothing()}")
        return
    if not yes and not sys.stdin.isatty():
        raise UserError(
            f"nothing was deleted, since nobody can be asked here ({found.question()}); say --yes to delete"
        )
    if not yes and not typer.confirm(f"delete {found.question()}?", default=False):
        typer.echo("nothing was deleted")
        return
    for line in clear(found, names):
        typer.echo(line)
