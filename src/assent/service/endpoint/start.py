"""`assent serve`: open models, listen, say where, and answer until Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from assent.artifacts.find import model_folder
from assent.core import files
from assent.core.errors import UserError
from assent.core.layers import parse, sets, written
from assent.models.config import ModelConfig
from assent.pipeline.backends import Backends, machine
from assent.pipeline.config import ComputeConfig
from assent.service.endpoint.app import Endpoint
from assent.service.endpoint.desk import Desk
from assent.service.endpoint.models import ServedPolicy, ServedReward
from assent.service.endpoint.profiles import with_profiles
from assent.service.patience import Impatient
from assent.service.serve import LOCAL, MOST_AT_ONCE, ServerAddress, address, listen

PURPOSE = (
    "for evaluation: one machine, one batch at a time, no quotas; for production write the model out with"
    " `assent export` and use an inference server"
)
_SHORTEST = 16  # characters of a token that somebody chose
_GRACE = 5  # seconds that requests in progress get to finish


@dataclass(frozen=True)
class EndpointOptions:
    """What `assent serve` was asked for."""

    policies: tuple[str, ...] = ()
    """PATH or NAME=PATH of policies: what `find.model_folder` finds."""
    rewards: tuple[str, ...] = ()
    """PATH or NAME=PATH of reward models."""
    at: ServerAddress = field(default_factory=lambda: ServerAddress(port=8001))
    token_env: str | None = None
    """Name of the environment variable that holds the token."""
    token_file: Path = Path("serve-token.txt")
    """Where a token that is made here is written."""
    waiting: int = 64
    """Requests that may wait."""
    settings: tuple[str, ...] = ()
    """KEY=VALUE texts of how models are loaded."""
    profiles: Path | None = None
    """Folder of profiles, each served as NAME:PROFILE on the policy that it was made for."""

    @property
    def model(self) -> ModelConfig:
        """How models are loaded. Raises ConfigError."""
        return parse(ModelConfig, [written("assent serve", {}), *sets(self.settings)])


def serve_models(options: EndpointOptions, *, say: Callable[[str], None]) -> None:
    """Answer until Ctrl-C. Raises UserError for what cannot be used, before anything listens."""
    token = token_of(options, say)
    with contextlib.closing(listen(options.at)) as listener:
        base_url = address(options.at, listener)
        with opened(options, token) as app:
            say(f"{base_url}/v1 answers as: {', '.join(name for name, _ in named(options.policies)) or 'no policy'}")
            for name, _ in named(options.rewards):
                say(f"{base_url}/score scores with: {name}")
            for line in (*_warnings(options.at), PURPOSE, "Ctrl-C ends"):
                say(line)
            server = uvicorn.Server(uvicorn.Config(app, **_settings()))
            with contextlib.suppress(KeyboardInterrupt):
                server.run(sockets=[listener])
    say("stopped")


@contextlib.contextmanager
def endpoint(options: EndpointOptions, *, token: str | None = None) -> Iterator[str]:
    """The endpoint in a thread of this process while the block runs; gives its address, without /v1."""
    with opened(options, token) as app, listening(app, options.at) as base_url:
        yield base_url


@contextlib.contextmanager
def listening(app: ASGIApp, at: ServerAddress) -> Iterator[str]:
    """An app served by a thread of this process while the block runs; gives its address."""
    with contextlib.closing(listen(at)) as listener:
        listener.listen()  # who asks before the server is up waits for it
        server = uvicorn.Server(uvicorn.Config(app, **_settings()))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="endpoint", daemon=True)
        thread.start()
        try:
            yield address(at, listener)
        finally:
            server.should_exit = True
            thread.join(timeout=_GRACE + 5)


@contextlib.contextmanager
def opened(options: EndpointOptions, token: str | None) -> Iterator[ASGIApp]:
    """The app, with all models loaded and the desk at work. Raises UserError where a name is no model."""
    compute = ComputeConfig()
    backends = Backends(options.model, compute)
    policies: dict[str, ServedPolicy] = {}
    for name, source in named(options.policies):
        policies |= _policies(backends, name, source, options.profiles)
    rewards = {name: _reward(backends, name, source) for name, source in named(options.rewards)}
    if not policies and not rewards:
        raise UserError("nothing to serve; name a policy, or a reward model with --reward")
    with Desk(capacity=options.waiting, within=lambda: machine(compute)) as desk:
        yield Endpoint(policies, rewards, desk, created=int(time.time())).app(token=token)


def named(texts: Sequence[str]) -> list[tuple[str, str]]:
    """(name, source) each, from PATH or NAME=PATH; a path is its own name. Raises UserError for a name given twice."""
    found: dict[str, str] = {}
    for text in texts:
        name, sign, source = text.partition("=")
        if not sign or Path(text).exists():
            name, source = text, text
        if not name.strip() or not source.strip():
            raise UserError(f"{text!r} is neither PATH nor NAME=PATH; write new=runs/x/round-1")
        if name in found:
            raise UserError(f"{name!r} is named twice; give each model its own name, as in new=runs/x/round-1")
        found[name] = source
    return list(found.items())


def token_of(options: EndpointOptions, say: Callable[[str], None]) -> str | None:
    """The token that callers have to send; None on this machine's own addresses where none is asked for.

    Raises UserError where the variable that was named holds none worth the name.
    """
    if options.token_env is not None:
        token = os.environ.get(options.token_env, "").strip()
        if len(token) < _SHORTEST:
            raise UserError(
                f"--token-env {options.token_env}: the variable {'is too short' if token else 'is not set'}; put a"
                f" token of at least {_SHORTEST} characters into it"
            )
        return token
    if options.at.host in LOCAL and options.at.base_url is None:
        return None
    token = secrets.token_urlsafe(32)
    files.write_text(options.token_file, token + "\n", is_private=True)
    say(f"callers need the token in {options.token_file}, which is new at each start and readable by you alone")
    return token


def _policies(backends: Backends, name: str, source: str, profiles: Path | None) -> dict[str, ServedPolicy]:
    """A policy under its name, with its profiles."""
    policy = backends.policy(model_folder(source), trainable=False)
    served = ServedPolicy(name, policy, backends.writer(policy, name=name))
    return {name: served} if profiles is None else with_profiles(served, source, profiles)


def _reward(backends: Backends, name: str, source: str) -> ServedReward:
    return ServedReward(name, backends.scorer(model_folder(source), normalize=True))


def _warnings(at: ServerAddress) -> Iterator[str]:
    if at.host not in LOCAL and not (at.base_url or "").startswith("https://"):
        yield (
            f"warning: {at.host} is reachable from other machines without encryption, so prompts, answers and the"
            " token can be read on the way; put a TLS proxy in front and say --base-url https://…"
        )


def _settings() -> dict[str, Any]:
    return {
        "log_level": "warning",
        "access_log": False,
        "server_header": False,
        "limit_concurrency": MOST_AT_ONCE,
        "http": Impatient,
        "timeout_graceful_shutdown": _GRACE,
    }
