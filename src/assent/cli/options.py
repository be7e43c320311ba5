"""Options that several commands share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

PATHS = (
    "Relative paths in the YAML (data, models, store, template) are taken from the YAML's own folder, also those of"
    " --with and --set. Everything a run makes goes to runs/NAME below the current folder."
)
ConfigArgument = Annotated[Path, typer.Argument(help="The YAML of the run.", show_default=True)]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Change one setting, e.g. --set optimize.kl.coefficient=0.1. Repeatable."
    ),
]
RunName = Annotated[
    str | None,
    typer.Option(
        "--name", metavar="NAME", help="Run as runs/NAME, whatever the YAML says. Runs share what they have in common."
    ),
]
Overlays = Annotated[
    list[Path] | None,
    typer.Option("--with", metavar="FILE", help="Lay another YAML over the first. Repeatable."),
]
Format = Annotated[str, typer.Option(help="Format of the files; auto looks at the columns.")]


def with_name(settings: list[str] | None, name: str | None) -> tuple[str, ...]:
    """The settings with the name of the run, where one is given."""
    return (*(settings or ()), *(() if name is None else (f"name={json.dumps(name)}",)))
