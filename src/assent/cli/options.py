"""Options that several commands share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from assent.artifacts.layout import PROJECT

PATHS = (
    "Relative paths in the YAML (data, models, store, template) are taken from the YAML's own folder, also those of"
    " --with and --set. Runs go to runs/ beside assent.yaml; those of a YAML with another name to"
    " runs/ below the current folder."
)


def yaml_of(path: Path) -> Path:
    """The YAML that is meant: of a project's folder, its assent.yaml."""
    return path / PROJECT if (path / PROJECT).is_file() else path


ConfigArgument = Annotated[
    Path,
    typer.Argument(help="The YAML of the run, or a folder with an assent.yaml.", show_default=True, callback=yaml_of),
]
StoreConfig = Annotated[
    Path,
    typer.Option("--config", help="The YAML of the project, whose store is meant, or its folder.", callback=yaml_of),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change one setting, e.g. --set optimize.kl.coefficient=0.1. In lists"
        " data.prompts.0.path=FILE changes the first entry, data.prompts.+.path=FILE appends one. Repeatable.",
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
    typer.Option(
        "--with",
        metavar="FILE",
        help="Lay another YAML over the first: mappings merge, all else (lists too) replaces. Repeatable.",
    ),
]
Format = Annotated[str, typer.Option(help="Format of the files; auto looks at the columns.")]


def asked(question: str) -> bool:
    """Whether a person says yes; without an answer, or without a terminal to ask at, it is no."""
    try:
        return bool(typer.confirm(question, default=False))
    except typer.Abort:
        typer.echo()
        return False


def with_name(settings: list[str] | None, name: str | None) -> tuple[str, ...]:
    """The settings with the name of the run, where one is given."""
    return (*(settings or ()), *(() if name is None else (f"name={json.dumps(name)}",)))
