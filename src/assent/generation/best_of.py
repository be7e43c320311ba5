"""Best of n as a way to answer: a writer draws n answers to each prompt, and the one that scores best is given.

Nothing is trained. The answers lie at most log n - (n - 1)/n nats from those of the writer itself
(`algorithms/kl.py:best_of_n_kl`; Stiennon et al. 2020), whoever scores.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from assent.core.errors import ConfigError
from assent.core.scoring import Score, ScoreFunction
from assent.core.types import Asked, Prompt
from assent.generation.config import Sampling
from assent.generation.writer import SoFar, Writer, Written

Answer = TypeVar("Answer", bound=Written)


def best_rows(asked: Sequence[Prompt], rows: Sequence[Sequence[Answer]], score: Score) -> list[Answer]:
    """The best answer of each row; of several that score alike the first, which is as likely as any.

    All answers are scored in one call, those of a prompt side by side. Raises FunctionError for a score that is no
    finite number, and passes on what `score` raises.
    """
    prompts = [prompt for prompt, row in zip(asked, rows, strict=True) for _ in row]
    scores = iter(ScoreFunction("the score of answers", score)(prompts, [one.text for row in rows for one in row]))
    chosen = []
    for row in rows:
        known = [next(scores) for _ in row]
        chosen.append(row[known.index(max(known))])
    return chosen


@dataclass(frozen=True)
class BestOf:
    """Another writer, of whose `n` answers to each prompt the best is given."""

    writer: Writer
    score: Score = field(repr=False)
    n: int
    name: str

    def __post_init__(self) -> None:
        """Raises ConfigError for an n below 1."""
        if self.n < 1:
            raise ConfigError(f"the best of {self.n} answers is none; give 1 or more")

    @property
    def context(self) -> int | None:
        """That of the writer."""
        return self.writer.context

    def room(self, asked: Asked) -> int | None:
        """Tokens left for an answer."""
        return self.writer.room(asked)

    def write(
        self,
        asked: Sequence[Asked],
        *,
        num_samples: int,
        sampling: Sampling,
        seed: int,
        on_progress: Callable[[int], None] | None = None,
        on_token: Callable[[SoFar], None] | None = None,
    ) -> Sequence[Sequence[Written]]:
        """Write `num_samples` answers, each the best of n of its own; see `Writer.write`.

        Nothing is shown while answers grow: which of them is given is known at the end. Progress counts what is drawn,
        n answers for each that is given.
        """
        rows = self.writer.write(
            asked, num_samples=num_samples * self.n, sampling=sampling, seed=seed, on_progress=on_progress
        )
        prompts = [one if isinstance(one, Prompt) else Prompt(messages=tuple(one)) for one in asked]
        starts = range(0, num_samples * self.n, self.n)
        parts = [row[start : start + self.n] for row in rows for start in starts]
        best = best_rows([prompt for prompt in prompts for _ in starts], parts, self.score)
        return [best[i : i + num_samples] for i in range(0, len(best), num_samples)]
