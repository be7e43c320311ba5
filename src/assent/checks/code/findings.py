"""What ruff and bandit find in code. They read it and run nothing; comments that would silence them are ignored."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from assent.core.errors import ConfigError, RunError

Severity = Literal["low", "medium", "high"]
RULES = "E4,E7,E9,F,B"
"""Rules of ruff: wrong or misleading code (pycodestyle without layout, pyflakes, bugbear), not taste."""
_SECONDS = 60
Read = Callable[[Any], tuple[Counter[str], set[str]]]
"""From a tool's JSON: findings by file, and the files that it could not read."""


def lint_findings(codes: Sequence[str], rules: str = RULES) -> list[int | None]:
    """How many findings ruff has in each code; None for what it cannot read."""
    command = ["ruff", "check", "--isolated", "--no-cache", "--exit-zero", "--ignore-noqa", "--output-format=json"]
    return _counted(codes, [*command, f"--select={rules}", "."], _of_ruff)


def vulnerable_patterns(codes: Sequence[str], severity: Severity = "medium") -> list[int | None]:
    """How many known vulnerable patterns of at least this severity bandit has in each; None for what it cannot read."""
    levels = {"low": "-l", "medium": "-ll", "high": "-lll"}
    command = ["bandit", "--recursive", "--quiet", "--exit-zero", "--ignore-nosec", levels[severity], "--format=json"]
    return _counted(codes, [*command, "."], _of_bandit)


def refuse_without(tool: Literal["ruff", "bandit"]) -> None:
    """Raise ConfigError where a tool is not installed."""
    if find_spec(tool) is None:
        raise ConfigError(f'a code reward asks for {tool}, which is not installed; pip install "assent[code]"')


def _counted(codes: Sequence[str], command: Sequence[str], read: Read) -> list[int | None]:
    """Findings by code, all in one run; where that fails, one by one, so that one code spoils no other's."""
    if not codes:
        return []
    try:
        return _run(codes, command, read)
    except (RunError, UnicodeError):
        if len(codes) == 1:
            return [None]
        half = len(codes) // 2
        return [*_counted(codes[:half], command, read), *_counted(codes[half:], command, read)]


def _run(codes: Sequence[str], command: Sequence[str], read: Read) -> list[int | None]:
    with tempfile.TemporaryDirectory(prefix="code-") as folder:
        names = [f"answer_{number}.py" for number in range(len(codes))]
        for name, code in zip(names, codes, strict=True):
            Path(folder, name).write_bytes(code.encode("utf-8"))
        try:
            ended = subprocess.run(
                [sys.executable, "-P", "-m", *command], cwd=folder, capture_output=True, timeout=_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            raise RunError(f"{command[0]} took more than {_SECONDS} s") from None
        if ended.returncode:
            raise RunError(f"{command[0]} failed: {ended.stderr.decode('utf-8', 'replace')[-300:]}")
        counts, unread = read(json.loads(ended.stdout))
        return [None if name in unread else counts[name] for name in names]


def _of_ruff(found: Any) -> tuple[Counter[str], set[str]]:
    names = [(Path(one["filename"]).name, one["code"]) for one in found]
    unread = {name for name, code in names if code in (None, "invalid-syntax")}
    return Counter(name for name, _ in names), unread


def _of_bandit(found: Any) -> tuple[Counter[str], set[str]]:
    return Counter(Path(one["filename"]).name for one in found["results"]), {
        Path(one["filename"]).name for one in found["errors"]
    }
