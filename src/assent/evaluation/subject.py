"""Subjects: what suites examine. A policy answers and says how likely a text is; a reward model scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, runtime_checkable

from assent.core.errors import UserError
from assent.core.types import Prompt
from assent.generation.config import Sampling


class TooLongError(UserError):
    """What a subject is asked does not fit its context."""


Ability = Literal["answers", "likelihoods", "scores"]


class Subject(Protocol):
    """What a suite may ask. A method that is not among the abilities raises UserError."""

    @property
    def name(self) -> str:
        """What it is called in reports."""
        ...

    @property
    def abilities(self) -> frozenset[Ability]:
        """What it can be asked."""
        ...

    def answers(self, prompts: Sequence[Prompt], *, sampling: Sampling, seed: int) -> list[str]:
        """One answer to each prompt, in their order. The same seed and prompts give the same answers."""
        ...

    def likelihoods(self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]]) -> list[list[float]]:
        """log P(option | prompt) in nats of each option as the whole answer, summed over its tokens and its end."""
        ...

    def continuations(self, texts: Sequence[str], options: Sequence[Sequence[str]]) -> list[list[float]]:
        """log P(option | text) in nats as plain text without a chat template; an empty text: from the beginning."""
        ...

    def scores(self, prompts: Sequence[Prompt], answers: Sequence[str]) -> list[float]:
        """A reward model's score of each answer; higher is better."""
        ...


@runtime_checkable
class Bounded(Protocol):
    """A subject that knows how long it can read."""

    def room(self, prompt: Prompt) -> int | None:
        """Tokens left for an answer to a prompt, negative where it is too long; None where it is not known."""
        ...


@runtime_checkable
class Ruled(Protocol):
    """A subject that can say whether something fits its context without being asked it."""

    @property
    def ruler(self) -> Subject:
        """What takes the same questions and only raises TooLongError, or gives answers that mean nothing."""
        ...
