"""The questions of a judge, as messages: role, rubric, conversation, answers in blocks they cannot close, contract.

    asking = Asking(Rubric.load("hhh"), load_prompts("plain"))
    material = Material.of(prompt, ["first answer", "second answer"])
    asking.pairwise(material, 0, 1)              which is better: a verdict of PAIR
    asking.score(material, 0, "helpful")         how good the first is: one of SCORES

What is judged stands in blocks, `[[BEGIN ANSWER A 3f2a91bc]]` … `[[END ANSWER A 3f2a91bc]]`. The mark is a hash of the
material, so that the same question is always the same text; it is drawn again until it occurs nowhere in the material,
so that no text holds the end of its own block.
"""

from __future__ import annotations

import functools
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from assent.artifacts.packaged import packaged_file
from assent.core.errors import ConfigError
from assent.core.hashing import hash_json
from assent.core.shown import Shown, shown
from assent.core.types import Message, Prompt
from assent.raters.rubric import LEVELS, Rubric

PAIR = ("A", "B")
"""Verdicts of a pairwise question: the answer shown first, the answer shown second."""
SCORES = tuple(map(str, LEVELS))
"""Verdicts of a question for one score."""
LETTERS = string.ascii_uppercase
"""Names of the answers where all of them are shown at once."""
_MARK = 8
"""Hex digits of a mark."""
TEMPLATES = (
    "role",
    *("pairwise", "pairwise_letter", "pairwise_begin"),
    *("score", "score_level", "score_begin"),
    "rationale",
)
"""Files that a folder of prompts holds, each with the ending .jinja. `…_letter` and `…_level` are contracts: how the
verdict is to be said; `…_begin` is how the answer of a local model is begun for it."""
REVISING = ("role", "critique", "revision")
"""The same of a folder with the questions of a reviser."""


@dataclass(frozen=True)
class Material:
    """What a task shows a judge: the conversation, its answers, a reference answer, and how much was left out.

    All questions about one material carry the same mark, so that they begin alike and their beginning is computed once.
    """

    turns: tuple[Shown, ...]
    answers: tuple[str, ...]
    reference: str = ""
    left_out: str = ""
    """What is not shown of the conversation, in words; empty where it is shown whole."""

    @classmethod
    def of(cls, prompt: Prompt, answers: Sequence[str], *, reference: str = "") -> Material:
        """Everything, tools and system turns included."""
        return cls(shown(prompt), tuple(answers), reference)

    @cached_property
    def mark(self) -> str:
        """Hex digits that occur nowhere in the material; the order of the answers does not change them."""
        said = [[one.role, one.text] for one in self.turns]
        texts = sorted(self.answers)
        everything = "\n".join([*(text for _, text in said), *texts, self.reference]).lower()
        draw = 0
        while (mark := hash_json([draw, said, texts, self.reference])[:_MARK]) in everything:
            draw += 1
        return mark

    def block(self, title: str, text: str) -> str:
        """A text between two lines that it cannot contain."""
        return f"[[BEGIN {title} {self.mark}]]\n{text}\n[[END {title} {self.mark}]]"

    @property
    def conversation(self) -> str:
        """The turns, each in a block of its own."""
        blocks = [self.block(f"TURN {n} {one.role}", one.text) for n, one in enumerate(self.turns, start=1)]
        return "\n".join([f"({self.left_out})", *blocks] if self.left_out else blocks)

    def fitting(self, fits: Callable[[Material], bool]) -> Material | None:
        """The most of the conversation that fits; None where not even its last turn's end does.

        Talks are cut as everywhere: first exchanges go, then the beginning of the last turn; system turns and tools
        stay. Answers are never cut.
        """
        most = len(self._spoken) - 1
        if most > 0 and fits(self._without_first(most)):
            return self._without_first(_least(most, lambda turns: fits(self._without_first(turns))))
        length = len(self.turns[-1].text)
        if length < 2 or not fits(self._with_last(1)):
            return None
        return self._with_last(length - _least(length - 1, lambda gone: fits(self._with_last(length - gone))))

    @property
    def _spoken(self) -> list[int]:
        """Places of the turns that may go."""
        return [n for n, one in enumerate(self.turns) if one.role not in ("system", "tools")]

    def _without_first(self, turns: int) -> Material:
        gone = set(self._spoken[:turns])
        said = f"{len(gone)} earlier {'turn is' if len(gone) == 1 else 'turns are'} not shown"
        return replace(self, turns=tuple(t for n, t in enumerate(self.turns) if n not in gone), left_out=said)

    def _with_last(self, characters: int) -> Material:
        alone = self._without_first(len(self._spoken) - 1)
        last = alone.turns[-1]
        cut = Shown(last.role, last.text[len(last.text) - characters :])
        return replace(alone, turns=(*alone.turns[:-1], cut), left_out="the beginning is not shown")


Prompts = Mapping[str, str]
"""Template texts by name, see TEMPLATES."""


def load_prompts(prompts: str, *, needed: Sequence[str] = TEMPLATES) -> dict[str, str]:
    """The templates of a name or a folder; other files with the ending .jinja are read too. Raises ConfigError."""
    folder = packaged_file("prompts", prompts)
    if folder is None or not folder.is_dir():
        raise ConfigError(f"there are no prompts {prompts}; name a folder of the package or the path of one")
    missing = [name for name in needed if not (folder / f"{name}.jinja").is_file()]
    if missing:
        raise ConfigError(f"{prompts} has no {missing[0]}.jinja; such a folder has {', '.join(needed)}")
    return {path.stem: _read(path) for path in sorted(folder.glob("*.jinja"))}


@dataclass(frozen=True)
class Asking:
    """Makes questions out of a rubric and templates."""

    rubric: Rubric
    prompts: Prompts = field(repr=False)

    def pairwise(
        self, material: Material, first: int, second: int, *, contract: str = "pairwise_letter"
    ) -> tuple[Message, ...]:
        """Which of two answers of the material, by their numbers, is better.

        `contract` names the template of how the verdict is to be said.
        """
        return self._messages(
            "pairwise",
            material,
            contract=contract,
            criteria=self.rubric.criteria,
            first=material.block("ANSWER A", material.answers[first]),
            second=material.block("ANSWER B", material.answers[second]),
        )

    def score(
        self, material: Material, answer: int, criterion: str, *, contract: str = "score_level"
    ) -> tuple[Message, ...]:
        """The level of an answer of the material, by its number, on a criterion of the rubric, by its name."""
        return self._messages(
            "score",
            material,
            contract=contract,
            name=criterion,
            criterion=self.rubric.criteria[criterion],
            answer=material.block("ANSWER", material.answers[answer]),
        )

    def rationale(self, material: Material, *, order: str = "", scores: str = "") -> tuple[Message, ...]:
        """Why the answers, A and B and so on, were judged in this order, or given these scores."""
        blocks = {
            letter: material.block(f"ANSWER {letter}", text)
            for letter, text in zip(LETTERS, material.answers, strict=False)
        }
        return self._messages(
            "rationale", material, criteria=self.rubric.criteria, answers=blocks, order=order, scores=scores
        )

    def critique(self, material: Material, request: str) -> tuple[Message, ...]:
        """What is wrong with the only answer of the material, by what a principle asks for."""
        return self._messages(
            "critique", material, request=request, answer=material.block("ANSWER", material.answers[0])
        )

    def revision(self, material: Material, request: str) -> tuple[Message, ...]:
        """The first of two texts of the material, an answer, anew by the second, a critique of it."""
        answer, critique = material.answers
        blocks = {"answer": material.block("ANSWER", answer), "critique": material.block("CRITIQUE", critique)}
        return self._messages("revision", material, request=request, **blocks)

    def begin(self, question: Literal["pairwise", "score"]) -> str:
        """How the answer of a model is begun for it, so that the next thing it says is the verdict."""
        return self._render(f"{question}_begin")

    def _messages(self, template: str, material: Material, *, contract: str = "", **values: Any) -> tuple[Message, ...]:
        role = self._render("role")
        reference = material.block("REFERENCE", material.reference) if material.reference else ""
        values |= {"mark": material.mark, "conversation": material.conversation, "reference": reference}
        if contract:
            values["contract"] = self._render(contract)
        return Message(role="system", content=role), Message(role="user", content=self._render(template, **values))

    def _render(self, template: str, **values: Any) -> str:
        if template not in self.prompts:
            raise ConfigError(f"the prompts have no {template}.jinja; they have {', '.join(self.prompts)}")
        try:
            return _compiled(self.prompts[template]).render(**values).strip()
        except jinja2.TemplateError as error:
            raise ConfigError(f"the prompt {template}.jinja cannot be used: {error}; correct it") from None


def _least(most: int, fits: Callable[[int], bool]) -> int:
    """The least number from 1 to `most` that fits, where every larger one does too, and `most` does."""
    low, high = 0, most  # `low` does not fit
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read {path}: {getattr(error, 'strerror', None) or 'not UTF-8'}") from None


@functools.lru_cache(maxsize=64)
def _compiled(text: str) -> jinja2.Template:
    return _JINJA.from_string(text)


_JINJA = ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
