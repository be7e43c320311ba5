"""Stores to test on: a fresh SQLite file, and a private PostgreSQL cluster where its server is installed."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from assent.feedback.store import Store
from assent.feedback.tables.connection import connect, write_transaction
from assent.feedback.tables.queue import Table


def _server_binaries() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"), key=lambda p: int(p.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("pg_ctl")
    return Path(on_path).resolve().parent if on_path else None


def _unprivileged() -> str | None:
    """The user to run the server as; root may not. None where we are somebody else already."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[Path]:
    """The socket directory of a running private cluster."""
    pytest.importorskip("psycopg", reason="the psycopg driver is not installed")
    binaries, user = _server_binaries(), _unprivileged()
    if binaries is None:
        pytest.skip("PostgreSQL server binaries are not installed (apt-get install postgresql)")
    if user and not shutil.which("runuser"):
        pytest.skip("PostgreSQL cannot run as root, and runuser is missing")
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    if user:
        shutil.chown(folder, user)
    folder.chmod(0o700)

    def run(*command: str) -> None:
        prefix = ["runuser", "-u", user, "--"] if user else []
        done = subprocess.run([*prefix, *command], cwd="/", capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr

    data = str(folder / "data")
    run(str(binaries / "initdb"), "-D", data, "-U", "owner", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
    options = f"-k {folder} -c listen_addresses='' -c fsync=off -c max_connections=60"
    run(str(binaries / "pg_ctl"), "-D", data, "-w", "-l", str(folder / "log"), "-o", options, "start")
    try:
        yield folder
    finally:
        run(str(binaries / "pg_ctl"), "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a database without tables, once for each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/feedback.db"
    return _new_database(request.getfixturevalue("postgres_cluster"), f"db_{uuid.uuid4().hex[:10]}")


@pytest.fixture(scope="session")
def _shared_url(postgres_cluster: Path) -> str:
    url = _new_database(postgres_cluster, "shared")
    Store.open(url).close()
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a store without rows, once for each kind of database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/feedback.db"
    shared: str = request.getfixturevalue("_shared_url")
    engine = connect(shared)
    with write_transaction(engine) as connection:
        connection.execute(text(f"TRUNCATE {', '.join(Table.metadata.tables)} RESTART IDENTITY CASCADE"))
    engine.dispose()
    return shared


def _new_database(cluster: Path, name: str) -> str:
    import psycopg

    with psycopg.connect(f"host={cluster} user=owner dbname=postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"postgresql://owner@/{name}?host={cluster}"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """An open empty store, whose draws are the same in every run."""
    with Store.open(url, seed=7) as opened:
        yield opened


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a store without rows, to copy: making one takes longer than all that a test does with it."""
    path = tmp_path_factory.mktemp("empty") / "store.db"
    Store.open(f"sqlite:///{path}").close()
    return path
