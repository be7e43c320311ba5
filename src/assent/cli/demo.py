"""The command `assent demo`."""

from __future__ import annotations

from typing import Annotated

import typer

from assent.cli import runs
from assent.cli.options import Settings


def demo(
    settings: Settings = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what would run and what is done already; run nothing.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bars.")] = False,
) -> None:
    """Run the demo: the whole loop on the built-in lab, two rounds, a verdict and a report.

    It needs no project, no data and no network, and takes minutes on two CPU cores. Everything goes to runs/demo below
    the current folder. The same command resumes a demo that was stopped.
    """
    from assent.pipeline.commands.demo import demo_settings

    path, places = demo_settings()
    runs.run(path, [*places, *(settings or ())], plan=plan, quiet=quiet)
