"""What is wrong with values that a person wrote, in our words, under the key that the person wrote."""

from __future__ import annotations

import datetime
import difflib
import re
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from assent.core.schema import arms_of, below, entries_of, fitting, is_model, kinds_of

_MOST = 8  # lines of one error
_SHOWN = 200  # characters of a value in an error
_SHORT = reprlib.Repr()  # of nested lists only the beginnings
_DEEP = 3  # levels below which a key that stands in the wrong place is looked for
_WORDS = {True: "true", False: "false", None: "null"}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong."""

    key: str
    """The key as it was written, such as data.comparisons.0.path; empty where it is about the whole."""
    text: str
    """What is wrong with it and what to do; a sentence of its own where `is_whole`."""
    is_whole: bool = False
    got: str | None = None
    """The value as it is shown; None where that would say nothing."""

    def __str__(self) -> str:
        said = self.text if self.got is None else f"{self.text}, got {self.got}"
        return said if self.is_whole or not self.key else f"{self.key}: {said}"


def problems(error: ValidationError, model: type[BaseModel] | None = None) -> list[Problem]:
    """Everything that `error` found, each key once; `model` is what was read, so that keys can be told from kinds.

    Without it a key may hold the name of a kind of a union, and unknown keys get no proposal.
    """
    found: dict[tuple[str, bool], Problem] = {}
    for one in (problem_of(details, model) for details in error.errors(include_url=False)):
        before = found.get((one.key, one.is_whole))
        found[one.key, one.is_whole] = one if before is None else _either(before, one)
    return list(found.values())


def first_problem(error: ValidationError, model: type[BaseModel] | None = None) -> str:
    """The first problem, in one line."""
    return str(problems(error, model)[0])


def listed(found: list[str]) -> str:
    """Lines of problems, not more than a person reads at once."""
    more = len(found) - _MOST
    return "\n".join(found if more <= 0 else [*found[:_MOST], f"and {more} more like these"])


def shown(value: Any) -> str:
    """A value as an error shows it: as YAML writes it, and short (a few lines of aliases are a list of millions)."""
    if value is None or isinstance(value, bool):
        return _WORDS[value]
    text = _SHORT.repr(value) if isinstance(value, list | tuple | set) else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text)} characters)"


def nearest(wrong: str, known: list[str]) -> str:
    """What was meant, or everything that is known."""
    near = difflib.get_close_matches(wrong, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known)) or 'none'}"


def problem_of(details: ErrorDetails, model: type[BaseModel] | None = None) -> Problem:
    """One error of pydantic in our words."""
    place = _place(details["loc"], model)
    key, kind, value, context = ".".join(place.parts), details["type"], details.get("input"), details.get("ctx", {})
    last = place.parts[-1] if place.parts else ""
    if kind in ("extra_forbidden", "invalid_key"):
        hint = place.hint(last)
        return Problem(key, f"unknown key {key!r}" + (f"; {hint}" if hint else ""), is_whole=True)
    if kind == "missing" and last.isdecimal():
        return Problem(".".join(place.parts[:-1]), "should have more entries", got=shown(value))
    if kind == "missing":
        return Problem(key, f"{key} is missing; add it", is_whole=True)
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        return _of_kind(key, kind, context, place)
    if kind in ("value_error", "assertion_error"):
        text = details["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
        text = text[:1].lower() + text[1:] if text[1:2].islower() else text
        is_told = isinstance(value, Mapping | BaseModel) or ", got " in text
        return Problem(key, text, got=None if is_told else shown(value))
    text = _expected(kind, context, place.field)
    if text in (_BELOW, _LIST) and isinstance(value, str) and (form := fitting(place.at, value)) is not None:
        text = f"{_OWN if text == _BELOW else _LIST}, such as {form}"
    if kind == "string_type" and isinstance(value, int | float | datetime.date):
        text += " (put it in quotes)"
    return Problem(key, f"should be {text}", got=shown(value))


def _of_kind(key: str, kind: str, context: Mapping[str, Any], place: _Place) -> Problem:
    """A union whose `kind` is missing or not known."""
    name = str(context["discriminator"]).strip("'")
    key = f"{key}.{name}" if key else name
    known = re.findall(r"'([^']*)'", str(context.get("expected_tags", ""))) or place.kinds
    if kind == "union_tag_invalid":
        return Problem(key, f"{str(context['tag'])!r} is not known; {nearest(str(context['tag']), known)}")
    return Problem(key, f"{key} is missing; it is one of {', '.join(sorted(known))}", is_whole=True)


def _either(one: Problem, other: Problem) -> Problem:
    """Two things a value could have been, where a setting takes either."""
    more = other.text.removeprefix("should be ")
    return one if more in one.text or one.got is None else replace(one, text=f"{one.text}, or {more}")


def _expected(kind: str, context: Mapping[str, Any], field: FieldInfo | None) -> str:
    """What fits, in the words that follow "should be"."""
    if kind == "string_pattern_mismatch":
        extra = {} if field is None else field.json_schema_extra
        form = extra.get("form") if isinstance(extra, Mapping) else None
        return str(form or f"of the form {context['pattern']}")
    words = EXPECTED.get(kind, "something else")
    return words if isinstance(words, str) else words(context)


def _entries(most: str, name: str) -> Callable[[Mapping[str, Any]], str]:
    def said(context: Mapping[str, Any]) -> str:
        number = context[name]
        return f"a list of at {most} {number} {'entry' if number == 1 else 'entries'}"

    return said


_TEXT, _WHOLE, _NUMBER, _LIST = "text", "a whole number", "a number", "a list"
_DATE, _OWN = "a date such as 2026-01-31", "settings of its own"
_BELOW = f"{_OWN} (key: value below it)"
EXPECTED: dict[str, str | Callable[[Mapping[str, Any]], str]] = {
    **dict.fromkeys(("string_type", "string_sub_type", "string_unicode"), _TEXT),
    "string_too_short": lambda c: "no empty text" if c["min_length"] == 1 else f"at least {c['min_length']} characters",
    "string_too_long": lambda c: f"at most {c['max_length']} characters",
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float", "int_parsing_size"), _WHOLE),
    **dict.fromkeys(("float_type", "float_parsing"), _NUMBER),
    "finite_number": "a finite number",
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
    "none_required": "null",
    "literal_error": lambda c: str(c["expected"]),
    "greater_than": lambda c: f"above {c['gt']:g}",
    "greater_than_equal": lambda c: f"at least {c['ge']:g}",
    "less_than": lambda c: f"below {c['lt']:g}",
    "less_than_equal": lambda c: f"at most {c['le']:g}",
    "multiple_of": lambda c: f"a multiple of {c['multiple_of']}",
    **dict.fromkeys(("model_type", "model_attributes_type", "dict_type", "mapping_type", "dataclass_type"), _BELOW),
    **dict.fromkeys(("tuple_type", "list_type", "set_type", "frozen_set_type", "iterable_type"), _LIST),
    "too_short": _entries("least", "min_length"),
    "too_long": _entries("most", "max_length"),
    "path_type": "a path",
    **dict.fromkeys(("date_type", "date_parsing", "date_from_datetime_parsing", "date_from_datetime_inexact"), _DATE),
    **dict.fromkeys(("datetime_type", "datetime_parsing", "datetime_from_date_parsing"), "a moment in time"),
    "json_invalid": "JSON",
    "json_type": "JSON",
    "is_instance_of": _BELOW,
    "recursion_loop": "nested less deeply",
}
"""Pydantic's types of errors -> what fits. A test provokes every error that a setting can raise and looks here."""


@dataclass(frozen=True)
class _Place:
    """Where a problem is: the keys as written, and what the settings know about the last one."""

    parts: tuple[str, ...]
    field: FieldInfo | None
    around: tuple[type[BaseModel], ...]
    """The classes among whose fields the last key stands."""
    beside: tuple[type[BaseModel], ...]
    """Classes of other kinds that could stand there."""
    at: list[Any]
    """What the last key may hold."""

    @property
    def kinds(self) -> list[str]:
        """Kinds of the union that the last key holds."""
        return [kind for arm in self.at for kind in kinds_of(arm)]

    def hint(self, wrong: str) -> str:
        """Which key was meant: one that belongs to another kind or below another key goes before a similar name."""
        known = sorted({name for one in self.around for name in one.model_fields})
        if not self.around:
            return ""
        if kinds := [kind for one in self.beside if wrong in one.model_fields for kind in kinds_of(one)]:
            return f"it belongs to kind {_or(sorted(kinds))}"
        deeper = {path: kinds for one in self.around for path, kinds in below(one, wrong, _DEEP).items()}
        near = difflib.get_close_matches(wrong, known, n=1)
        if deeper and not (near and all(path.count(".") > 1 for path in deeper)):
            return f"did you mean {' or '.join(map(self._meant, list(deeper.items())[:_DEEP]))}?"
        return nearest(wrong, known) if near else f"known keys: {', '.join(known) or 'none'}"

    def _meant(self, found: tuple[str, list[str]]) -> str:
        path, kinds = found
        of = f" (of kind {_or(kinds)})" if kinds else ""
        return repr(".".join((*self.parts[:-1], path))) + of


def _or(words: list[str]) -> str:
    """Alternatives in a sentence."""
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _place(loc: tuple[int | str, ...], model: type[BaseModel] | None) -> _Place:
    """Walk from the model along pydantic's location; the names of kinds and arms of unions were not written."""
    at: list[Any] = [] if model is None else [model]
    parts: list[str] = []
    field: FieldInfo | None = None
    around: tuple[type[BaseModel], ...] = ()
    beside: tuple[type[BaseModel], ...] = ()
    others: tuple[type[BaseModel], ...] = ()
    for index, part in enumerate(loc):
        if part == "[key]":
            continue
        arms = [arm for one in at for arm in arms_of(one)]
        classes = tuple(arm for arm in arms if is_model(arm))
        if chosen := [arm for arm in classes if len(arms) > 1 and part in kinds_of(arm)]:
            at, others = chosen, tuple(arm for arm in classes if arm not in chosen)
            continue
        named = [one.model_fields[str(part)] for one in classes if part in one.model_fields]
        if named:
            field, around, at = named[0], classes, [one.annotation for one in named]
        elif entries := [entry for arm in arms for entry in entries_of(arm, part)]:
            at = entries
        elif len(arms) > 1 and not (classes and index == len(loc) - 1):
            continue  # which arm of a union was tried
        else:
            around, at, field = classes, [], None
        beside, others = others, ()
        parts.append(str(part))
    return _Place(tuple(parts), field, around, beside, [arm for one in at for arm in arms_of(one)])
