"""Null baselines: subjects without any thought. A suite that one of them does well at measures something else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from assent.checks.nulls import CONSTANT, echo
from assent.core.types import Prompt
from assent.evaluation.subject import Ability
from assent.generation.config import Sampling


@dataclass(frozen=True)
class NullSubject:
    """Answers, and prefers among options, by a rule that does not read what is asked."""

    name: str
    answer: Callable[[Prompt], str]
    """Its answer to a prompt."""
    preference: Callable[[str, str], float]
    """How it likes an option (second) after a text (first); higher is liked better."""

    @property
    def abilities(self) -> frozenset[Ability]:
        """It can be asked anything."""
        return frozenset({"answers", "likelihoods", "scores"})

    def answers(self, prompts: Sequence[Prompt], *, sampling: Sampling, seed: int) -> list[str]:
        """Its answers; see `Subject`."""
        return [self.answer(prompt) for prompt in prompts]

    def likelihoods(self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]]) -> list[list[float]]:
        """Its preferences; see `Subject`."""
        return self.continuations([prompt.text for prompt in prompts], options)

    def continuations(self, texts: Sequence[str], options: Sequence[Sequence[str]]) -> list[list[float]]:
        """Its preferences; see `Subject`."""
        return [[self.preference(text, one) for one in some] for text, some in zip(texts, options, strict=True)]

    def scores(self, prompts: Sequence[Prompt], answers: Sequence[str]) -> list[float]:
        """Its preferences; see `Subject`."""
        return [self.preference(prompt.text, one) for prompt, one in zip(prompts, answers, strict=True)]


NULLS: tuple[NullSubject, ...] = (
    NullSubject("constant", lambda prompt: CONSTANT, lambda text, option: 0.0),
    NullSubject("echo", echo, lambda text, option: float(len(set(text.split()) & set(option.split())))),
    NullSubject("longest", lambda prompt: " ".join([CONSTANT] * 20), lambda text, option: float(len(option))),
    NullSubject("shortest", lambda prompt: "OK.", lambda text, option: -float(len(option))),
)
