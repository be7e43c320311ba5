"""The commands that judge models outside a run: `assent evaluate` and `assent gate`."""

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
        list[str] | None, typer.Option("--suite", metavar="KIND=PATH", help="One suite and its questions. Repeatable.")
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


def gate(
    policy: Annotated[
        str | None,
        typer.Argument(
            help="The policy that wants to be released: runs/x/round-2, a run, an artifact, a model, or a folder that"
            " `assent evaluate` wrote."
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option("--against", help="The policy that it would replace. Without it, what its round started from."),
    ] = None,
    file: Annotated[
        str | None,
        typer.Option("--file", help="The gate file, or the name of one that comes along: default, lab."),
    ] = None,
    to: Annotated[Path | None, typer.Option("--to", help="Folder of the dossier. Without it, one below gate/.")] = None,
    evaluations: Annotated[Path, typer.Option("--evaluations", help="Where `assent evaluate` wrote.")] = Path(
        "evaluations"
    ),
    replay: Annotated[
        Path | None, typer.Option("--replay", metavar="FOLDER", help="Decide again from a dossier alone.")
    ] = None,
) -> None:
    """Say whether a policy may take the place of another: PASS, FAIL, or UNDECIDED with how many labels are missing.

    Decided from single outcomes and verdicts, line by line of the gate file; a line that was not measured fails. Exit
    code 0 is PASS, 1 FAIL, 3 UNDECIDED. The dossier holds everything from which the same verdict comes out again. In a
    run, `gate:` of its YAML asks it after every round, and only a PASS promotes.
    """
    from assent.core.errors import UserError
    from assent.pipeline.commands import gate as asked

    if (policy is None) == (replay is None):
        raise UserError("assent gate wants a policy, or --replay with the folder of a dossier")
    if replay is not None:
        lines = asked.replay(replay)
    else:
        assert policy is not None
        lines = asked.gate(policy, against=against, file=file, evaluations=evaluations, to=to)
    *said, verdict = lines
    for line in said:
        typer.echo(line)
    raise typer.Exit(asked.exit_code(verdict))
