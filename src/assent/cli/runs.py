"""The commands that make and check runs: `assent run`, `assent doctor`."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assent.artifacts.layout import PROJECT
from assent.cli.options import ConfigArgument, Overlays, RunName, Settings, with_name
from assent.core.loading import loading
from assent.core.terminal import safe

if TYPE_CHECKING:
    from assent.service.waiting import Waiter

SkipBad = Annotated[
    bool,
    typer.Option(
        "--skip-bad",
        help="Put rows of data that cannot be used into quarantine.jsonl of the artifact and count them, instead of"
        " stopping at the first. As if every source said skip_bad: true.",
    ),
]
Verify = Annotated[
    bool,
    typer.Option(
        "--verify",
        help="Read every byte of what is done already and of models outside; else a large file is taken to be what"
        " it was as long as its size and times are the same.",
    ),
]
Late = Annotated[
    bool,
    typer.Option(
        "--late",
        help="Judgments that came in after the run had gone on count now: what rests on them is made anew.",
    ),
]


def run(
    config: ConfigArgument = PROJECT,
    settings: Settings = None,
    overlays: Overlays = None,
    name: RunName = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what would run and what is done already; run nothing.")
    ] = False,
    verify: Verify = False,
    skip_bad: SkipBad = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bars.")] = False,
    late: Late = False,
    wait: Annotated[
        bool,
        typer.Option(
            "--wait", help="Where people are the raters, serve the rating pages and wait for them, then carry on."
        ),
    ] = False,
    host: Annotated[str, typer.Option(help="Address that --wait listens on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port that --wait listens on; 0: a free one.", min=0, max=65535)] = 8000,
) -> None:
    """Do what is not done yet, then say how it went. The same command resumes a run that was stopped or killed.

    Where people are the raters it ends with exit code 3 and says how many judgments are in and how to rate; run it
    again later, or let it --wait.
    """
    with loading():
        from assent.artifacts.digests import reading_everything
        from assent.pipeline.places import go_to_project, left_out_of
        from assent.pipeline.plan import memory_lines, plan_project

    said = with_name(settings, name)
    given = (*go_to_project(config, tuple(overlays or ()), said), said)
    if given[0] != config:
        typer.echo(f"working in {config.parent}; paths and commands below are as seen from there", err=True)
    for line in left_out_of(*given):
        typer.echo(safe(line), err=True)
    looking = reading_everything() if verify else contextlib.nullcontext()
    if plan:
        with looking, loading():
            typer.echo("\n".join([*plan_project(*given, skip_bad=skip_bad), *memory_lines(*given)]))
        return
    with loading():
        from assent.pipeline.run import run_folder, run_project  # torch comes along

    with looking, contextlib.ExitStack() as pages:
        waits = pages.enter_context(_waiter(given, host, port)).wait if wait else None
        for line in run_project(*given, quiet=quiet, skip_bad=skip_bad, late=late, wait=waits):
            typer.echo(line)
    from assent.report.run import report_of

    typer.echo(report_of(run_folder(*given)))


def doctor(
    config: ConfigArgument = PROJECT,
    settings: Settings = None,
    overlays: Overlays = None,
    name: RunName = None,
    run_code: Annotated[
        bool, typer.Option("--run-code", help="Also import the functions that the YAML names, which runs their code.")
    ] = False,
    cluster: Annotated[
        bool,
        typer.Option("--cluster", help="Instead: what a step would cost on a cluster, on paper, and what binds."),
    ] = False,
) -> None:
    """Check a config, its data, model, template, lengths, store and disk before anything is trained.

    Given the folder of a run (runs/demo), read its logs instead and say which known failures they show, also while it
    runs. Every finding says what to do. No code of the project is run unless you say so.
    Ends with exit code 2 where a run would fail.
    """
    from assent.artifacts.project import is_run

    if cluster:
        from assent.pipeline.doctor.cluster import plan

        for line in plan(config, tuple(overlays or ()), tuple(settings or ())):
            typer.echo(safe(line))
        return
    if is_run(config):
        from assent.pipeline.doctor.logs import examine_logs

        for finding in examine_logs(config):
            typer.echo(safe(str(finding)))
        return
    with loading():
        from assent.pipeline.doctor.opened import open_settings, summary
    given = (config, tuple(overlays or ()), with_name(settings, name))
    readable, findings = open_settings(*given)
    if readable is not None:
        with loading():
            from assent.pipeline.doctor.examine import examine  # torch comes along

        findings += examine(*given, runs_code=run_code)
    for finding in findings:
        typer.echo(safe(str(finding)))
    typer.echo(summary(findings))
    if any(f.is_error for f in findings):
        raise typer.Exit(2)


def _waiter(given: tuple[Path, tuple[Path, ...], tuple[str, ...]], host: str, port: int) -> Waiter:
    """What `assent run --wait` waits with."""
    from assent.pipeline.judging import quorum_of
    from assent.pipeline.places import open_project
    from assent.service.serve import ServerAddress
    from assent.service.waiting import Waiter

    config = open_project(*given).config
    quorum = quorum_of(None if config.collect is None else config.collect.raters)
    return Waiter(config.store.located(Path()), ServerAddress(host, port), typer.echo, quorum)
