"""The command `assent`: every command loads only what it needs, and every error is one line and an exit code."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

import assent
from assent.cli import (
    attacked,
    demo,
    feedback,
    judged,
    kept,
    made,
    principled,
    profile,
    projects,
    rating,
    runs,
    store,
)
from assent.cli.command import Commands
from assent.cli.options import PATHS
from assent.core.errors import AssentError
from assent.core.terminal import safe

app = Commands(
    name="assent",
    no_args_is_help=True,
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Align a language model with the people who use it: SFT, rankings, reward model, PPO or DPO, blind evaluation,"
    " next round.\n\nStart with [bold]assent init my-project[/bold], which holds a small example that runs as it is."
    "\n\nExit codes: 0 done; 1 the run failed, or a gate said FAIL; 2 something you gave cannot be used; 3 people have"
    " to rate first, or a gate is UNDECIDED;"
    " 130 stopped by Ctrl-C.",
)
data_app = Commands(no_args_is_help=True, help="Look at data before training on it.")
STOPPED = 130
"""Exit code after Ctrl-C."""


def _whole(
    shows_version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if shows_version:
        version()


def version() -> None:
    """Print the version."""
    typer.echo(assent.__version__)


def main() -> None:
    """Run the command; errors raised on purpose become one line on stderr and their exit code."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if "OMP_WAIT_POLICY" not in os.environ:
        # Read when torch is loaded: threads that wait give their core to others soon (docs/results.md).
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    try:
        app(prog_name="assent")
    except AssentError as error:
        typer.secho(safe(f"assent: {error}"), err=True, fg="red" if sys.stderr.isatty() else None)
        raise SystemExit(error.exit_code) from None
    except SystemExit as end:
        if end.code == STOPPED:
            typer.echo("assent: stopped; run the same command again to go on", err=True)
        raise


app.callback()(_whole)
app.command(epilog=PATHS)(runs.run)
app.command(epilog=PATHS)(rating.rate)
app.command()(projects.init)
app.command()(demo.demo)
app.command(name="import")(projects.import_)
app.command()(made.chat)
app.command()(made.serve)
app.command()(made.report)
app.command()(judged.evaluate)
app.command()(attacked.redteam)
app.command()(judged.gate)
app.command()(judged.judge)
app.command()(judged.arena)
app.command()(made.lineage)
app.command()(made.export)
app.command()(kept.runs)
app.command()(kept.clean)
app.command(epilog=PATHS)(runs.doctor)
app.command()(version)
data_app.command()(projects.inspect)
app.add_typer(data_app, name="data")
app.add_typer(principled.app, name="constitution")
app.add_typer(feedback.app, name="feedback")
app.add_typer(profile.app, name="profile")
app.add_typer(store.app, name="store")
