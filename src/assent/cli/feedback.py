"""The commands `assent feedback …`: judgments out and in as files, snapshots, forgetting a rater, a project."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from assent.artifacts.layout import PROJECT, RUNS
from assent.cli.command import Commands
from assent.cli.options import StoreConfig, asked
from assent.core.terminal import safe

app = Commands(
    no_args_is_help=True,
    help="Take judgments out or bring them in, fix them, forget a rater, archive or delete a project.",
)

StoreUrl = Annotated[
    str | None, typer.Option("--store", help="The store instead: sqlite:///file, postgresql://…, or a file.")
]
ProjectOption = Annotated[
    str | None,
    typer.Option(
        help="Project of the judgments, or a place in a run: first, first/round-1, first/round-1/evaluation. Default:"
        " the only one there is.",
        show_default=False,
    ),
]
PurposeOption = Annotated[
    Literal["reward", "evaluation"], typer.Option("--purpose", help="What the judgments are for.")
]


@app.command()
def projects(config: StoreConfig = PROJECT, store: StoreUrl = None) -> None:
    """List the projects of a store, as --project names them: how much is in, and whether they are open."""
    from assent.pipeline.commands.feedback import list_projects
    from assent.service.serve import store_of

    for line in list_projects(store_of(config, store)):
        typer.echo(safe(line))


@app.command()
def export(
    to: Annotated[Path, typer.Option("--to", help="File to write; its ending says how: .jsonl, .jsonl.gz, .json, …")],
    format: Annotated[
        str,
        typer.Option(
            help="assent (keeps everything), trl, trl_implicit, trl_plain, hh, ultrafeedback, oasst, argilla,"
            " label_studio, csv (for spreadsheets), or edits (as demonstrations)."
        ),
    ] = "assent",
    project: ProjectOption = None,
    purpose: PurposeOption = "reward",
    snapshot: Annotated[
        str | None, typer.Option(help="Name or hash of a snapshot instead of what is there now.")
    ] = None,
    attributes: Annotated[
        bool,
        typer.Option(
            "--attributes", help="With what raters say of themselves, as far as five people share it (assent only)."
        ),
    ] = False,
    config: StoreConfig = PROJECT,
    store: StoreUrl = None,
) -> None:
    """Write everything people said to one file, and say what the format cannot hold: "212 ties dropped".

    What they said in a project, or in all rounds of a run: --project first.
    """
    from assent.pipeline.commands.feedback import StoreQueue, export_feedback
    from assent.service.serve import store_of

    queue = StoreQueue(store_of(config, store), project, purpose)
    for line in export_feedback(queue, to, format=format, snapshot=snapshot, attributes=attributes):
        typer.echo(line)


@app.command(name="import")
def import_(
    files: Annotated[list[Path], typer.Argument(help="Files of rankings or pairs: JSONL, JSON or Parquet.")],
    format: Annotated[str, typer.Option(help="Format of the files; auto looks at the columns.")] = "auto",
    project: Annotated[
        str | None, typer.Option(help="Project to bring them into. Default: imported, which runs learn from.")
    ] = None,
    purpose: PurposeOption = "reward",
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Put bad rows into quarantine.jsonl beside the first file and go on.")
    ] = False,
    config: StoreConfig = PROJECT,
    store: StoreUrl = None,
) -> None:
    """Bring in rankings that exist already, of all files or of none; the same ones again add nothing.

    As `assent import`, which puts them where every run learns from them; here --project and --purpose say where else.
    """
    from assent.pipeline.commands.feedback import StoreQueue, import_feedback
    from assent.service.serve import store_of

    queue = StoreQueue(store_of(config, store), project, purpose)
    for line in import_feedback(queue, files, format=format, skip_bad=skip_bad):
        typer.echo(line)


@app.command()
def work(
    to: Annotated[Path | None, typer.Option("--to", help="CSV file to write. Default: the table is shown.")] = None,
    project: Annotated[str | None, typer.Option(help="Only this project. Default: all.", show_default=False)] = None,
    first: Annotated[str, typer.Option(help="First day, such as 2026-01-01, in the project's time zone.")] = "",
    last: Annotated[str, typer.Option(help="Last day, included.")] = "",
    config: StoreConfig = PROJECT,
    store: StoreUrl = None,
) -> None:
    """A table of everybody's work for pay: judgments, skips and active seconds of each rater in each project."""
    from assent.pipeline.commands.feedback import work_table
    from assent.service.serve import store_of

    for line in work_table(store_of(config, store), project, first=first, last=last, to=to):
        typer.echo(line)


@app.command()
def criteria(
    to: Annotated[Path | None, typer.Option("--to", help="Write everything as JSON too.")] = None,
    project: ProjectOption = None,
    beside: Annotated[
        list[str] | None,
        typer.Option("--beside", help="A project in which programs judged the same answers. Repeatable."),
    ] = None,
    purpose: PurposeOption = "reward",
    config: StoreConfig = PROJECT,
    store: StoreUrl = None,
) -> None:
    """What scores of answers say: means by criterion and model, agreement, and which criteria the choice rewards.

    Where programs scored many answers and people some of them, their means and win rates are corrected by people.
    """
    from assent.pipeline.commands.criteria import criteria_of
    from assent.pipeline.commands.feedback import StoreQueue
    from assent.service.serve import store_of

    asked = StoreQueue(store_of(config, store), project, purpose)
    for line in criteria_of(asked, beside=tuple(beside or ()), to=to):
        typer.echo(safe(line))


@app.command()
def snapshot(
    name: Annotated[str, typer.Argument(help="Name of the snapshot; one that is taken gives the same again.")],
    project: ProjectOption = None,
    purpose: PurposeOption = "reward",
    config: StoreConfig = PROJECT,
    store: StoreUrl = None,
) -> None:
    """Fix what has been said so far under a name, to export or train on later."""
    from assent.pipeline.commands.feedback import StoreQueue, snapshot_feedback
    from assent.service.serve import store_of

    for line in snapshot_feedback(StoreQueue(store_of(config, store), project, purpose), name):
        typer.echo(line)


@app.command()
def erase(
    rater: Annotated[str, typer.Argument(help="Id of the rater, or the login of a person.")],
    remove: Annotated[
        bool, typer.Option("--remove", help="Also delete the artifacts of runs that rest on what they said.")
    ] = False,
    runs: Annotated[Path, typer.Option(help="Folder of the runs to look through.")] = RUNS,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: StoreConfig = PROJECT,
    store: StoreUrl = None,
) -> None:
    """Forget a rater for good and list the snapshots and models that rest on what they said. Asks first.

    Account, attributes and judgments go, a nameless tombstone stays; `assent run` then makes again what depended on it.
    """
    from assent.core.errors import UserError
    from assent.pipeline.commands.feedback import erase_feedback, what_erasing_takes
    from assent.service.serve import store_of

    url = store_of(config, store)
    typer.echo(what_erasing_takes(url, rater, runs=runs))
    if not yes and not asked("erase it all for good?"):
        raise UserError("nothing was erased; say y to the question, or --yes")
    for line in erase_feedback(url, rater, runs=runs, remove_artifacts=remove):
        typer.echo(line)


@app.command()
def archive(
    project: Annotated[str, typer.Argument(help="Name of the project.")],
    back: Annotated[bool, typer.Option("--back", help="Take it out of the archive again.")] = False,
    config: StoreConfig = PROJECT,
    store: StoreUrl = None,
) -> None:
    """Put a project away: hidden from raters and changed by nobody; everything in it stays."""
    from assent.pipeline.commands.feedback import archive_project
    from assent.service.serve import store_of

    for line in archive_project(store_of(config, store), project, is_archived=not back):
        typer.echo(line)


@app.command()
def delete(
    project: Annotated[str, typer.Argument(help="Name of the project, which has to be archived.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: StoreConfig = PROJECT,
    store: StoreUrl = None,
) -> None:
    """Delete an archived project with everything in it, for good: tasks, judgments, decisions, snapshots, …

    Says what would go and asks for the project's name.
    """
    from assent.core.errors import UserError
    from assent.pipeline.commands.feedback import delete_project, project_contents
    from assent.service.serve import store_of

    url = store_of(config, store)
    held = project_contents(url, project)
    typer.echo(f"project {project} holds {held.said()}; all of it goes for good")
    if not yes:
        try:
            again = typer.prompt("type the name of the project to delete it", default="", show_default=False)
        except typer.Abort:
            again = ""
        if again.strip() != project.strip():
            raise UserError(
                f"{again.strip()!r} is not {project!r}, so nothing was deleted; type it again, or say --yes"
            )
    for line in delete_project(url, project):
        typer.echo(line)
