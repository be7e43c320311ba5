"""The commands about constitutions: `assent constitution check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from assent.cli.command import Commands
from assent.core.terminal import safe

app = Commands(no_args_is_help=True, help="Look at the principles of a constitution before using it.")


@app.command()
def check(
    constitution: Annotated[str, typer.Argument(help="A YAML file, or the name of one of the package: hhh, lab.")],
    answers: Annotated[
        Path | None,
        typer.Option(
            help="Try them on the answers of this file of comparisons or tasks, or of runs/x/round-1/samples."
        ),
    ] = None,
    project: Annotated[str | None, typer.Option(help="Try them on the answers of this project of the store.")] = None,
    store: Annotated[
        str | None, typer.Option("--store", help="URL of a feedback store; default: feedback.db here.")
    ] = None,
    judge: Annotated[
        str | None,
        typer.Option(
            help="Who judges by them: a model's folder or hub id, module:function, or a YAML with `backend:`. Without"
            " it, what was judged by this constitution before is read."
        ),
    ] = None,
    most: Annotated[int, typer.Option(help="Judge at most so many tasks, drawn at random.", min=2)] = 300,
) -> None:
    """Say which principles conflict, which never prefer an answer, and which say the same, with n and intervals.

    Without answers only the file is checked. A file that cannot be used ends with exit code 2 and one line that names
    file, principle and key.
    """
    from assent.pipeline.commands.constitution import AnswersAsked
    from assent.pipeline.commands.constitution import check as checked

    asked = AnswersAsked(project=project, store_url=store, answers=answers, judge=judge, most=most)
    for line in checked(constitution, asked):
        typer.echo(safe(line))
