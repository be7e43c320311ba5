"""Runs code that nobody trusts: one process, one thread, limited, killed at the end; calls of it give plain values."""

from __future__ import annotations

import json
import os
import secrets
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, Any

from assent.checks.code.jails import ENVIRONMENT, Jail, start_of
from assent.core.errors import RunError

_PIECE = 65_536


@dataclass(frozen=True)
class Limits:
    """What one run may use; all calls of an answer share it."""

    seconds: float = 2.0
    """Of processor time, rounded up to whole seconds."""
    wall_seconds: float = 10.0
    """Until it is killed, whatever it waits for."""
    memory_mb: int = 512
    """Of address space."""
    output_bytes: int = 1_000_000
    """Of values; what it prints goes nowhere."""
    open_files: int = 32


@dataclass(frozen=True)
class NoValue:
    """Why a call gave no value."""

    why: str


@dataclass(frozen=True)
class Trial:
    """What became of some code."""

    parses: bool
    """Whether it is Python, and not empty."""
    ran: bool
    """Whether it came to its end."""
    values: tuple[object, ...]
    """What each call gave, in plain types: a tuple comes back as a list. `NoValue` where it gave none."""
    seconds: float
    """Of wall time, with the start of the interpreter."""
    stopped: bool = False
    """Whether it was ended, or ended itself, before all was done."""
    why: str = ""
    """What went wrong, in words; empty where nothing did."""


@dataclass(frozen=True)
class Sandbox:
    """Code runs in a jail and within limits. `protections.py:open_sandbox` gives one that was seen to hold."""

    jail: Jail
    limits: Limits = Limits()

    def run(self, code: str, calls: Sequence[str] = ()) -> Trial:
        """Run code, then each call (an expression). Whatever it does is a `Trial`; nothing of it is left afterwards.

        Raises RunError where the sandbox itself does not start.
        """
        start = start_of(self.jail)
        nonce = secrets.token_hex(8)
        asked = {
            "nonce": nonce,
            "code": code,
            "calls": list(calls),
            "readable": start.readable,
            "filter": start.filter.hex(),
            "limits": self._resources(filtered=bool(start.filter)),
        }
        began = time.monotonic()
        with tempfile.TemporaryFile() as given, tempfile.TemporaryDirectory(prefix="code-") as empty:
            given.write(json.dumps(asked).encode("ascii"))
            given.seek(0)
            output, ended = self._watched(start.command, given, empty, nonce)
        heard = _heard(output, nonce)
        if heard.opening is None:
            said = output.decode("utf-8", "replace").strip().replace("\n", " ")[-300:] or "it said nothing"
            raise RunError(f"the sandbox ({self.jail}) did not start: {said}; {ended or 'it ended'}")
        return heard.trial(len(calls), ended, time.monotonic() - began)

    def _resources(self, *, filtered: bool) -> dict[str, int]:
        limits = self.limits
        own = {} if filtered else {"RLIMIT_NPROC": 0}  # counts all of the user's processes, so only where it must
        return {
            "RLIMIT_CPU": max(1, -int(-limits.seconds // 1)),
            "RLIMIT_AS": limits.memory_mb * 2**20,
            "RLIMIT_FSIZE": 0,
            "RLIMIT_CORE": 0,
            "RLIMIT_NOFILE": limits.open_files,
            **own,
        }

    def _watched(self, command: Sequence[str], given: IO[bytes], empty: str, nonce: str) -> tuple[bytes, str]:
        """What a process says until it ends, is late or says too much; and which, in words. Its session is killed."""
        process = subprocess.Popen(
            command,
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=empty,
            env=dict(ENVIRONMENT),
            start_new_session=True,
        )
        assert process.stdout is not None
        try:
            return self._read(process.stdout.fileno(), f'{nonce} ["end"]\n'.encode())
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.stdout.close()
            process.wait()

    def _read(self, pipe: int, last: bytes) -> tuple[bytes, str]:
        deadline = time.monotonic() + self.limits.wall_seconds
        output = bytearray()
        while True:
            left = max(deadline - time.monotonic(), 0.0)
            if select.select([pipe], [], [], left)[0]:
                piece = os.read(pipe, _PIECE)
                output += piece
                if not piece or output.endswith(last):
                    return bytes(output), ""
                if len(output) > self.limits.output_bytes:
                    return bytes(output), f"stopped after {self.limits.output_bytes} bytes of values"
            if not left:  # one look more than there was time: somebody may have stopped this process, and not the other
                return bytes(output), f"stopped after {self.limits.wall_seconds:g} s"


@dataclass
class _Heard:
    """The lines of one run. The first word on each thing counts, so that code cannot take back what was said before."""

    opening: list[str] | None = None
    parses: bool | None = None
    ran: bool | None = None
    ended: bool = False
    why: str = ""
    values: dict[int, object] = field(default_factory=dict)

    def trial(self, calls: int, ended: str, seconds: float) -> Trial:
        rest = NoValue(ended or self.why or "it ended before: out of time or memory, or it left")
        values = tuple(self.values.get(number, rest) for number in range(calls))
        lost = rest.why if any(one is rest for one in values) or not self.ran else ""
        return Trial(bool(self.parses), bool(self.ran), values, seconds, not self.ended, lost)

    def take(self, parts: list[Any]) -> None:
        match parts:
            case ["ready", list() as done] if self.opening is None:
                self.opening = done
            case ["parses", bool() as parses, str() as why] if self.parses is None:
                self.parses, self.why = parses, why
            case ["ran", bool() as ran, str() as why] if self.ran is None:
                self.ran, self.why = ran, why
            case ["end"]:
                self.ended = True
            case ["value", int() as number, found]:
                self.values.setdefault(number, _value(found))
            case ["error", int() as number, str() as why]:
                self.values.setdefault(number, NoValue(why))


def _heard(output: bytes, nonce: str) -> _Heard:
    heard = _Heard()
    for line in output.split(b"\n"):
        mark, _, rest = line.partition(b" ")
        if mark != nonce.encode():
            continue
        with suppress(ValueError, TypeError, RecursionError):  # a line that is none was written by the code itself
            parts = json.loads(rest)
            if isinstance(parts, list):
                heard.take(parts)
    return heard


def _value(found: Any) -> object:
    """What `inside.py` wrote, as Python's own values. Raises ValueError or TypeError for what it never writes."""
    match found:
        case None | bool() | int() | float() | str():
            return found
        case ["float", ("inf" | "-inf" | "nan") as text]:
            return float(text)
        case ["list", list() as items]:
            return [_value(one) for one in items]
        case ["set", list() as items]:
            return frozenset(_hashable(_value(one)) for one in items)
        case ["dict", list() as pairs]:
            return {_hashable(_value(key)): _value(value) for key, value in pairs}
    raise ValueError("not a value")


def _hashable(value: object) -> object:
    return tuple(_hashable(one) for one in value) if isinstance(value, list) else value
