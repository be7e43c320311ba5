"""The commands that judge models and judges: `assent evaluate`, `assent gate`, `assent judge`, `assent arena`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from assent.core.terminal import safe


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
        typer.echo(safe(line))
    raise typer.Exit(asked.exit_code(verdict))


def judge(
    file: Annotated[
        Path, typer.Argument(help="YAML with `judge:` (as under collect.raters of a run) and `labels:` (files).")
    ],
    to: Annotated[Path, typer.Option("--to", help="Folder for its record and its anchors.")] = Path("judge"),
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting of the file. Repeatable.")
    ] = None,
) -> None:
    """Hold a judge (an autorater, a reward model, a function) against what people said of the same answers.

    Says how often it agrees with people beside how often people agree with each other, whether it could stand in for
    one of them, what moves it that should not, and how far its probabilities come true. A gate takes the word of a
    judge only with this record, above the bar. Ends with exit code 1 where it stays below.
    """
    from assent.evaluation.validation.record import JudgeRecord
    from assent.pipeline.commands.judge import run_validation

    for line in run_validation(file, to=to, settings=tuple(settings or ())):
        typer.echo(safe(line))
    if not JudgeRecord.read(to).passes:
        raise typer.Exit(1)


def arena(
    runs: Annotated[list[Path] | None, typer.Argument(help="Folders of runs: every blind comparison in them.")] = None,
    store: Annotated[
        str | None, typer.Option("--store", help="URL of a feedback store; default: feedback.db here.")
    ] = None,
    projects: Annotated[list[str] | None, typer.Option("--project", help="A project of the store. Repeatable.")] = None,
    data: Annotated[
        list[Path] | None, typer.Option("--data", help="A file of comparisons whose answers name models. Repeatable.")
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(
            "--weight",
            metavar="KIND=NUMBER",
            help="Put kinds of raters together, e.g. --weight person=1 --weight autorater=0.3. Repeatable.",
        ),
    ] = None,
    style: Annotated[
        bool, typer.Option("--style/--no-style", help="Take out what length, headings, lists and bold text win.")
    ] = False,
    draws: Annotated[int, typer.Option(help="How often prompts are drawn again for the intervals.", min=50)] = 1000,
    to: Annotated[Path | None, typer.Option("--to", help="Write the tables as JSON too.")] = None,
) -> None:
    """Rank models by every comparison of their answers: Bradley-Terry with ties, intervals over prompts.

    People, judges and reward models have a table each, and one together where --weight says what each counts. A model
    that answers most prompts with one text is named.
    """
    from assent.pipeline.commands.arena import Asked
    from assent.pipeline.commands.arena import arena as tables

    asked = Asked(tuple(runs or ()), tuple(data or ()), store, tuple(projects or ()), tuple(weights or ()))
    for line in tables(asked, controls_style=style, draws=draws, to=to):
        typer.echo(safe(line))
