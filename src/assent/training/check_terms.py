"""Terms that a program checks, without any model: the right answer, its form, its length, instructions followed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Literal

from pydantic import Field, field_validator, model_validator

from assent.checks import references
from assent.checks.forms import has_tags, is_object_with
from assent.checks.instructions import Instruction
from assent.checks.lengths import outside_band
from assent.core.errors import DataError
from assent.core.types import Prompt
from assent.training.term_config import Normalize, TermConfig, meta_at

Count = Callable[[str], int]
"""How long a text is."""


class CheckTerm(TermConfig):
    """Base of what scores an answer by itself."""

    normalize: Normalize = "none"
    """none: the score as it is. batch: minus the mean of the step's answers, divided by their standard deviation."""

    def score(self, prompt: Prompt, answer: str) -> float:
        """How well an answer to a prompt does."""
        raise NotImplementedError


class ReferenceTerm(CheckTerm):
    """Base of what holds an answer against references in the prompt's row."""

    key: str = Field(default="answer", min_length=1)
    """Column of the prompt's row with the reference, or a list of them; `extra.answer` is a key below a column."""

    @property
    def reads(self) -> Mapping[str, str]:
        """The reference."""
        return {str(getattr(self, "kind", "reference")): self.key}

    def refuse_prompt(self, prompt: Prompt) -> None:
        """Raise DataError for a prompt without a reference."""
        self.references(prompt)

    def references(self, prompt: Prompt) -> list[str]:
        """The references of a prompt as texts. Raises DataError where there is none, or it is no text or number."""
        value = meta_at(prompt, self.key)
        listed = list(value) if isinstance(value, list | tuple) else [value]
        if not listed or not all(isinstance(one, str | int | float) and not isinstance(one, bool) for one in listed):
            raise DataError(f"{self.key!r} is {value!r}; a reference should be a text, a number, or a list of them")
        return [str(one) for one in listed]


class ExactRewardConfig(ReferenceTerm):
    """1 where the answer matches the reference, else 0."""

    kind: Literal["exact"] = "exact"
    """Which kind of reward this is."""
    match: Literal["whole", "within", "overlap"] = "whole"
    """whole: the answer is the reference, up to case, articles and punctuation. within: the reference stands in it.
    overlap: harmonic mean of the shares of words in common (F1)."""

    def score(self, prompt: Prompt, answer: str) -> float:
        """From 0 to 1."""
        ways = {"whole": references.exact, "within": references.contains, "overlap": references.token_f1}
        return ways[self.match](answer, self.references(prompt))


class NumericRewardConfig(ReferenceTerm):
    """1 where the answer ends in the reference's number, else 0."""

    kind: Literal["numeric"] = "numeric"
    """Which kind of reward this is."""
    tolerance: float = Field(default=0.0, ge=0, lt=1)
    """Share of the reference by which the answer may differ."""

    def refuse_prompt(self, prompt: Prompt) -> None:
        """Raise DataError for a prompt without a reference, or one that holds no number."""
        for one in self.references(prompt):
            if references.final_number(one) is None:
                raise DataError(f"{self.key!r} is {one[:60]!r}, which holds no number")

    def score(self, prompt: Prompt, answer: str) -> float:
        """0 or 1. What counts is the number after the last ####, else the last one; none is wrong."""
        said = references.final_number(answer)
        wanted = [number for one in self.references(prompt) if (number := references.final_number(one)) is not None]
        near = references.is_near
        return float(said is not None and any(near(said, one, tolerance=self.tolerance) for one in wanted))


class FormatRewardConfig(CheckTerm):
    """1 where the answer has the required form, else 0. Of several requirements all have to hold."""

    kind: Literal["format"] = "format"
    """Which kind of reward this is."""
    regex: str | None = None
    """A Python regular expression that the whole answer has to match; a dot matches line ends too."""
    json_keys: tuple[str, ...] | None = None
    """The answer is one JSON object, bare or in a code fence, with these keys; []: any object."""
    tags: tuple[str, ...] = ()
    """Each <tag>…</tag> stands once, opened and closed, one after the other in this order."""

    @field_validator("regex")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"{value!r} is no regular expression: {error}") from None
        return value

    @model_validator(mode="after")
    def _asks(self) -> FormatRewardConfig:
        if self.regex is None and self.json_keys is None and not self.tags:
            raise ValueError("format asks for nothing; give regex, json_keys or tags")
        return self

    def score(self, prompt: Prompt, answer: str) -> float:
        """0 or 1."""
        holds = (
            self.regex is None or re.fullmatch(self.regex, answer, re.DOTALL) is not None,
            self.json_keys is None or is_object_with(answer, self.json_keys),
            not self.tags or has_tags(answer, self.tags),
        )
        return float(all(holds))


class LengthRewardConfig(CheckTerm):
    """0 for answers whose length lies between `least` and `most`. Each word or token outside costs `price`, up to
    1 in all."""

    kind: Literal["length"] = "length"
    """Which kind of reward this is."""
    least: int = Field(default=0, ge=0)
    """Shortest length that costs nothing."""
    most: int | None = Field(default=None, ge=1)
    """Longest length that costs nothing; null: no limit."""
    unit: Literal["words", "tokens"] = "words"
    """What is counted: words between spaces, or tokens of the policy."""
    price: float = Field(default=0.02, gt=0)
    """Reward lost per word or token outside the band; no answer loses more than 1."""

    @model_validator(mode="after")
    def _band(self) -> LengthRewardConfig:
        if self.most is not None and self.most < self.least:
            raise ValueError(f"most is {self.most}, below least {self.least}; give a band")
        if self.most is None and self.least == 0:
            raise ValueError("length asks for nothing; give least or most")
        return self

    def score(self, prompt: Prompt, answer: str) -> float:
        """From -1 to 0, counted in words."""
        return self.score_of(len(answer.split()))

    def score_of(self, length: int) -> float:
        """From -1 to 0."""
        return -min(1.0, self.price * outside_band(length, least=self.least, most=self.most))


class InstructionsRewardConfig(CheckTerm):
    """How many of a prompt's checkable instructions the answer follows (IFEval, Zhou et al. 2023)."""

    kind: Literal["instructions"] = "instructions"
    """Which kind of reward this is."""
    ids_key: str = Field(default="instruction_id_list", min_length=1)
    """Column of the prompt's row with the list of instruction ids."""
    arguments_key: str = Field(default="kwargs", min_length=1)
    """Column with their arguments, one mapping each; it may be missing where no instruction has any."""
    count: Literal["share", "all"] = "share"
    """share: the share of instructions that hold; all: 1 where all hold, else 0."""
    loose: bool = False
    """Forgive a first or last line and asterisks."""

    @property
    def reads(self) -> Mapping[str, str]:
        """Ids and arguments."""
        return {"instructions": self.ids_key, "arguments": self.arguments_key}

    def refuse_prompt(self, prompt: Prompt) -> None:
        """Raise DataError for a prompt without instructions, with an unknown one, or one without its arguments."""
        self.instructions(prompt)

    def instructions(self, prompt: Prompt) -> list[Instruction]:
        """What a prompt asks for. Raises DataError."""
        names = meta_at(prompt, self.ids_key)
        if not isinstance(names, list | tuple) or not names:
            raise DataError(f"{self.ids_key!r} is {names!r}; it should be a list of instruction ids")
        # A column in which nothing is said, such as [{}], is not kept beside a prompt.
        given = prompt.meta.get(self.arguments_key) or [{}] * len(names)
        if not isinstance(given, list | tuple) or len(given) != len(names):
            raise DataError(f"{len(names)} instructions want one mapping of {self.arguments_key!r} each, got {given!r}")
        found = []
        for name, arguments in zip(names, given, strict=True):
            if not isinstance(arguments, Mapping):
                raise DataError(f"{self.arguments_key!r} of {name!r} is {arguments!r}; it should be names and values")
            # null says that an argument is not given; 0 and empty text are values.
            found.append(Instruction(str(name), {key: one for key, one in arguments.items() if one is not None}))
        return found

    def score(self, prompt: Prompt, answer: str) -> float:
        """From 0 to 1."""
        asked = self.instructions(prompt)
        held = [one.holds_loosely(answer) if self.loose else one.holds(answer) for one in asked]
        return float(all(held)) if self.count == "all" else sum(held) / len(held)
