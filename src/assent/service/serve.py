"""`assent rate`: the rating service on a store, by one process or several, and the lines that say where it is."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from assent.artifacts.layout import PROJECT
from assent.core.errors import UserError
from assent.core.files import is_open_to_others
from assent.feedback.config import SQLITE, StoreConfig, without_password
from assent.feedback.records.queue import Queue
from assent.feedback.store import Store
from assent.feedback.terminal import note
from assent.service.answering import Draw, Drawing
from assent.service.heeding import heeding
from assent.service.intake import DEFAULT, ensure_project, take_in
from assent.service.patience import Impatient
from assent.service.reach import EVERYWHERE, own_addresses, terminal_code
from assent.service.speakers import refuse_missing, speakers
from assent.web.app import BASE_URL, SIGN_IN, STORE, create_app, sign_in_of_environment
from assent.web.entry.config import SignInConfig, read_sign_in
from assent.web.provider import CALLBACK

MODELS = "ASSENT_MODELS"
"""Environment variable of the models to talk to, one NAME=PATH a line."""
ON_THIS_MACHINE = ("127.0.0.1", "::1")
MOST_AT_ONCE = 400
"""Connections that a server process holds; a buffering proxy in front keeps slow ones away from it."""
LOCAL = {"127.0.0.1", "localhost", "::1"}
APP = "assent.service.serve:from_environment"
_GRACE = 10  # seconds that requests in progress get to finish


@dataclass(frozen=True)
class ServerAddress:
    """Where a service listens, and how it is reached from outside (None: as it listens)."""

    host: str = "127.0.0.1"
    port: int = 8000
    base_url: str | None = None
    trusted_proxies: tuple[str, ...] = ()
    """Addresses and networks of proxies that say for whom they ask, beside those on this machine."""


@dataclass(frozen=True)
class ServeOptions:
    """What `assent rate` was asked for."""

    at: ServerAddress = field(default_factory=ServerAddress)
    workers: int = 1
    sources: tuple[str, ...] = ()
    """Samples of runs and files that become tasks."""
    is_replacing: bool = False
    """Whether known tasks of those files are replaced where their content is another."""
    project: str | None = None
    models: tuple[str, ...] = ()
    """NAME=PATH of models that raters can talk to."""
    draw: Draw | None = None
    new_admin_link: bool = False
    command: str = "rate"
    """The command that serves, as the security log names it."""
    sign_in: Path | None = None
    """The YAML of ways to sign in beside passwords."""
    draws_code: bool = False
    """Draw a QR code of the address for people in the same network; for a terminal."""


def store_of(config: Path, url: str | None) -> str:
    """The store's URL: the one given, else that of the YAML, else feedback.db here. Raises UserError."""
    if url is not None:
        return url if "://" in url else StoreConfig(url=SQLITE + url).located(Path())
    if config.is_file():
        from assent.pipeline.places import open_project

        return open_project(config).config.store.located(Path())
    if config != PROJECT:
        raise UserError(f"{config} is not there; name the YAML of a project, or the store with --store")
    return StoreConfig().located(Path())


def refuse_mistaken(config: Path, url: str | None, *, makes_new: bool) -> None:
    """Raise UserError where serving would make a store that nobody asked for, in a wrong folder or under a wrong name.

    The store of a project, whose YAML is there, may be made.
    """
    store = StoreConfig(url=store_of(config, url))
    if makes_new or store.exists or (url is None and config.is_file()):
        return
    if url is not None:
        raise UserError(f"there is no store {store.file}; correct --store, or say --new to make it")
    raise UserError(
        f"there is no {PROJECT} in this folder and no feedback.db; go to the folder of the project, name its YAML or"
        " its --store, or say --new to make a store here"
    )


def draw_of(model: str | None, prompts: Path | None, *, project: str | None, answers: int) -> Draw | None:
    """What --sample and --prompts ask for. Raises UserError where one is there without the other."""
    if model is None and prompts is None:
        return None
    if model is None or prompts is None:
        raise UserError("--sample MODEL and --prompts FILE belong together; give both")
    return Draw(model, prompts, project or DEFAULT, answers)


def serve(store_url: str, options: ServeOptions, *, say: Callable[[str], None]) -> None:
    """Serve until Ctrl-C. Raises UserError for what cannot be used, before anything listens."""
    sign_in = SignInConfig() if options.sign_in is None else read_sign_in(options.sign_in)
    refuse_missing(speakers(options.models))  # before anything is made, and not by a worker
    listener = listen(options.at)
    with contextlib.ExitStack() as stack:
        is_stopped = stack.enter_context(heeding())
        stack.enter_context(contextlib.closing(listener))
        base_url = address(options.at, listener)
        if sign_in.provider is not None:
            say(f"the sign-in provider must know this address: {base_url}{CALLBACK}")
        with Store.open(store_url) as store:
            for line in prepare(store, options, base_url):
                say(line)
        for line in in_the_network(options, base_url, listener):
            say(line)
        if options.draw is not None:
            stack.enter_context(Drawing(store_url, options.draw, say=say))
        for warning in (*warnings(options.at), *open_files(store_url)):
            say(warning)
        say(f"judgments go to {without_password(store_url)}; Ctrl-C ends, and nothing is lost")
        run(store_url, options, base_url, listener, is_stopped)
    say("stopped")


def prepare(store: Store, options: ServeOptions, base_url: str) -> Iterator[str]:
    """Take in what was named, then say where to rate and, on the first start, how to sign in."""
    now = time.time()
    note(store.events, options.command, about="serves")
    for source in options.sources:
        taken = take_in(store, source, project=options.project, now=now, is_replacing=options.is_replacing)
        note(store.events, options.command, about=f"tasks {taken.new}", project=taken.project)
        yield str(taken)
    if not store.projects.all():
        ensure_project(store, options.project or DEFAULT, now=now)
    yield from where_to_rate(store, base_url)
    accounts = store.accounts
    token = accounts.admin_link(now=now) if options.new_admin_link else accounts.first_admin(now=now)
    if token is not None:
        note(store.events, options.command, about="admin link")
        yield f"sign in as admin, once within 24 hours: {base_url}/enter/{token}"
    else:
        yield "for a new one-time link of the admin end this and start it with --new-admin-link"


def where_to_rate(store: Store, base_url: str) -> Iterator[str]:
    """A line for the service, and one for each queue of an open project in which tasks wait."""
    yield f"rating at {base_url}/"
    waiting: list[str] = []
    for project in store.projects.all():
        if not project.settings.is_open or project.archived_at is not None:
            continue
        for queue in (Queue(project.name, "reward"), Queue(project.name, "evaluation")):
            counts = store.counts(queue)
            if counts.need > counts.have:
                title = f"{project.settings.title}: " if project.settings.title else ""
                waiting.append(f"  {base_url}{queue.page}  {title}{counts.have} of {counts.need} judgments are in")
    shown = 10
    yield from waiting[:shown]
    if len(waiting) > shown:
        yield f"  and {len(waiting) - shown} more queues, see the start page"


def in_the_network(options: ServeOptions, base_url: str, listener: socket.socket) -> Iterator[str]:
    """What helps people in the same network to find a service that listens on all of them."""
    at = options.at
    if at.host not in EVERYWHERE or at.base_url is not None:
        return
    found = own_addresses(at.host)
    if not found:
        yield "warning: this machine is in no network, so links lead to itself; say --base-url where others reach it"
        return
    for other in found[1:]:
        yield f"also at {_url(other, listener)}/"
    if options.draws_code:
        yield terminal_code(base_url + "/")


def warnings(at: ServerAddress) -> Iterator[str]:
    """What is unsafe about an address."""
    if at.host in LOCAL:
        return
    if not (at.base_url or "").startswith("https://"):
        yield (
            f"warning: {at.host} is reachable from other machines without encryption, so passwords and sessions can"
            " be read on the way; put a TLS proxy in front and say --base-url https://…"
        )
        return
    yield (
        f"warning: {at.host}:{at.port} answers without encryption beside {at.base_url}, so links and API tokens sent"
        " there can be read on the way; close the port to all but the proxy, or leave --host out if it is here"
    )
    if not at.trusted_proxies:
        yield (
            "warning: no --trusted-proxy is named, so everybody who comes through a proxy on another machine counts as"
            " one address, and sixty wrong passwords of anybody keep all others out for a quarter of an hour"
        )


def open_files(store_url: str) -> Iterator[str]:
    """A warning where other users of the machine may read the store."""
    file = StoreConfig(url=store_url).file
    if file is not None and is_open_to_others(file):
        yield f"warning: other users of this machine may read {file} with all it says of people; chmod 600 {file}*"


def listen(at: ServerAddress) -> socket.socket:
    """A bound socket. Raises UserError where the port is taken or the host is not ours."""
    family = socket.AF_INET6 if ":" in at.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((at.host, at.port))
    except (OSError, OverflowError) as problem:
        listener.close()
        raise UserError(f"cannot listen on {at.host}:{at.port} ({problem}); choose another --port or --host") from None
    listener.set_inheritable(True)
    return listener


def networks(named: Sequence[str]) -> tuple[str, ...]:
    """Addresses and networks of proxies as the server takes them. Raises UserError for what is neither."""
    for one in named:
        try:
            ipaddress.ip_network(one)
        except ValueError as problem:
            raise UserError(
                f"--trusted-proxy {one!r} is no address or network ({problem}); write 10.0.0.7 or 10.0.0.0/24"
            ) from None
    return tuple(named)


def address(at: ServerAddress, listener: socket.socket) -> str:
    """How the service is reached. Raises UserError for a base URL that is none."""
    if at.base_url is not None:
        if not re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", at.base_url):
            raise UserError(f"--base-url {at.base_url!r} is no address; write https://rate.example.org")
        return at.base_url.rstrip("/")
    if at.host in EVERYWHERE:
        return _url(next(iter(own_addresses(at.host)), "::1" if at.host == "::" else "127.0.0.1"), listener)
    return _url(at.host, listener)


def run(
    store_url: str, options: ServeOptions, base_url: str, listener: socket.socket, is_stopped: Callable[[], bool]
) -> None:
    """Run the server processes until they are asked to stop, as they may have been already."""
    environment = {STORE: store_url, BASE_URL: base_url, MODELS: "\n".join(options.models)}
    environment[SIGN_IN] = "" if options.sign_in is None else str(options.sign_in.absolute())
    os.environ.update(environment)  # only this user's processes can read it
    with contextlib.suppress(KeyboardInterrupt):
        if options.workers == 1:
            server = _Server(uvicorn.Config(from_environment(), **_settings(options.at)))
            server.is_stopped = is_stopped
            server.run(sockets=[listener])
        elif not is_stopped():
            uvicorn.run(APP, factory=True, workers=options.workers, fd=listener.fileno(), **_settings(options.at))


def from_environment() -> FastAPI:
    """The service as environment variables say, with the models to talk to; what each worker process runs."""
    models = [line for line in os.environ.get(MODELS, "").splitlines() if line]
    return create_app(
        os.environ[STORE],
        speakers=speakers(models),
        base_url=os.environ.get(BASE_URL) or None,
        sign_in=sign_in_of_environment(),
    )


@contextlib.contextmanager
def served(store_url: str, at: ServerAddress) -> Iterator[str]:
    """The service in a thread of this process while the block runs; gives its address."""
    listener = listen(at)
    base_url = address(at, listener)
    server = uvicorn.Server(uvicorn.Config(create_app(store_url, base_url=base_url), **_settings(at)))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="rating", daemon=True)
    thread.start()
    try:
        yield base_url
    finally:
        server.should_exit = True
        thread.join(timeout=_GRACE + 5)
        listener.close()


class _Server(uvicorn.Server):
    """uvicorn's, which looks once more whether it is to stop when signals have come to be its own."""

    is_stopped: Callable[[], bool]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, unless Ctrl-C came before."""
        if self.is_stopped():
            self.should_exit = True
            return
        await super().startup(sockets)


def _url(host: str, listener: socket.socket) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"


def _settings(at: ServerAddress) -> dict[str, Any]:
    return {
        "log_level": "warning",
        "access_log": False,
        "server_header": False,
        # Only proxies on this machine and those that are named may say for whom they ask, and only where there is one.
        "proxy_headers": at.base_url is not None or bool(at.trusted_proxies),
        "forwarded_allow_ips": ",".join((*ON_THIS_MACHINE, *at.trusted_proxies)),
        # Requests at once: beyond it 503 is answered, so that a thousand slow clients do not end the process.
        "limit_concurrency": MOST_AT_ONCE,
        "http": Impatient,
        "timeout_graceful_shutdown": _GRACE,
    }
