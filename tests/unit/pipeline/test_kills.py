"""kill -9 anywhere, run again: the bits are those of a run left alone, and nothing is left over."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("killed_run.py")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder in memory where there is one: fsync is free there, and a kill, unlike a power cut, does not mind."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        yield Path(name)


def killed_run(*arguments: object) -> str:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def content(run: Path) -> dict[str, object]:
    """Every file that a run leaves, by its path, except for the clock's marks in manifests."""
    found: dict[str, object] = {}
    for path in (p for p in run.rglob("*") if p.is_file() and p.name != ".lock"):
        name = path.relative_to(run).as_posix()
        found[name] = path.read_bytes()
        if path.name == "manifest.json":
            manifest = json.loads(path.read_bytes())
            found[name] = {k: v for k, v in manifest.items() if k not in ("seconds", "created", "digest")}
    return found


def test_killed_twenty_times_at_random_instants_the_run_ends_with_the_same_bits(folder: Path) -> None:
    said = killed_run("instants", folder, 20, 0)
    match = re.fullmatch(r"killed 20 times in (\d+) runs, exit 0\n", said)
    assert match is not None, said
    killed = sorted(folder.glob("killed-*"))
    assert len(killed) == int(match[1])
    for run in killed:
        assert content(run) == content(folder / "undisturbed"), run.name


def test_killed_before_any_single_file_operation_the_run_ends_with_the_same_bits(folder: Path) -> None:
    said = killed_run("files", folder)
    match = re.fullmatch(r"killed before each of (\d+) file operations, exit 0\n", said)
    assert match is not None, said
    assert int(match[1]) > 50
    expected = content(folder / "undisturbed")
    for run in folder.glob("killed-*"):
        assert content(run) == expected, run.name
