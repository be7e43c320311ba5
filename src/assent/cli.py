"""The command `assent`: every command loads only what it needs, and every error is one line and an exit code."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import assent
from assent import cli_feedback
from assent.core.errors import AssentError

if TYPE_CHECKING:
    from assent.service.waiting import Waiter

app = typer.Typer(
    name="assent",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Align a language model with the people who use it: SFT, rankings, reward model, PPO or DPO, blind evaluation,"
    " next round.\n\nStart with [bold]assent init my-project[/bold], which holds a small example that runs as it is."
    "\n\nExit codes: 0 done; 1 the run failed; 2 something you gave cannot be used; 3 people have to rate first;"
    " 130 stopped by Ctrl-C.",
)
data_app = typer.Typer(no_args_is_help=True, help="Look at data before training on it.")
app.add_typer(data_app, name="data")
app.add_typer(cli_feedback.app, name="feedback")

PATHS = (
    "Relative paths in the YAML (data, models, store, template) are taken from the YAML's own folder, also those of"
    " --with and --set. Everything a run makes goes to runs/NAME below the current folder."
)
STOPPED = 130
"""Exit code after Ctrl-C."""
ConfigArgument = Annotated[Path, typer.Argument(help="The YAML of the run.", show_default=True)]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Change one setting, e.g. --set optimize.kl.coefficient=0.1. Repeatable."
    ),
]
Overlays = Annotated[
    list[Path] | None,
    typer.Option("--with", metavar="FILE", help="Lay another YAML over the first. Repeatable."),
]


@app.command(epilog=PATHS)
def run(
    config: ConfigArgument = Path("assent.yaml"),
    settings: Settings = None,
    overlays: Overlays = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what would run and what is done already; run nothing.")
    ] = False,
    skip_bad: Annotated[
        bool,
        typer.Option(
            "--skip-bad",
            help="Put rows of data that cannot be used into quarantine.jsonl of the artifact and count them, instead of"
            " stopping at the first. As if every source said skip_bad: true.",
        ),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bars.")] = False,
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
    from assent.pipeline.run import plan_project, run_folder, run_project

    given = (config, tuple(overlays or ()), tuple(settings or ()))
    if plan:
        for line in plan_project(*given, skip_bad=skip_bad):
            typer.echo(line)
        return
    with contextlib.ExitStack() as pages:
        waits = pages.enter_context(_waiter(given, host, port)).wait if wait else None
        for line in run_project(*given, quiet=quiet, skip_bad=skip_bad, wait=waits):
            typer.echo(line)
    from assent.report.run import report_of

    typer.echo(report_of(run_folder(*given)))


@app.command(epilog=PATHS)
def rate(
    config: ConfigArgument = Path("assent.yaml"),
    store: Annotated[
        str | None, typer.Option(help="The store instead of the YAML's: sqlite:///file, postgresql://…, or a file.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all networks.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)] = 8000,
    base_url: Annotated[
        str | None,
        typer.Option(help="How people reach the service through a proxy, e.g. https://rate.example.org; for links."),
    ] = None,
    workers: Annotated[int, typer.Option(help="Server processes.", min=1, max=64)] = 1,
    from_: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="PATH",
            help="Make tasks of the samples of a run (runs/x/round-1) or of a JSONL file of {prompt, answers}."
            " Repeatable.",
        ),
    ] = None,
    project: Annotated[
        str | None, typer.Option(help="Project for the tasks of --from and --sample. Default: default.")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=PATH", help="A model that raters can chat with, blind. Repeatable."),
    ] = None,
    sample: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Make tasks of this model's answers to --prompts, at once.")
    ] = None,
    prompts: Annotated[Path | None, typer.Option(help="File of prompts for --sample.")] = None,
    answers: Annotated[int, typer.Option(help="Answers to each prompt of --sample.", min=2, max=9)] = 4,
    new_admin_link: Annotated[
        bool, typer.Option("--new-admin-link", help="Print a new one-time link for the admin.")
    ] = False,
) -> None:
    """Serve the rating pages: people rank answers in the browser, judgments go into the project's store.

    The first start prints a one-time link for the admin, who invites others. Ctrl-C ends; nothing is lost.
    """
    from assent.service.serve import Place, ServeOptions, draw_of, serve, store_of

    options = ServeOptions(
        place=Place(host, port, base_url),
        workers=workers,
        sources=tuple(from_ or ()),
        project=project,
        models=tuple(model or ()),
        draw=draw_of(sample, prompts, project=project, answers=answers),
        new_admin_link=new_admin_link,
    )
    serve(store_of(config, store), options, say=typer.echo)


@app.command()
def init(folder: Annotated[Path, typer.Argument(help="Folder to make; it must not exist or be empty.")]) -> None:
    """Make a project folder: a commented assent.yaml, data/ with examples, and a place for judgments."""
    from assent.pipeline.commands.project import make_project

    for line in make_project(folder):
        typer.echo(line)


@app.command(name="import")
def import_(
    files: Annotated[list[Path], typer.Argument(help="Files of rankings or pairs: JSONL, JSON or Parquet.")],
    config: Annotated[Path, typer.Option("--config", help="The YAML of the project.")] = Path("assent.yaml"),
    format: Annotated[str, typer.Option(help="Format of the files; auto looks at the columns.")] = "auto",
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Put bad rows into quarantine.jsonl beside the YAML and go on.")
    ] = False,
) -> None:
    """Import rankings that people have given already into the project's store.

    Reads HH-RLHF, TRL preferences, UltraFeedback, OpenAssistant, plain rankings and Assent's own format.

    All files or none; importing the same judgments again adds nothing. `assent run` then learns from them.
    """
    from assent.pipeline.commands.project import import_files

    for line in import_files(config, files, format=format, skip_bad=skip_bad):
        typer.echo(line)


@app.command()
def chat(
    policy: Annotated[str, typer.Argument(help="runs/x/round-2, an artifact, a run, a model folder, or a hub id.")],
    against: Annotated[str | None, typer.Option(help="A second policy that answers beside it.")] = None,
    temperature: Annotated[float, typer.Option(help="0 takes the likeliest token.")] = 0.7,
    max_new_tokens: Annotated[int, typer.Option(help="Longest answer in tokens.")] = 256,
    seed: Annotated[int, typer.Option(help="Seed of the sampling.")] = 0,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="More on loading or sampling, e.g. --set sampling.top_p=0.9. Repeatable."
        ),
    ] = None,
) -> None:
    """Talk to a policy in the terminal, or to two side by side. /new starts over, /quit or Ctrl-D ends.

    Messages may also come through a pipe, a line each. runs/x/round-0 is what the first round started from.
    """
    from assent.core.config import overlay, parse_sets
    from assent.service.chat import ChatConfig, chat_loop

    drawn = {"temperature": temperature, "max_new_tokens": max_new_tokens}
    chat_config = ChatConfig.parse(overlay({"sampling": drawn}, parse_sets(settings or ())), where="assent chat")
    chat_loop(policy, chat_config, against=against, seed=seed)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="Folder of a run, or of runs: then the newest.")] = Path("runs"),
) -> None:
    """Write a finished run's report.html again from its artifacts and say where it is."""
    from assent.report.run import report_of

    typer.echo(report_of(folder))


@app.command()
def lineage(
    artifact: Annotated[str, typer.Argument(help="Folder of an artifact, runs/x/round-1, or runs/x/round-1/reward.")],
    as_json: Annotated[bool, typer.Option("--json", help="Everything, settings included, as JSON.")] = False,
) -> None:
    """Show what an artifact was made from, back to data files and judgments."""
    from assent.artifacts.find import find_artifact, store_at
    from assent.artifacts.lineage import as_dict, render
    from assent.artifacts.lineage import lineage as walk

    found = find_artifact(artifact)
    root = walk(found, store_at(found.folder.parent))
    typer.echo(json.dumps(as_dict(root), indent=2, ensure_ascii=False) if as_json else render(root))


@app.command()
def export(
    artifact: Annotated[
        str, typer.Argument(help="runs/x/round-2, runs/x/round-2/reward, or the folder of an artifact.")
    ],
    to: Annotated[Path, typer.Option("--to", help="Folder to write; it must not exist or be empty.")],
    adapter: Annotated[
        bool, typer.Option("--adapter", help="The PEFT adapter instead of merged weights (LoRA runs).")
    ] = False,
) -> None:
    """Copy a model out as a plain Hugging Face folder (safetensors, tokenizer), with lineage.json and MODEL_CARD.md."""
    from assent.pipeline.commands.export import export_model

    for line in export_model(artifact, to, adapter=adapter):
        typer.echo(line)


@app.command(epilog=PATHS)
def doctor(
    config: ConfigArgument = Path("assent.yaml"),
    settings: Settings = None,
    overlays: Overlays = None,
) -> None:
    """Check a config, its data, model, template, lengths, store and disk before anything is trained.

    Every finding says what to do. Ends with exit code 2 where a run would fail.
    """
    from assent.pipeline.doctor.examine import examine, summary

    findings = examine(config, tuple(overlays or ()), tuple(settings or ()))
    for finding in findings:
        typer.echo(str(finding))
    typer.echo(summary(findings))
    if any(f.is_error for f in findings):
        raise typer.Exit(2)


@data_app.command()
def inspect(
    files: Annotated[list[str], typer.Argument(help="Files, folders or hub ids.")],
    model: Annotated[str | None, typer.Option(help="Also count tokens with this model's tokenizer.")] = None,
    format: Annotated[str, typer.Option(help="Format of the files; auto looks at the columns.")] = "auto",
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Count bad rows instead of stopping at the first.")
    ] = False,
) -> None:
    """Counts, lengths, near-duplicates, ties, raters and length bias of data sets, each for itself."""
    from assent.pipeline.commands.project import inspect_files

    for line in inspect_files(files, model=model, format=format, skip_bad=skip_bad):
        typer.echo(line)


def _waiter(given: tuple[Path, tuple[Path, ...], tuple[str, ...]], host: str, port: int) -> Waiter:
    """What `assent run --wait` waits with."""
    from assent.pipeline.places import open_project
    from assent.service.serve import Place
    from assent.service.waiting import Waiter

    return Waiter(open_project(*given).config.store.located(Path()), Place(host, port), typer.echo)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(assent.__version__)


def main() -> None:
    """Run the command; errors raised on purpose become one line on stderr and their exit code."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        app(prog_name="assent")
    except AssentError as error:
        typer.secho(f"assent: {error}", err=True, fg="red" if sys.stderr.isatty() else None)
        raise SystemExit(error.exit_code) from None
    except SystemExit as end:
        if end.code == STOPPED:
            typer.echo("assent: stopped; run the same command again to go on", err=True)
        raise


if __name__ == "__main__":
    main()
