"""Which protections a sandbox really gives here, found by trying, and the sandbox that gives them all."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from assent.checks.code.jails import JAILS, Jail, absence
from assent.checks.code.sandbox import Limits, NoValue, Sandbox
from assent.core.errors import ConfigError, RunError

Isolation = Literal["auto", "bubblewrap", "landlock", "limits_only"]
"""auto: the first of bubblewrap and landlock that holds here. limits_only has to be said: it hides no files."""
_TRIES = """
import os, signal, socket, threading

def connects(port):
    with socket.create_connection(("127.0.0.1", port), timeout=2) as line:
        line.sendall(b"here")
    return True

def writes(path):
    with open(path, "w") as file:
        file.write("here")
    return True

def forks():
    if os.fork() == 0:
        os._exit(0)
    return True

def threads():
    threading.Thread(target=int).start()
    return True

def signals(process):
    os.kill(process, 0)
    return True
"""


@dataclass(frozen=True)
class Protections:
    """What code in a sandbox cannot do, each tried."""

    network: bool
    """Reach a socket that listens on this machine."""
    reading: bool
    """Read a file of the host."""
    writing: bool
    """Make a file of the host."""
    processes: bool
    """Start another process or thread."""
    signals: bool
    """Signal a process of the host."""
    memory: bool
    """Take more memory than its limit."""
    time: bool
    """Compute longer than its limit."""

    @property
    def missing(self) -> tuple[str, ...]:
        """Those that do not hold."""
        return tuple(name for name, holds in asdict(self).items() if not holds)

    def line(self) -> str:
        """In words."""
        held = [name for name, holds in asdict(self).items() if holds]
        return f"held: {', '.join(held) or 'nothing'}" + (f"; NOT held: {', '.join(self.missing)}" * bool(self.missing))


@cache
def protections(jail: Jail) -> Protections:
    """Try everything once; about two seconds. Raises RunError where the sandbox does not start."""
    box = Sandbox(jail, Limits(seconds=1, wall_seconds=20, memory_mb=256))
    with tempfile.TemporaryDirectory() as name, _listening() as (port, heard):
        secret, made = Path(name, "secret"), Path(name, "made")
        secret.write_text("a secret of the host", encoding="utf-8")
        Path(name).chmod(0o777)
        asked = (
            f"connects({port})",
            f"open({str(secret)!r}).read()",
            f"writes({str(made)!r})",
            "forks()",
            "threads()",
            f"signals({os.getpid()})",
            "len(bytearray(2**29))",
        )
        values = box.run(_TRIES, asked).values
        network = values[0] is not True and not heard()
        reading, writing = values[1] != "a secret of the host", not made.exists()
    looping = box.run("while True: pass")
    return Protections(
        network=network,
        reading=reading,
        writing=writing,
        processes=all(isinstance(one, NoValue) for one in values[3:5]),
        signals=isinstance(values[5], NoValue),
        memory=isinstance(values[6], NoValue),
        time=not looping.ran and looping.seconds < box.limits.wall_seconds,
    )


def open_sandbox(isolation: Isolation, limits: Limits) -> Sandbox:
    """A sandbox that was seen to hold. Raises ConfigError where none does and `limits_only` was not said."""
    if isolation == "limits_only":
        return Sandbox("limits_only", limits)
    reasons = []
    for jail in JAILS[:2] if isolation == "auto" else (isolation,):
        wrong = _failure(jail)
        if wrong is None:
            return Sandbox(jail, limits)
        reasons.append(f"{jail}: {wrong}")
    raise ConfigError(
        "a code reward runs what the policy writes, and here nothing keeps that from your files and the network"
        f" ({'; '.join(reasons)}); install bubblewrap (Linux), or say isolation: limits_only where nothing on the"
        " machine is worth protecting"
    )


def _failure(jail: Jail) -> str | None:
    """Why a jail is none here; None where it holds."""
    absent = absence(jail)
    if absent is not None:
        return absent
    try:
        found = protections(jail)
    except (RunError, OSError) as error:
        return str(error)
    return f"does not hold {', '.join(found.missing)}" if found.missing else None


@contextmanager
def _listening() -> Iterator[tuple[int, Callable[[], bool]]]:
    """A port of this machine that listens, and whether anybody came."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)

        def heard() -> bool:
            try:
                server.accept()[0].close()
            except BlockingIOError:
                return False
            return True

        yield server.getsockname()[1], heard
