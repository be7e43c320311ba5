"""The commands `assent profile …`: what one audience wants beyond what everybody wants, and whether it may have it."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated

import typer

from assent.cli.command import Commands
from assent.core.terminal import safe

app = Commands(
    no_args_is_help=True,
    help="Profiles of audiences (a region, a culture, a brand): made, counted, fitted, and published where they win.",
)

Name = Annotated[str, typer.Argument(help="The profile's id, which is the name of its file.")]
Folder = Annotated[Path, typer.Option("--folder", help="Folder of the profiles, one YAML each.")]
StoreUrl = Annotated[
    str | None, typer.Option("--store", help="The store of judgments: sqlite:///file, postgresql://…, or a file.")
]
Projects = Annotated[
    list[str] | None, typer.Option("--project", help="A project of the store whose votes count. Repeatable.")
]
RunPolicy = Annotated[
    str | None, typer.Option("--run", help="The policy that it starts from: runs/x/round-2. Known after the first fit.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a setting of the run, e.g. optimize.steps=40. Repeatable."),
]
PROFILES = Path("profiles")


@app.command()
def new(
    name: Name,
    audience: Annotated[
        list[str], typer.Option("--audience", metavar="ATTRIBUTE=VALUE", help="What raters told. Repeatable.")
    ],
    parent: Annotated[str | None, typer.Option("--parent", help="Default: the root of the folder.")] = None,
    folder: Folder = PROFILES,
) -> None:
    """Write the file of a new profile; the first in a folder gets a root, `everyone`, beside it."""
    from assent.pipeline.commands import profile as commands

    place = commands.Place(folder)
    for line in commands.new(place, name, parent=parent, audience=commands.parse_audience(tuple(audience))):
        typer.echo(safe(line))


@app.command(name="list")
def list_(folder: Folder = PROFILES, store: StoreUrl = None, projects: Projects = None) -> None:
    """Every profile, whether it may be used, and how much evidence of its audience the store holds."""
    from assent.pipeline.commands import profile as commands

    place = commands.Place(folder, store, tuple(projects or ()))
    for line in commands.listed(place, today=datetime.date.today()):
        typer.echo(safe(line))


@app.command()
def fit(
    name: Name,
    run: RunPolicy = None,
    folder: Folder = PROFILES,
    store: StoreUrl = None,
    projects: Projects = None,
    settings: Settings = None,
) -> None:
    """Count the evidence, fit the audience's offset, put it to its trial, and train an adapter where it passes.

    What is held out (raters and prompts) is told by their ids alone, before anything is fitted.
    """
    from assent.pipeline.commands import profile as commands

    place = commands.Place(folder, store, tuple(projects or ()), tuple(settings or ()))
    for line in commands.fit(place, name, start=run, today=datetime.date.today()):
        typer.echo(safe(line))


@app.command()
def publish(
    name: Name,
    run: RunPolicy = None,
    folder: Folder = PROFILES,
    store: StoreUrl = None,
    settings: Settings = None,
) -> None:
    """Have the audience compare it, hold the safety floor, write the passport; publish only where all of it holds.

    Exit code 0: published, 1: not, 3: people have to compare first; the same command goes on then.
    """
    from assent.pipeline.commands import profile as commands
    from assent.report.profile import write_page

    place = commands.Place(folder, store, (), tuple(settings or ()))
    said = ""
    for said in commands.publish(place, name, start=run, today=datetime.date.today()):
        typer.echo(safe(said))
    typer.echo(write_page(folder, name))
    if said != "published":
        raise typer.Exit(1)


@app.command()
def show(name: Name, folder: Folder = PROFILES) -> None:
    """Write the passport's page again: evidence, permutation test, wins, what others lose, safety floor, expiry."""
    from assent.report.profile import write_page

    typer.echo(write_page(folder, name))
