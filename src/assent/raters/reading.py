"""Reading verdicts off a local model: questions in, log-probabilities of the verdicts out; nothing is parsed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from assent.core.errors import ModelError
from assent.core.group import Group, TokenIds
from assent.core.types import Message
from assent.data.render import Renderer
from assent.learner.learner import Scorer
from assent.learner.scorer import choice_logps
from assent.models.policy import TokenScores
from assent.raters.verdicts import Verdicts

Logps = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Question:
    """A question as tokens, up to where the verdict stands, and the verdicts that it may get."""

    tokens: TokenIds
    verdicts: Verdicts


@dataclass(frozen=True)
class Reader:
    """A model that is asked for verdicts. What it said is kept, so that the same question is computed once."""

    name: str
    scorer: Scorer[TokenScores] = field(repr=False)
    """Log-probabilities of scored tokens, at temperature 1."""
    renderer: Renderer = field(repr=False)
    context: int
    """Tokens that a question and its verdict may have together."""
    budget: int = 4096
    """Real tokens that are computed at once."""
    _said: dict[bytes, Logps] = field(default_factory=dict, repr=False, compare=False)

    def verdicts(self, said: Sequence[str], *, begin: str) -> Verdicts:
        """The tokens of verdicts after a beginning. Raises ModelError where the model has none for one of them."""
        return Verdicts.of(self.renderer, said, model=self.name, begin=begin)

    def question(self, messages: Sequence[Message], verdicts: Verdicts) -> Question:
        """Messages as tokens."""
        return Question(np.concatenate([self.renderer.prompt(messages), verdicts.lead]), verdicts)

    def has_room(self, question: Question) -> bool:
        """Whether the model can read a question and answer it."""
        return len(question.tokens) < self.context

    def read(self, together: Sequence[Sequence[Question]]) -> list[list[Logps]]:
        """Log-probabilities of the verdicts of each question.

        Questions given together share their common beginning, which is computed once. Raises ModelError where a number
        is not finite.
        """
        asked: dict[bytes, Question] = {}
        groups: list[Group] = []
        rows: list[tuple[bytes, Verdicts]] = []
        for some in together:
            new = {_key(one): one for one in some if _key(one) not in self._said and _key(one) not in asked}
            asked |= new
            for part in _parts(list(new.items()), self.budget):
                groups.append(_group([one for _, one in part]))
                rows += [(key, one.verdicts) for key, one in part]
        tokens = [verdicts.tokens for _, verdicts in rows]
        found = choice_logps(self.scorer, groups, tokens, budget=self.budget)
        for (key, verdicts), logps in zip(rows, found, strict=True):
            if not torch.isfinite(logps).all():
                raise ModelError(
                    f"{self.name} cannot judge: the log-probabilities of its verdicts are not finite; take another"
                    " model, or set model.dtype: float32"
                )
            self._said[key] = verdicts.read(logps)
        return [[self._said[_key(one)] for one in some] for some in together]


def _key(question: Question) -> bytes:
    return hashlib.sha256(question.tokens.tobytes() + repr(question.verdicts.said).encode()).digest()


def _parts(questions: list[tuple[bytes, Question]], budget: int) -> list[list[tuple[bytes, Question]]]:
    """Questions that are computed together: as many as the budget takes, with their common beginning counted once."""
    if not questions:
        return []
    shared = _shared([one.tokens for _, one in questions])
    parts: list[list[tuple[bytes, Question]]] = []
    room = 0
    for key, one in sorted(questions, key=lambda item: (len(item[1].tokens), item[0])):
        own = len(one.tokens) - shared
        if not parts or own > room:
            parts.append([])
            room = budget - shared
        parts[-1].append((key, one))
        room -= own
    return parts


def _group(questions: Sequence[Question]) -> Group:
    """Their common beginning, and what follows it with a first verdict; only that last token is scored."""
    shared = _shared([one.tokens for one in questions])
    rows = [np.append(one.tokens[shared:], one.verdicts.tokens[0]) for one in questions]
    masks = [np.arange(len(row)) == len(row) - 1 for row in rows]
    return Group(questions[0].tokens[:shared], tuple(rows), tuple(masks))


def _shared(rows: Sequence[TokenIds]) -> int:
    """Length of the common beginning, at least one token short of each row's end where there are several."""
    shortest = min(len(row) for row in rows)
    first = rows[0][:shortest]
    same = np.ones(shortest, dtype=bool)
    for row in rows[1:]:
        same &= row[:shortest] == first
    return shortest if same.all() else int(np.argmin(same))
