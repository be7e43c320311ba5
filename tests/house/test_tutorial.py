"""The tutorial works as written: its blocks are executed in order, in an empty folder."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch

from assent.cli import app

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial" / "01-first-loop.md"
BLOCK = re.compile(r"(?:<!-- file: (?P<file>\S+) -->\n)?```(?P<language>\w+)\n(?P<content>.*?)\n```", re.DOTALL)


@pytest.mark.slow
def test_every_block_of_the_tutorial_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    names: dict[str, Any] = {"__name__": "tutorial"}
    text = TUTORIAL.read_text(encoding="utf-8")
    try:
        for block in BLOCK.finditer(text):
            line = text.count("\n", 0, block.start("content")) + 1
            match block["language"]:
                case "python":
                    # Compiled with its place in the page, so that a failure names the line to look at.
                    exec(compile("\n" * (line - 1) + block["content"], str(TUTORIAL), "exec"), names)
                case "shell":
                    for command in block["content"].splitlines():
                        _run(command)
                case "yaml":
                    assert block["file"], f"line {line}: say where the block is saved: <!-- file: name -->"
                    Path(block["file"]).write_text(block["content"], encoding="utf-8")
                case other:
                    pytest.fail(f"line {line}: blocks of {other} are not executed; write them indented")
    finally:
        torch.set_num_threads(threads)


def test_the_tutorials_claims_about_resuming_hold_in_its_commands() -> None:
    """The second `assent run` of the page is the first one again, or "finds everything done" would be untested."""
    runs = re.findall(r"^assent run \S+ --quiet$", TUTORIAL.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(runs) == 2 and len(set(runs)) == 1


def _run(command: str) -> None:
    """In this process: the same code as the command `assent`, without importing torch once more each time."""
    program, *arguments = shlex.split(command)
    assert program == "assent", command
    assert not app(arguments, standalone_mode=False), command
