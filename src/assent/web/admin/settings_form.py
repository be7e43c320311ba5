"""The form of a project's settings: every setting as a field, and back, with each refusal at the field it is about."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from pydantic import ValidationError

from assent.core.problems import problem_of
from assent.core.types import Flag
from assent.feedback.records.settings import Goal, ProjectSettings, Texts

Kind = Literal["text", "area", "check", "flags", "percent", "whole", "count", "minutes", "amount", "choice", "names"]
MOST_ROWS = 40


@dataclass(frozen=True)
class Entry:
    """One field; its label and its help are the texts `admin.set.<name>` and `admin.set.<name>.hint`."""

    name: str
    kind: Kind
    least: str = ""
    most: str = ""
    choices: tuple[str, ...] = ()


SECTIONS: tuple[tuple[str, tuple[Entry, ...]], ...] = (
    ("about", (Entry("title", "text"), Entry("texts", "choice", choices=get_args(Texts)), Entry("timezone", "text"))),
    (
        "said",
        (
            Entry("flags", "flags", choices=get_args(Flag)),
            Entry("strengths", "check"),
            Entry("critique", "check"),
            Entry("edits", "check"),
        ),
    ),
    (
        "who",
        (
            Entry("overlap_share", "percent", "0", "100"),
            Entry("overlap", "whole", "1", "50"),
            Entry("newcomer_tasks", "whole", "0"),
            Entry("newcomer_overlap", "whole", "1", "50"),
            Entry("gold_share", "percent", "0", "50"),
            Entry("repeat_share", "percent", "0", "50"),
            Entry("repeat_after", "whole", "1"),
            Entry("set_aside_after", "whole", "0"),
        ),
    ),
    (
        "order",
        (
            Entry("goal", "choice", choices=get_args(Goal)),
            Entry("random_share", "percent", "0", "100"),
            Entry("lease_seconds", "minutes", "0.1"),
            Entry("undo_seconds", "minutes", "0"),
        ),
    ),
    (
        "study",
        (
            Entry("participant_parameters", "names"),
            Entry("judgments_per_person", "count", "1"),
            Entry("completion_code", "text"),
            Entry("completion_url", "text"),
            Entry("qualification_tasks", "whole", "0", "100"),
            Entry("qualification_pass", "percent", "0", "100"),
        ),
    ),
    ("cost", (Entry("cost_per_hour", "amount", "0"), Entry("currency", "text"))),
    ("raters", (Entry("consent_text", "area"),)),
)
"""The sections of the form in order; criteria and attributes are tables of rows, is_open has a button of its own."""
ROWS: Mapping[str, tuple[str, ...]] = {
    "criteria": ("name", "question", "anchors"),
    "attributes": ("name", "question", "choices", "purpose"),
}
"""Tables: a row without a name is left out."""
LISTS = ("anchors", "choices")
"""Cells that hold one text per line."""
_ENTRIES = {entry.name: entry for _, entries in SECTIONS for entry in entries}
_ROW_KEY = re.compile(r"(criteria|attributes)\.(\d{1,3})\.(\w+)")


@dataclass(frozen=True)
class Filled:
    """A form as it was sent, or as it stands for settings."""

    values: Mapping[str, str]
    rows: Mapping[str, tuple[Mapping[str, str], ...]]
    problems: Mapping[str, str]
    """Field, or table.row.column -> what is wrong with it."""
    settings: ProjectSettings | None
    """None where there are problems."""


def fill(settings: ProjectSettings) -> Filled:
    """The form for settings as they are."""
    values: dict[str, str] = {}
    for name, entry in _ENTRIES.items():
        value = getattr(settings, name)
        if entry.kind == "flags":
            values |= {f"flags.{flag}": "on" for flag in value}
        elif entry.kind == "check":
            values |= {name: "on"} if value else {}
        else:
            values[name] = _written(entry, value)
    rows = {
        table: tuple(
            {c: "\n".join(getattr(row, c)) if c in LISTS else getattr(row, c) for c in columns}
            for row in getattr(settings, table)
        )
        for table, columns in ROWS.items()
    }
    return Filled(values, rows, {}, settings)


def read(form: Mapping[str, str], before: ProjectSettings) -> Filled:
    """The settings that a form says; what the form does not hold stays as it was."""
    problems: dict[str, str] = {}
    found: dict[str, Any] = {"is_open": before.is_open}
    for name, entry in _ENTRIES.items():
        if entry.kind == "flags":
            found[name] = tuple(flag for flag in entry.choices if form.get(f"flags.{flag}"))
        elif entry.kind == "check":
            found[name] = bool(form.get(name))
        elif name not in form:
            found[name] = getattr(before, name)
        else:
            try:
                found[name] = _READ[entry.kind](form.get(name, "").strip())
            except ValueError:
                problems[name] = "number"
    rows = {table: _rows(form, table) for table in ROWS}
    for table, given in rows.items():
        found[table] = [_row(row) for row in given if row["name"]]
        nameless = [i for i, row in enumerate(given) if not row["name"] and any(row.values())]
        problems |= {f"{table}.{i}.name": "name" for i in nameless}
    settings = None
    if not problems:
        try:
            settings = ProjectSettings.model_validate(found)
        except ValidationError as error:
            problems = _placed(error, rows)
    return Filled(dict(form), rows, problems, settings)


def _row(row: Mapping[str, str]) -> dict[str, Any]:
    return {
        column: [line.strip() for line in text.splitlines() if line.strip()] if column in LISTS else text
        for column, text in row.items()
    }


def _rows(form: Mapping[str, str], table: str) -> tuple[dict[str, str], ...]:
    """The rows of a table by their numbers; those in which nothing is written are left out."""
    cells: dict[int, dict[str, str]] = {}
    for key, text in form.items():
        match = _ROW_KEY.fullmatch(key)
        if match and match[1] == table and match[3] in ROWS[table]:
            cells.setdefault(int(match[2]), {})[match[3]] = text.strip()
    ordered = ({column: row.get(column, "") for column in ROWS[table]} for _, row in sorted(cells.items()))
    return tuple(row for row in ordered if any(row.values()))[:MOST_ROWS]


def _placed(error: ValidationError, rows: Mapping[str, tuple[Mapping[str, str], ...]]) -> dict[str, str]:
    """Problems by field; those of rows by the row's number in the form."""
    found = {}
    for problem in error.errors():
        place = [str(part) for part in problem["loc"]]
        if len(place) > 1 and place[0] in rows and place[1].isdecimal():
            named = [i for i, row in enumerate(rows[place[0]]) if row["name"]]
            place = [place[0], str(named[int(place[1])]), *place[2:3]]
        found[".".join(place) or "all"] = problem_of(problem, ProjectSettings).text
    return found


def _written(entry: Entry, value: Any) -> str:
    match entry.kind:
        case "percent":
            return _shortest(100 * value, entry, value)
        case "minutes":
            return _shortest(value / 60, entry, value)
        case "names":
            return " ".join(value)
        case "count":
            return "" if value is None else str(value)
        case "amount":
            return "" if value is None else _shortest(value, entry, value)
    return str(value)


def _shortest(shown: float, entry: Entry, value: float) -> str:
    """A number in few digits if they say it exactly, else in all."""
    short = f"{shown:.10g}"
    return short if _READ[entry.kind](short) == value else repr(shown)


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no number of anything")
    return value


def _share(text: str) -> float:
    return _number(text) / 100


def _minutes(text: str) -> float:
    return _number(text) * 60


def _amount(text: str) -> float | None:
    return _number(text) if text else None


def _count(text: str) -> int | None:
    return int(text) if text else None


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n")


_READ: Mapping[str, Callable[[str], Any]] = {
    "text": str,
    "area": _lines,
    "choice": str,
    "percent": _share,
    "minutes": _minutes,
    "whole": int,
    "count": _count,
    "names": _names,
    "amount": _amount,
}
