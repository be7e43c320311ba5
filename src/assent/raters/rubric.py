"""Rubrics: what a judge looks at, as files: criteria, each with a question and a text for every level from 1 to 5.

    about: How much an answer helps.
    criteria:
      helpful:
        question: Does the answer do what the user needs?
        levels: {1: Not at all., 2: Hardly., 3: In part., 4: Mostly., 5: Wholly.}
        examples: {1: "Asked for a date, it says: I cannot help."}

A rubric of the package is named (`hhh`), one of a team's own is a path. The hash of the file enters the keys of stages.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from pydantic import Field, model_validator

from assent.artifacts.packaged import packaged_file
from assent.core.config import Config, read_yaml
from assent.core.errors import ConfigError
from assent.core.hashing import hash_json

LEVELS = (1, 2, 3, 4, 5)
"""The scale of every criterion."""
_NAME = r"^[a-z][a-z0-9_]{0,39}$"


class Criterion(Config):
    """One thing to score each answer by."""

    question: str = Field(min_length=1, max_length=2000)
    """What is asked of an answer."""
    levels: dict[int, str]
    """What an answer is like that gets this score, for every score from 1 to 5."""
    examples: dict[int, str] = Field(default_factory=dict)
    """An answer for some of the levels."""

    @model_validator(mode="after")
    def _check(self) -> Criterion:
        unknown = sorted((set(self.levels) | set(self.examples)) - set(LEVELS))
        if unknown:
            raise ValueError(f"levels run from 1 to 5, {_listed(unknown)} is none of them")
        without = [level for level in LEVELS if not self.levels.get(level, "").strip()]
        if without:
            raise ValueError(f"level {_listed(without)} has no text; each from 1 to 5 needs one")
        texts = [text.strip() for text in self.levels.values()]
        if twice := next((text for text in texts if texts.count(text) > 1), None):
            raise ValueError(f"two levels have the same text, {twice[:60]!r}; say how they differ")
        return self


class Rubric(Config):
    """Criteria that belong together."""

    about: str = ""
    """What it measures, in a sentence; judges do not read it."""
    criteria: dict[str, Criterion] = Field(min_length=1)
    """By name, in the order in which a judge reads them."""

    @model_validator(mode="after")
    def _name(self) -> Rubric:
        for name in self.criteria:
            if not re.fullmatch(_NAME, name):
                raise ValueError(f"a criterion is called {name!r}; take small letters, digits and _")
        return self

    @classmethod
    def load(cls, rubric: str, criteria: Sequence[str] = ()) -> Rubric:
        """The rubric of a name or a path, with all its criteria or those named.

        Raises ConfigError in one line: no such rubric, not valid, an unknown criterion, one named twice.
        """
        path = packaged_file("rubric", rubric)
        if path is None or not path.is_file():
            raise ConfigError(f"there is no rubric {rubric}; name one of the package or the path of a file")
        return cls.parse(read_yaml(path), where=str(path) if str(path) == rubric else f"rubric {rubric}").only(criteria)

    def only(self, names: Sequence[str]) -> Rubric:
        """The same with these criteria alone, in this order; all where none is named. Raises ConfigError."""
        for place, name in enumerate(names):
            if name not in self.criteria:
                near = difflib.get_close_matches(name, self.criteria, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"it has: {', '.join(self.criteria)}"
                raise ConfigError(f"the rubric has no criterion {name!r}; {hint}")
            if name in names[:place]:
                raise ConfigError(f"criterion {name!r} is named twice; name each once")
        return self.model_copy(update={"criteria": {n: self.criteria[n] for n in names}}) if names else self

    @property
    def hash(self) -> str:
        """Hash of what it says: SHA-256, 64 characters."""
        return hash_json(self.model_dump(mode="json"))


def _listed(levels: Sequence[int]) -> str:
    return ", ".join(map(str, levels))
