"""Swaps: words for people by group, frames to put them in, and texts with one group's word put in place of another's.

The lists in `swap_lists/` are ours and small; a file of the same form, or a folder of such files, takes their place.
Words of one group are exchanged too: such a placebo says how much a text's score moves for no reason at all.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from pydantic import Field, model_validator

from assent.core.config import Config, read_yaml
from assent.core.errors import ConfigError, DataError
from assent.core.hashing import hash_json, short

PACKAGED = Path(__file__).parent / "swap_lists"
_TASKS, _DEEDS = "tasks.yaml", "deeds.yaml"
SLOT = "{word}"


class Task(Config):
    """Something that is asked, and answers that fit whoever asks it."""

    task: str
    """In the infinitive: "open a bank account"."""
    answers: tuple[str, str]
    """The first is the better one."""


class Axis(Config):
    """Groups of people along one axis, and where the words for them stand."""

    axis: str
    """What the groups differ in."""
    groups: dict[str, tuple[str, ...]] = Field(min_length=2)
    """Group -> words for it, at least two; the first group is the one that others are held against."""
    prompt: str | None = None
    """Frame of a prompt with {word} and {task}; null: no swaps in prompts."""
    answer: str | None = None
    """Frame of an answer with {word} and {deed}; null: no swaps in answers."""

    @model_validator(mode="after")
    def _check(self) -> Axis:
        for group, words in self.groups.items():
            if len(set(words)) < 2:
                raise ValueError(f"group {group!r} has {len(set(words))} words; a placebo swap wants two or more")
        owner: dict[str, str] = {}
        for group, words in self.groups.items():
            for word in words:
                if owner.setdefault(word.casefold(), group) != group:
                    raise ValueError(f"{word!r} stands in {owner[word.casefold()]!r} and in {group!r}; leave it in one")
        for name, frame, slots in (("prompt", self.prompt, ("task",)), ("answer", self.answer, ("deed",))):
            for slot in ("word", *slots):
                if frame is not None and f"{{{slot}}}" not in frame:
                    raise ValueError(f"{name} {frame!r} has no {{{slot}}}")
        if self.prompt is None and self.answer is None:
            raise ValueError(f"axis {self.axis!r} has neither a prompt nor an answer to put words in")
        return self

    @property
    def reference(self) -> str:
        """The group that others are held against."""
        return next(iter(self.groups))

    @cached_property
    def _group_of(self) -> dict[str, str]:
        return {word.casefold(): group for group, words in self.groups.items() for word in words}

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        """Any word of any group, the longest first, not inside of another word."""
        words = sorted((word for words in self.groups.values() for word in words), key=len, reverse=True)
        return re.compile(rf"(?<!\w)(?:{'|'.join(re.escape(word) for word in words)})(?!\w)", re.IGNORECASE)

    def mentions(self, text: str) -> frozenset[str]:
        """The groups that a text names by one of their words."""
        return frozenset(self._group_of[found.casefold()] for found in self._pattern.findall(text))

    def exchanged(self, text: str, one: str, other: str) -> str:
        """The text with words of both groups exchanged: each becomes the word at the same place of the other list."""
        places = {word.casefold(): (g, i) for g in (one, other) for i, word in enumerate(self.groups[g])}

        def turned(match: re.Match[str]) -> str:
            place = places.get(match.group().casefold())
            if place is None:
                return match.group()
            words = self.groups[other if place[0] == one else one]
            return words[place[1] % len(words)]

        return self._pattern.sub(turned, text)


@dataclass(frozen=True)
class SwapLists:
    """Axes with what is asked and said in their frames."""

    axes: tuple[Axis, ...]
    tasks: tuple[Task, ...]
    deed_prompt: str
    """What an answer with a deed was asked for."""
    deeds: tuple[str, ...]

    @property
    def hash(self) -> str:
        """Of every word and text."""
        parts = [[a.model_dump(mode="json") for a in self.axes], [t.model_dump(mode="json") for t in self.tasks]]
        return short(hash_json([*parts, self.deed_prompt, list(self.deeds)]))

    def of(self, axes: Sequence[str]) -> SwapLists:
        """Only these axes; none named: all. Raises ConfigError for one that is not there."""
        known = [one.axis for one in self.axes]
        if unknown := [name for name in axes if name not in known]:
            raise ConfigError(f"no swaps of {unknown[0]!r}; there are {', '.join(known)}")
        kept = tuple(one for one in self.axes if not axes or one.axis in axes)
        return SwapLists(kept, self.tasks, self.deed_prompt, self.deeds)


def swap_lists(path: Path | None = None, axes: Sequence[str] = ()) -> SwapLists:
    """The lists of a YAML file, or of all of a folder; the packaged ones without a path.

    Raises ConfigError naming file and key for what is no axis, DataError where there is none.
    """
    where = PACKAGED if path is None else path
    tasks, (prompt, deeds) = _tasks(), _deeds()
    found = _axes(where)
    names = [one.axis for one in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"two axes are called {twice[0]!r}; give one of them another name", path=where)
    return SwapLists(found, tasks, prompt, deeds).of(axes)


def _axes(where: Path) -> tuple[Axis, ...]:
    files = sorted(where.glob("*.yaml")) if where.is_dir() else [where]
    files = [one for one in files if one.parent != PACKAGED or one.name not in (_TASKS, _DEEDS)]
    if not files:
        raise DataError("holds no .yaml file with groups of words", path=where)
    return tuple(Axis.parse(read_yaml(one), where=str(one)) for one in files)


@lru_cache(maxsize=1)
def _tasks() -> tuple[Task, ...]:
    path = PACKAGED / _TASKS
    return tuple(Task.parse(one, where=path.name) for one in read_yaml(path)["tasks"])


@lru_cache(maxsize=1)
def _deeds() -> tuple[str, tuple[str, ...]]:
    values = read_yaml(PACKAGED / _DEEDS)
    return str(values["prompt"]), tuple(str(one) for one in values["deeds"])
