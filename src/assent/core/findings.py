"""What `assent doctor` finds: one line each, with what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "note", "warning", "error"]


@dataclass(frozen=True)
class Finding:
    """One thing that was checked. An error stops a run; a warning makes its result doubtful; a note is good to know."""

    level: Level
    key: str
    """Key of the YAML, or what was looked at."""
    message: str
    fix: str = ""
    """What to do; said for everything that is not ok."""

    @property
    def is_error(self) -> bool:
        """Whether a run would fail."""
        return self.level == "error"

    @property
    def line(self) -> str:
        """As one line of an error; `problem` takes it apart again."""
        return f"{self.key}: {self.message}; {self.fix}"

    def __str__(self) -> str:
        fix = f" → {self.fix}" if self.fix else ""
        return f"{self.level:8} {self.key}: {self.message}{fix}"


def ok(key: str, message: str) -> Finding:
    """Something that is as it should be."""
    return Finding("ok", key, message)


def note(key: str, message: str, fix: str = "") -> Finding:
    """Something good to know."""
    return Finding("note", key, message, fix)


def warning(key: str, message: str, fix: str) -> Finding:
    """Something that makes the result doubtful."""
    return Finding("warning", key, message, fix)


def error(key: str, message: str, fix: str) -> Finding:
    """Something that stops a run."""
    return Finding("error", key, message, fix)


def problem(key: str, message: str) -> Finding:
    """An error raised on purpose, whose one line says what is wrong and, after its last semicolon, what to do."""
    said, semicolon, fix = message.rpartition("; ")
    return error(key, said, fix) if semicolon else error(key, message, "correct it")
