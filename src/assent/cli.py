"""The command `assent`: every command loads only what it needs, and every error is one line and an exit code."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

import assent
from assent.core.errors import AssentError

app = typer.Typer(
    name="assent",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Align a language model with the people who use it: SFT, rankings, reward model, PPO or DPO, blind evaluation,"
    " next round.\n\nStart with [bold]assent init my-project[/bold], or see it all happen with"
    " [bold]assent run --demo[/bold].",
)
data_app = typer.Typer(no_args_is_help=True, help="Look at data before training on it.")
app.add_typer(data_app, name="data")

ConfigArgument = Annotated[Path, typer.Argument(help="The YAML of the run.", show_default=True)]
Settings = Annotated[
    Optional[list[str]],  # noqa: UP045 (typer reads the annotation at run time)
    typer.Option("--set", metavar="KEY=VALUE", help="Change one setting, e.g. --set optimize.kl.coefficient=0.1. Repeatable."),
]
Overlays = Annotated[
    Optional[list[Path]],  # noqa: UP045
    typer.Option("--with", metavar="FILE", help="Lay another YAML over the first. Repeatable."),
]


@app.command()
def run(
    config: ConfigArgument = Path("assent.yaml"),
    settings: Settings = None,
    overlays: Overlays = None,
    plan: Annotated[bool, typer.Option("--plan", help="Say what would run and what is done already; run nothing.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bars.")] = False,
) -> None:
    """Do what is not done yet. The same command resumes a run that was stopped or killed."""
    from assent.pipeline.run import plan_project, run_project

    if plan:
        for line in plan_project(config, tuple(overlays or ()), tuple(settings or ())):
            typer.echo(line)
        return
    for line in run_project(config, tuple(overlays or ()), tuple(settings or ()), quiet=quiet):
        typer.echo(line)


@app.command()
def init(folder: Annotated[Path, typer.Argument(help="Folder to make; it must not exist or be empty.")]) -> None:
    """Make a project folder: a commented assent.yaml, data/ with examples, and a place for judgments."""
    from assent.pipeline.project import make_project

    for line in make_project(folder):
        typer.echo(line)


@app.command(name="import")
def import_(
    files: Annotated[list[Path], typer.Argument(help="Files of rankings or pairs: JSONL or Parquet, any known format.")],
    config: Annotated[Path, typer.Option("--config", help="The YAML of the project.")] = Path("assent.yaml"),
    format: Annotated[str, typer.Option(help="Format of the files; auto looks at the columns.")] = "auto",
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Put bad rows into a quarantine file and go on.")] = False,
) -> None:
    """Import rankings that people have given already into the project's store."""
    from assent.pipeline.project import import_files

    for line in import_files(config, files, format=format, skip_bad=skip_bad):
        typer.echo(line)


@app.command()
def chat(
    policy: Annotated[str, typer.Argument(help="runs/x/round-2, an artifact, a model folder, or a hub id.")],
    against: Annotated[Optional[str], typer.Option(help="A second policy that answers beside it.")] = None,  # noqa: UP045
    temperature: Annotated[float, typer.Option(help="0 takes the likeliest token.")] = 0.7,
    max_new_tokens: Annotated[int, typer.Option(help="Longest answer in tokens.")] = 256,
    seed: Annotated[int, typer.Option(help="Seed of the sampling.")] = 0,
) -> None:
    """Talk to a policy in the terminal; an empty line or Ctrl-D ends, /new starts over."""
    from assent.pipeline.chat import chat_loop

    chat_loop(policy, against=against, temperature=temperature, max_new_tokens=max_new_tokens, seed=seed)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="Folder of a run.")] = Path("runs"),
) -> None:
    """Write the run's report.html again from its artifacts and say where it is."""
    from assent.report.run import report_of

    typer.echo(report_of(folder))


@app.command()
def lineage(
    artifact: Annotated[str, typer.Argument(help="Folder of an artifact, or runs/x/round-1.")],
) -> None:
    """Show what an artifact was made from, back to data files and judgments."""
    from assent.pipeline.find import find_artifact
    from assent.pipeline.lineage import lineage as walk

    for line in walk(find_artifact(artifact)).lines():
        typer.echo(line)


@app.command()
def export(
    artifact: Annotated[str, typer.Argument(help="runs/x/round-2, or a policy or reward artifact.")],
    to: Annotated[Path, typer.Option("--to", help="Folder to write; it must not exist or be empty.")],
    adapter: Annotated[bool, typer.Option("--adapter", help="The PEFT adapter instead of merged weights (LoRA runs).")] = False,
) -> None:
    """Copy a model out as a plain Hugging Face folder (safetensors and tokenizer), with its lineage beside it."""
    from assent.pipeline.export import export_model

    for line in export_model(artifact, to, adapter=adapter):
        typer.echo(line)


@app.command()
def doctor(
    config: ConfigArgument = Path("assent.yaml"),
    settings: Settings = None,
    overlays: Overlays = None,
) -> None:
    """Check a config, its data, model and template before anything is trained."""
    from assent.pipeline.doctor import examine

    findings = examine(config, tuple(overlays or ()), tuple(settings or ()))
    for finding in findings:
        typer.echo(str(finding))
    if any(f.is_error for f in findings):
        raise typer.Exit(2)


@data_app.command()
def inspect(
    files: Annotated[list[str], typer.Argument(help="Files, folders or hub ids.")],
    model: Annotated[Optional[str], typer.Option(help="Also count tokens with this model's tokenizer.")] = None,  # noqa: UP045
    format: Annotated[str, typer.Option(help="Format of the files; auto looks at the columns.")] = "auto",
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Count bad rows instead of stopping at the first.")] = False,
) -> None:
    """Counts, lengths, duplicates, ties, raters, length bias of a data set."""
    from assent.pipeline.project import inspect_files

    for line in inspect_files(files, model=model, format=format, skip_bad=skip_bad):
        typer.echo(line)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(assent.__version__)


def main() -> None:
    """Run the command; errors raised on purpose become one line on stderr and their exit code."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        app()
    except AssentError as error:
        typer.secho(f"assent: {error}", err=True, fg="red" if sys.stderr.isatty() else None)
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        typer.echo("\nassent: stopped; the same command goes on from here", err=True)
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
