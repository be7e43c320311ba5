"""Critique and revision by principles (Bai et al. 2022, section 3.1): answers in, each step with what it changed out.

A model is asked twice: for a critique of an answer by a principle, and for the answer anew with that critique before
it. A program gives the answer anew in one call. What comes back is untrusted: an empty, cut or unreadable revision is
not taken, the answer stays as it was, and the step says why.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from assent.core.errors import FunctionError
from assent.core.types import Message, Prompt, Record, storable
from assent.generation.config import Sampling
from assent.generation.writer import Writer
from assent.raters.asking import Asking, Material, Prompts
from assent.raters.constitution import Principle

Outcome = Literal["revised", "unchanged", "empty", "cut", "no_critique", "marked", "no_room"]
"""revised: taken. unchanged: the same words. empty: no words. cut: it did not end. no_critique: none came, or a cut
one. marked: it holds the mark of its question. no_room: the question does not fit the model."""


class Revision(Record):
    """One step: an answer by one principle, before and after."""

    prompt_id: str
    step: int
    """From 1."""
    principle: str
    before: str
    critique: str = ""
    """What the model found; empty where a program revises."""
    after: str
    """The answer that goes on: the revision where it was taken, else what was before."""
    written: str = ""
    """What came back where it was not taken."""
    outcome: Outcome


@dataclass(frozen=True)
class Draft:
    """An answer that is to be revised by a principle."""

    prompt: Prompt
    answer: str
    principle: Principle


class Reviser(Protocol):
    """Whoever revises."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    def revise(
        self, drafts: Sequence[Draft], *, step: int, seed: int, on_progress: Callable[[int], None] | None = None
    ) -> list[Revision]:
        """A step of each draft, in their order."""
        ...


@dataclass(frozen=True)
class WriterReviser:
    """A model that criticises and revises."""

    writer: Writer = field(repr=False)
    prompts: Prompts = field(repr=False)
    sampling: Sampling

    @property
    def name(self) -> str:
        """That of the model."""
        return self.writer.name

    def revise(
        self, drafts: Sequence[Draft], *, step: int, seed: int, on_progress: Callable[[int], None] | None = None
    ) -> list[Revision]:
        """Critiques of all, then revisions of those that have one. Progress counts drafts."""
        materials = [Material.of(one.prompt, [one.answer]) for one in drafts]
        asked = [self._asking(d).critique(m, d.principle.critique) for d, m in zip(drafts, materials, strict=True)]
        found: dict[int, Revision] = {}
        critiques: dict[int, str] = {}
        for n, said in self._written(asked, range(len(drafts)), seed=seed).items():
            if said is None:
                found[n] = _kept(drafts[n], step, "no_room")
            elif said[1] != "" or not said[0]:
                found[n] = _kept(drafts[n], step, "no_critique", written=said[0])
            else:
                critiques[n] = said[0]
        both = {n: Material.of(drafts[n].prompt, [drafts[n].answer, text]) for n, text in critiques.items()}
        questions = [self._asking(drafts[n]).revision(m, drafts[n].principle.revision) for n, m in both.items()]
        for n, said in self._written(questions, list(both), seed=seed + 1).items():
            if said is None:
                found[n] = _kept(drafts[n], step, "no_room", critique=critiques[n])
                continue
            text, problem = said
            marked = both[n].mark in text
            outcome: Outcome | None = "cut" if problem else "marked" if marked else None
            found[n] = revision_of(drafts[n], step, text, critique=critiques[n], problem=outcome)
        if on_progress is not None:
            on_progress(len(drafts))
        return [found[n] for n in range(len(drafts))]

    def _asking(self, draft: Draft) -> Asking:
        return Asking(draft.principle.rubric, self.prompts)

    def _written(
        self, asked: Sequence[Sequence[Message]], names: Sequence[int], *, seed: int
    ) -> dict[int, tuple[str, str] | None]:
        """By name the text and "cut" or nothing; None where the question leaves no room for an answer."""
        rooms = [self.writer.room(one) for one in asked]
        able = [n for n, room in enumerate(rooms) if room is None or room >= self.sampling.max_new_tokens]
        rows = (
            self.writer.write([asked[n] for n in able], num_samples=1, sampling=self.sampling, seed=seed)
            if able
            else []
        )
        said = {
            names[n]: (storable(one.text).strip(), "" if one.finished else "cut")
            for n, [one] in zip(able, rows, strict=True)
        }
        return {name: said.get(name) for name in names}


@dataclass(frozen=True)
class ProgramReviser:
    """A program that gives answers anew by a principle."""

    name: str
    function: Any = field(repr=False)
    """(principle, prompts, answers) -> a text each."""

    def revise(
        self, drafts: Sequence[Draft], *, step: int, seed: int, on_progress: Callable[[int], None] | None = None
    ) -> list[Revision]:
        """One call for each principle. Raises FunctionError naming the program and what it returned."""
        found: dict[int, Revision] = {}
        for principle in dict.fromkeys(one.principle.id for one in drafts):
            places = [n for n, one in enumerate(drafts) if one.principle.id == principle]
            own = [drafts[n] for n in places]
            try:
                texts = list(self.function(principle, [one.prompt for one in own], [one.answer for one in own]))
            except Exception as error:
                raise FunctionError(f"{self.name} by {principle} raised {type(error).__name__}: {error}") from error
            if len(texts) != len(own) or not all(isinstance(text, str) for text in texts):
                raise FunctionError(
                    f"{self.name} by {principle} returned {len(texts)} values for {len(own)} answers; return one each"
                )
            found |= {
                n: revision_of(drafts[n], step, storable(text).strip()) for n, text in zip(places, texts, strict=True)
            }
            if on_progress is not None:
                on_progress(len(own))
        return [found[n] for n in range(len(drafts))]


def revision_of(draft: Draft, step: int, text: str, *, critique: str = "", problem: Outcome | None = None) -> Revision:
    """The step of a revision that came back; taken where nothing is wrong with it and it says something else."""
    if not text:
        return _kept(draft, step, "empty", critique=critique)
    if problem is not None:
        return _kept(draft, step, problem, critique=critique, written=text)
    if text.split() == draft.answer.split():
        return _kept(draft, step, "unchanged", critique=critique)
    names = {"prompt_id": draft.prompt.id, "step": step, "principle": draft.principle.id}
    return Revision(**names, before=draft.answer, critique=critique, after=text, outcome="revised")


def _kept(draft: Draft, step: int, outcome: Outcome, *, critique: str = "", written: str = "") -> Revision:
    return Revision(
        prompt_id=draft.prompt.id,
        step=step,
        principle=draft.principle.id,
        before=draft.answer,
        critique=critique,
        after=draft.answer,
        written=written,
        outcome=outcome,
    )
