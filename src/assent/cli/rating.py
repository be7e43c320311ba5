"""The command `assent rate`: the pages on which people judge."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from assent.artifacts.layout import PROJECT
from assent.cli.options import ConfigArgument

Proxies = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ADDRESS",
        help="Address or network of a proxy on another machine that says for whom it asks (X-Forwarded-For)."
        " Repeatable; proxies on this machine are trusted.",
    ),
]
Replace = Annotated[
    bool,
    typer.Option(
        "--replace",
        help="Known ids in a file of --from get the content of the file: in place, or, where somebody has judged them,"
        " as a task with an id of its own.",
    ),
]
WaysIn = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="A YAML with a sign-in provider (OpenID Connect), a mail server, or both: ways in besides passwords.",
    ),
]
Sources = Annotated[
    list[str] | None,
    typer.Option(
        "--from",
        metavar="PATH",
        help="Make tasks of the samples of a run (runs/x/round-1) or of a JSONL file of {prompt, answers}. Repeatable.",
    ),
]


def rate(
    config: ConfigArgument = PROJECT,
    store: Annotated[
        str | None, typer.Option(help="The store instead of the YAML's: sqlite:///file, postgresql://…, or a file.")
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 for all networks of this machine.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)] = 8000,
    base_url: Annotated[
        str | None, typer.Option(help="How people reach the service through a proxy, e.g. https://rate.example.org.")
    ] = None,
    trusted_proxy: Proxies = None,
    sign_in: WaysIn = None,
    workers: Annotated[int, typer.Option(help="Server processes.", min=1, max=64)] = 1,
    from_: Sources = None,
    replace: Replace = False,
    project: Annotated[
        str | None,
        typer.Option(
            help="Project for the tasks of --from and --sample. Default: that of the run whose samples --from names,"
            " for others one called default."
        ),
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
    new: Annotated[bool, typer.Option("--new", help="Make the store where there is none.")] = False,
    new_admin_link: Annotated[
        bool, typer.Option("--new-admin-link", help="Print a new one-time link for the admin.")
    ] = False,
) -> None:
    """Serve the rating pages: people rank answers in the browser, judgments go into the project's store.

    A store that is not there is made for a project (its YAML is there) or with --new, and not by a typing error. The
    first start prints a one-time link for the admin, who invites others. Ctrl-C ends; nothing is lost.
    """
    from assent.service.serve import ServeOptions, ServerAddress, draw_of, networks, refuse_mistaken, serve, store_of

    refuse_mistaken(config, store, makes_new=new)
    options = ServeOptions(
        at=ServerAddress(host, port, base_url, networks(trusted_proxy or ())),
        workers=workers,
        sources=tuple(from_ or ()),
        is_replacing=replace,
        project=project,
        models=tuple(model or ()),
        draw=draw_of(sample, prompts, project=project, answers=answers),
        new_admin_link=new_admin_link,
        sign_in=sign_in,
        draws_code=sys.stdout.isatty(),
    )
    serve(store_of(config, store), options, say=typer.echo)
