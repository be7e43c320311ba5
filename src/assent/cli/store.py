"""The commands `assent store …`: whole copies of a store, moving it to another database, and looking it through."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from assent.cli.command import Commands

app = Commands(no_args_is_help=True, help="Copy, move, back up and verify a store, also while it is used.")

Given = Annotated[str, typer.Argument(metavar="STORE", help="The store: a file, sqlite:///file or postgresql://…")]
Target = Annotated[str, typer.Argument(metavar="TARGET", help="A file that is not there, or an empty database.")]


@app.command()
def copy(store: Given, target: Target) -> None:
    """Copy everything, as it is at one moment, also of a store in use, and between SQLite and PostgreSQL.

    What was written is read again and compared. A backup is restored with it, too.
    """
    from assent.feedback.copying import copy as copy_store
    from assent.feedback.verifying import shown

    _note(store, "store copy")
    held = copy_store(_url(store), _url(target))
    typer.echo(f"copied to {shown(_url(target))}: {_said(held)}")


@app.command()
def move(store: Given, target: Target) -> None:
    """Copy everything to another database and let nobody write to the old one any more. Stop the service first."""
    from assent.feedback.copying import move as move_store
    from assent.feedback.verifying import shown

    _note(store, "store move")
    held = move_store(_url(store), _url(target))
    typer.echo(f"moved to {shown(_url(target))}: {_said(held)}")
    typer.echo(f"{shown(_url(store))} is kept as it was and refuses to be opened; delete it when you like")


@app.command()
def backup(
    store: Given,
    to: Annotated[Path, typer.Option("--to", help="Folder of the backups.")] = Path("backups"),
) -> None:
    """Copy everything to a SQLite file whose name is the moment, whole or not at all; for a nightly job."""
    from assent.feedback.copying import backup as back_up

    _note(store, "store backup")
    path, held = back_up(_url(store), to, now=time.time())
    typer.echo(f"{path}: {_said(held)}")


@app.command()
def verify(
    store: Given,
    other: Annotated[str | None, typer.Argument(metavar="OTHER", help="A store that should hold the same.")] = None,
) -> None:
    """Say whether a store is whole and what it holds, and whether another holds the same; exit code 1 if not."""
    from assent.feedback.verifying import verify as look

    verdict = look(_url(store), None if other is None else _url(other))
    for line in verdict.lines:
        typer.echo(line)
    for problem in verdict.problems:
        typer.echo(f"wrong: {problem}")
    if verdict.problems:
        raise typer.Exit(1)
    typer.echo("whole")


def _note(store: str, command: str) -> None:
    """Into the store's security log, before anything leaves it, so that the copy holds the line too."""
    from assent.feedback.terminal import note_at

    if not note_at(_url(store), command):
        typer.echo("the store has an older schema, so this is not in its security log", err=True)


def _url(given: str) -> str:
    from assent.feedback.config import SQLITE, StoreConfig

    return given if "://" in given else StoreConfig(url=SQLITE + given).located(Path())


def _said(held: Mapping[str, Any]) -> str:
    return (
        ", ".join(f"{name} {digest.rows}" for name, digest in held.items() if digest.rows)
        or "an older schema, as it is"
    )
