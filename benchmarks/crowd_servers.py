"""Servers for the crowd: a private PostgreSQL, server processes on neighbouring ports, and kill -9 at random."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

HOST = "127.0.0.1"


class NoPostgres(Exception):
    """PostgreSQL cannot be started here; the message says why."""


@contextlib.contextmanager
def sqlite(folder: Path, *, is_durable: bool = True) -> Iterator[str]:
    """URL of a new SQLite store, which always waits for the disk."""
    yield f"sqlite:///{folder}/feedback.db"


@contextlib.contextmanager
def postgres(folder: Path, *, is_durable: bool = True) -> Iterator[str]:
    """URL of a new database in a PostgreSQL cluster of our own, which lives as long as the block. Raises NoPostgres."""
    try:
        import psycopg
    except ModuleNotFoundError:
        raise NoPostgres("the psycopg driver is not installed") from None
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"), key=lambda p: int(p.parts[-3]))
    on_path = shutil.which("pg_ctl")
    if not found and on_path is None:
        raise NoPostgres("PostgreSQL server binaries are not installed (apt-get install postgresql)")
    binaries = found[-1].parent if found else Path(str(on_path)).resolve().parent
    names = {entry.pw_name for entry in pwd.getpwall()}
    user = None if os.geteuid() != 0 else "postgres" if "postgres" in names else "nobody"
    home = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # its socket's path must be short
    if user:
        shutil.chown(home, user)
    home.chmod(0o700)

    def run(*command: str) -> None:
        prefix = ["runuser", "-u", user, "--"] if user else []
        done = subprocess.run([*prefix, *command], cwd="/", capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            raise NoPostgres(f"{command[0]} failed: {done.stdout}{done.stderr}")

    data, durable = str(home / "data"), "on" if is_durable else "off"
    run(str(binaries / "initdb"), "-D", data, "-U", "owner", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
    options = f"-k {home} -c listen_addresses='' -c fsync={durable}"
    run(str(binaries / "pg_ctl"), "-D", data, "-w", "-l", str(home / "log"), "-o", options, "start")
    try:
        with psycopg.connect(f"host={home} user=owner dbname=postgres", autocommit=True) as connection:
            connection.execute("CREATE DATABASE crowd")
        yield f"postgresql://owner@/crowd?host={home}"
    finally:
        shutil.copy(home / "log", folder / "postgres.log")
        run(str(binaries / "pg_ctl"), "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(home, ignore_errors=True)


@dataclass
class Servers:
    """Server processes of the rating service on one store, each on a port of its own."""

    store_url: str
    folder: Path
    """Where their logs go."""
    ports: list[int]
    processes: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    kills: int = 0
    ended: list[int] = field(default_factory=list)
    """Exit codes of servers that ended without being killed by us."""

    @classmethod
    @contextlib.contextmanager
    def running(cls, store_url: str, folder: Path, *, number: int) -> Iterator[Servers]:
        """Start `number` servers at the same moment, on an empty database too; stop them at the end."""
        servers = cls(store_url, folder, free_ports(number))
        try:
            for port in servers.ports:
                servers.start(port)
            for port in servers.ports:
                servers.await_ready(port)
            yield servers
        finally:
            for process in servers.processes.values():
                process.terminate()
            for process in servers.processes.values():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=20)
                process.kill()

    def start(self, port: int) -> None:
        """Start the server of a port, as users do."""
        command = [sys.executable, "-m", "assent.cli", "rate", "--new", "--store", self.store_url]
        command += ["--host", HOST, "--port", str(port)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        with (self.folder / f"server-{port}.log").open("ab") as log:
            self.processes[port] = subprocess.Popen(command, cwd=self.folder, env=environment, stdout=log, stderr=log)

    def await_ready(self, port: int, *, timeout: float = 300) -> None:
        """Wait until a server answers. Raises SystemExit with its log where it ended."""
        deadline = time.monotonic() + timeout
        while True:
            with contextlib.suppress(OSError, urllib.error.URLError):
                urllib.request.urlopen(f"http://{HOST}:{port}/sign-in", timeout=5).close()
                return
            if self.processes[port].poll() is not None or time.monotonic() > deadline:
                raise SystemExit((self.folder / f"server-{port}.log").read_text())
            time.sleep(0.1)

    async def kill_at_random(self, rng: random.Random, *, times: int, every: float) -> None:
        """Kill -9 a server so many times, about every so many seconds, and start it again at once.

        One kill in ten hits whatever it hits, in the middle of starting too; the others wait until all are at work.
        """
        while self.kills < times:
            await asyncio.sleep(rng.uniform(0.3, 1.7) * every)
            if rng.random() > 0.1 and not all([await is_listening(port) for port in self.ports]):
                continue
            port = rng.choice(self.ports)
            if self.processes[port].poll() is None:
                os.kill(self.processes[port].pid, signal.SIGKILL)
                self.processes[port].wait()
                self.kills += 1
                self.start(port)

    async def keep_up(self) -> None:
        """Start servers again that ended by themselves, and remember that they did, until cancelled."""
        while True:
            await asyncio.sleep(0.5)
            for port, process in self.processes.items():
                if process.poll() is not None:
                    self.ended.append(process.returncode)
                    self.start(port)

    def url(self, rng: random.Random) -> str:
        """Where to send the next request: any server, dead or alive, as a balancer does that has not noticed yet."""
        return f"http://{HOST}:{rng.choice(self.ports)}"

    def failures(self) -> list[str]:
        """Errors that servers logged without having been killed for it."""
        said = [f"a server ended by itself with code {code}" for code in self.ended]
        for port in self.ports:
            lines = (self.folder / f"server-{port}.log").read_text(errors="replace").splitlines()
            said += [line for line in lines if "Error" in line or "unexpected error" in line]
        return said


async def is_listening(port: int) -> bool:
    """Does a server accept connections at a port?"""
    try:
        _, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    writer.close()
    return True


def free_ports(number: int) -> list[int]:
    """Ports that nothing listens on now."""
    sockets = [socket.socket() for _ in range(number)]
    try:
        for one in sockets:
            one.bind((HOST, 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
