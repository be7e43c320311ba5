"""The commands on what runs made: `assent chat`, `assent serve`, `assent report`, `assent lineage`, `assent export`."""

from __future__ import annotations

import contextlib
import datetime
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from assent.artifacts.layout import RUNS
from assent.cli.options import asked

Profiles = Annotated[Path, typer.Option("--profiles", help="Folder of the profiles.")]
ExportOf = Annotated[
    str | None, typer.Argument(help="runs/x/round-2, runs/x/round-2/reward, or the folder of an artifact.")
]
ExportTo = Annotated[
    Path | None, typer.Option("--to", help="Folder to write; it must not exist or be empty.", show_default=False)
]
Push = Annotated[
    str | None,
    typer.Option(
        "--push",
        metavar="OWNER/NAME",
        help="Upload it to the hub as this repository, private if it is new. Asks first; wants a token with write"
        " rights in HF_TOKEN, or a login of the hub's own tool.",
    ),
]
Public = Annotated[bool, typer.Option("--public", help="A repository that --push makes may be read by all.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask before --push uploads.")]
AdapterOnly = Annotated[
    bool,
    typer.Option(
        "--adapter", help="The PEFT adapter instead of merged weights, on the base that the run began with (LoRA)."
    ),
]
BaseName = Annotated[
    str | None,
    typer.Option(
        "--base",
        metavar="NAME",
        help="With --adapter: the name under which others find its base, a hub id or a folder. Without it the one that"
        " the settings say, which may be a folder that is only here.",
    ),
]
Dtype = Annotated[
    str,
    typer.Option(
        metavar="TYPE",
        help="float32, bfloat16, float16, or base: the type that the weights of the run's base have on disk. The"
        " card says what rounding did. An adapter stays as it was trained unless another type is named.",
    ),
]
ExportProfile = Annotated[
    str | None,
    typer.Option(
        "--profile", help="Instead of an artifact: a published profile; its adapter lies on its parent's policy."
    ),
]
PROFILES = Path("profiles")


def chat(
    policy: Annotated[
        str | None, typer.Argument(help="runs/x/round-2, an artifact, a run, a model folder, or a hub id.")
    ] = None,
    against: Annotated[str | None, typer.Option(help="A second policy that answers beside it.")] = None,
    temperature: Annotated[float, typer.Option(help="0 takes the likeliest token.")] = 0.7,
    max_new_tokens: Annotated[int, typer.Option(help="Longest answer in tokens.")] = 256,
    seed: Annotated[int, typer.Option(help="Seed of the sampling.")] = 0,
    best_of: Annotated[
        int, typer.Option("--best-of", min=1, help="Draw so many answers and give the one that --reward scores best.")
    ] = 1,
    reward: Annotated[
        str | None,
        typer.Option(
            "--reward",
            metavar="PATH",
            help="The reward model of --best-of. Default: the round's, POLICY/reward.",
        ),
    ] = None,
    profile: Annotated[
        str | None, typer.Option("--profile", help="Instead of a policy: a published profile, with its principles.")
    ] = None,
    profiles: Profiles = PROFILES,
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
    from assent.core.errors import UserError
    from assent.core.layers import parse, sets, written
    from assent.service.chat import ChatConfig, chat_loop

    _refuse_both(policy, profile, "chat")
    _say_passed_over(policy, against)
    if (best_of > 1 and profile is not None) or (reward is not None and best_of == 1):
        raise UserError("--reward belongs to --best-of N with N above 1, and both to a policy, not to a --profile")
    drawn = {"temperature": temperature, "max_new_tokens": max_new_tokens}
    chat_config = parse(ChatConfig, [written("assent chat", {"sampling": drawn}), *sets(settings or ())])
    if best_of > 1 and policy is not None:
        from assent.service.chat import best_of_writer

        chooser = best_of_writer(policy, chat_config.model, n=best_of, reward=reward)
        chat_loop(chooser, chat_config, against=against, seed=seed)
    elif profile is not None:
        from assent.pipeline.profile_use import ProfilePolicy

        meant = ProfilePolicy.of(profiles, profile, today=datetime.date.today())
        chat_loop(meant.writer(chat_config.model, name=profile), chat_config, against=against, seed=seed)
    elif policy is not None:
        chat_loop(policy, chat_config, against=against, seed=seed)


def serve(
    policies: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME=]POLICY...",
            help="runs/x/round-2, an artifact, a model folder, or a hub id. Several may be given.",
        ),
    ] = None,
    reward: Annotated[
        list[str] | None,
        typer.Option(metavar="[NAME=]PATH", help="A reward model for /score, e.g. runs/x/round-1/reward. Repeatable."),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; any but this machine's own wants a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)] = 8001,
    base_url: Annotated[
        str | None, typer.Option(help="How it is reached through a proxy, e.g. https://models.example.org.")
    ] = None,
    token_env: Annotated[
        str | None, typer.Option(metavar="NAME", help="Environment variable that holds the token callers must send.")
    ] = None,
    token_file: Annotated[
        Path, typer.Option(help="Where a token is written that had to be made, readable by you alone.")
    ] = Path("serve-token.txt"),
    waiting: Annotated[int, typer.Option(help="Requests that may wait; others get 503.", min=1, max=300)] = 64,
    profiles: Annotated[
        Path | None,
        typer.Option(
            "--profiles",
            help="Folder of profiles: each that is published is asked as NAME:PROFILE, the base loaded once.",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="How models are loaded, e.g. --set dtype=bfloat16. Repeatable."
        ),
    ] = None,
) -> None:
    """Serve policies and reward models to evaluation tools, over the HTTP interface that OpenAI's clients speak.

    For evaluation; for production export and use an inference server. Ctrl-C ends.
    """
    from assent.service.endpoint.start import EndpointOptions, serve_models
    from assent.service.serve import ServerAddress

    options = EndpointOptions(
        policies=tuple(policies or ()),
        rewards=tuple(reward or ()),
        at=ServerAddress(host, port, base_url),
        token_env=token_env,
        token_file=token_file,
        waiting=waiting,
        settings=tuple(settings or ()),
        profiles=profiles,
    )
    serve_models(options, say=typer.echo)


def report(
    folder: Annotated[Path, typer.Argument(help="Folder of a run, or of runs: then the newest.")] = RUNS,
) -> None:
    """Write a finished run's report.html again from its artifacts and say where it is."""
    from assent.report.run import report_of

    typer.echo(report_of(folder))


def lineage(
    artifact: Annotated[
        str,
        typer.Argument(
            help="runs/x/round-1, runs/x/round-1/reward, the folder of an artifact, or of an exported model."
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Everything, settings included, as JSON.")] = False,
) -> None:
    """Show what an artifact was made from, back to data files and judgments."""
    from assent.artifacts.find import find_artifact, store_at
    from assent.artifacts.lineage import LINEAGE, as_dict, read_lineage, render
    from assent.artifacts.lineage import lineage as walk

    if (Path(artifact) / LINEAGE).is_file():
        root = read_lineage(Path(artifact) / LINEAGE)
    else:
        found = find_artifact(artifact)
        root = walk(found, store_at(found.folder.parent))
    typer.echo(json.dumps(as_dict(root), indent=2, ensure_ascii=False) if as_json else render(root))


def export(
    artifact: ExportOf = None,
    to: ExportTo = None,
    push: Push = None,
    public: Public = False,
    yes: Yes = False,
    adapter: AdapterOnly = False,
    base: BaseName = None,
    dtype: Dtype = "base",
    profile: ExportProfile = None,
    profiles: Profiles = PROFILES,
) -> None:
    """Copy a model out as a plain Hugging Face folder (safetensors, tokenizer), with lineage.json and a README.md.

    With --push it goes to the hub, and without --to nowhere else. Its generation_config.json lists every token at which
    the run stopped sampling: plain transformers stops there too.
    """
    from assent.core.errors import UserError
    from assent.pipeline.commands.push import Hub, Target

    _refuse_both(artifact, profile, "export")
    _say_passed_over(artifact)
    if to is None and push is None:
        raise UserError("assent export wants --to FOLDER, or --push OWNER/NAME, or both")
    if push is None:
        if public or yes:
            raise UserError("--public and --yes belong to --push OWNER/NAME; leave them out, or name where to push")
        called = None
    else:
        target = Target.of(push, is_public=public)
        hub = Hub.open(target)  # before anything is written for nothing
        called = target.name

    def write(folder: Path) -> Iterator[str]:
        if profile is not None:
            from assent.pipeline.profile_use import export_profile

            today = datetime.date.today()
            return export_profile(profiles, profile, folder, adapter=adapter, dtype=dtype, base=base, today=today)
        from assent.pipeline.commands.export import export_model

        return export_model(str(artifact), folder, adapter=adapter, dtype=dtype, base=base, called=called)

    with contextlib.ExitStack() as stack:
        folder = to or Path(stack.enter_context(tempfile.TemporaryDirectory())) / "model"
        for line in write(folder):
            if to is not None or line.startswith("warning"):
                typer.echo(line)
        if push is not None:
            typer.echo(hub.question(folder))
            if not yes and not asked("push it?"):
                raise UserError("nothing was pushed; say y to the question, or --yes")
            typer.echo(hub.push(folder))


def _refuse_both(named: str | None, profile: str | None, command: str) -> None:
    """Raise UserError unless a model or a profile is named, and not both."""
    from assent.core.errors import UserError

    if (named is None) == (profile is None):
        raise UserError(f"assent {command} wants a model, such as runs/x/round-2, or --profile NAME; not both")


def _say_passed_over(*names: str | None) -> None:
    """On stderr, where a run's name means an older policy because newer ones did not pass their gate."""
    from assent.artifacts.find import passed_over

    for name in names:
        if name is not None and (line := passed_over(name)) is not None:
            typer.echo(line, err=True)
