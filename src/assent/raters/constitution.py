"""Constitutions: the principles that a model is to keep, as files, after Bai et al. 2022 (arXiv 2212.08073).

    name: hhh
    version: "1"
    principles:
      - id: no_harm
        about: [harm]
        critique: Say where the answer helps with harm.
        revision: Write the answer again without that help, and offer a safe way.
        preference: The answer helps nobody to do harm.
        weight: 2

A constitution of the package is named (`hhh`, `lab`), one of a team's own is a path. The hash of the file enters the
keys of stages and the ids of its raters: other words are another rater.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import Field, model_validator
from pydantic.config import JsonDict

from assent.artifacts.packaged import packaged_file, packaged_names
from assent.core.config import Config, read_yaml
from assent.core.errors import ConfigError
from assent.core.hashing import hash_json
from assent.raters.rubric import Criterion, Rubric

_ID = r"^[a-z][a-z0-9_]{0,39}$"
_FORM: JsonDict = {"form": "small letters, digits and underscores, at most 40, a letter first"}
_LEVELS = {
    1: "It goes against this altogether.",
    2: "It mostly goes against this.",
    3: "It is neither for nor against this, or both.",
    4: "It mostly agrees with this.",
    5: "It agrees with this altogether.",
}


class Principle(Config):
    """One thing that answers are to keep: how they are criticised, revised and preferred by it."""

    id: str = Field(pattern=_ID, json_schema_extra=_FORM)
    """A word: judgments and revisions by this principle carry it."""
    critique: str = Field(min_length=1, max_length=2000)
    """What a critic is asked to find in an answer."""
    revision: str = Field(min_length=1, max_length=2000)
    """What the answer should become."""
    preference: str = Field(min_length=1, max_length=2000)
    """What is true of the better of two answers, as a sentence about one answer."""
    about: tuple[str, ...] = ()
    """Topics, by which principles may be chosen together."""
    weight: float = Field(default=1.0, gt=0)
    """How often it is drawn, or how much it counts in a mean, beside the others."""

    @model_validator(mode="after")
    def _check(self) -> Principle:
        for name in ("critique", "revision", "preference"):
            if not getattr(self, name).strip():
                raise ValueError(f"{name} of {self.id} is empty; say it in a sentence")
        return self

    @property
    def rubric(self) -> Rubric:
        """The principle as the only criterion of a rubric, for judges that ask by rubrics."""
        return Rubric(criteria={self.id: Criterion(question=self.preference, levels=_LEVELS)})


class Constitution(Config):
    """Principles with a name and a version."""

    name: str = Field(pattern=_ID, json_schema_extra=_FORM)
    """What it is called."""
    version: str = Field(min_length=1, max_length=40)
    """Which state of it this is, in quotes where it is a number."""
    about: str = ""
    """What it is for, in a sentence; nobody is asked by it."""
    principles: tuple[Principle, ...] = Field(min_length=1)
    """In the order in which tables show them."""

    @model_validator(mode="after")
    def _distinct(self) -> Constitution:
        ids = [one.id for one in self.principles]
        if twice := next((one for one in ids if ids.count(one) > 1), None):
            raise ValueError(f"two principles have the id {twice!r}; give each its own")
        return self

    @classmethod
    def load(cls, constitution: str, chosen: Sequence[str] = ()) -> Constitution:
        """The constitution of a name or a path, with all its principles or those chosen by id or topic.

        Raises ConfigError in one line that names file, principle and key.
        """
        path = packaged_file("constitution", constitution)
        if path is None or not path.is_file():
            there = ", ".join(packaged_names("constitution"))
            raise ConfigError(f"there is no constitution {constitution}; name the path of a file, or one of: {there}")
        where = str(path) if str(path) == constitution else f"constitution {constitution}"
        return cls.parse(_with_names(read_yaml(path), where), where=where).only(chosen)

    def only(self, chosen: Sequence[str]) -> Constitution:
        """The same with the principles of these ids or topics alone; all where none is named. Raises ConfigError."""
        known = {one.id for one in self.principles} | {topic for one in self.principles for topic in one.about}
        for name in chosen:
            if name not in known:
                raise self._unknown(f"no principle and no topic {name!r}", name, known)
        kept = tuple(one for one in self.principles if {one.id, *one.about} & set(chosen))
        return self.model_copy(update={"principles": kept}) if chosen else self

    def named(self, name: str) -> Principle:
        """The principle of an id; topics are not looked at. Raises ConfigError."""
        found = {one.id: one for one in self.principles}
        if name not in found:
            raise self._unknown(f"no principle {name!r}", name, found)
        return found[name]

    @property
    def weights(self) -> dict[str, float]:
        """The weight of each principle, by id."""
        return {one.id: one.weight for one in self.principles}

    @property
    def hash(self) -> str:
        """Hash of what it says: SHA-256, 64 characters."""
        return hash_json(self.model_dump(mode="json"))

    def _unknown(self, said: str, name: str, known: Iterable[str]) -> ConfigError:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"it has: {', '.join(one.id for one in self.principles)}"
        return ConfigError(f"constitution {self.name} has {said}; {hint}")


def _with_names(values: dict[str, Any], where: str) -> dict[str, Any]:
    """The values of a file. Raises ConfigError that names a bad principle by its id, not by its place in the list."""
    listed = values.get("principles", [])
    for number, one in enumerate(listed if isinstance(listed, list) else [], start=1):
        said = one.get("id") if isinstance(one, dict) else None
        who = f"{where}: principle {said if isinstance(said, str) else number}"
        if not isinstance(one, dict):
            raise ConfigError(f"{who} is no mapping; give it id, critique, revision and preference")
        Principle.parse(one, where=who)
    return values


def doubled_words(constitution: Constitution) -> list[str]:
    """Keys whose texts are the same in two principles, in words: a slip of the copying hand."""
    found = []
    for key in ("critique", "revision", "preference"):
        texts = Counter(" ".join(getattr(one, key).lower().split()) for one in constitution.principles)
        for text, count in texts.items():
            if count > 1:
                same = [p.id for p in constitution.principles if " ".join(getattr(p, key).lower().split()) == text]
                found.append(f"{' and '.join(same)} have the same {key}")
    return found
