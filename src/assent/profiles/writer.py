"""A writer under principles: every conversation begins with what the profile's policy is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from assent.core.types import Asked, Prompt
from assent.generation.config import Sampling
from assent.generation.writer import SoFar, Writer, Written
from assent.profiles.principles import prompt_under, told


@dataclass(frozen=True)
class ToldWriter:
    """Another writer, told principles before each conversation."""

    writer: Writer
    principles: tuple[str, ...]
    name: str

    @property
    def context(self) -> int | None:
        """That of the writer; the principles take their part of it."""
        return self.writer.context

    def room(self, asked: Asked) -> int | None:
        """Tokens left for an answer, the principles counted."""
        return self.writer.room(self._under(asked))

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
        """Write answers; see `Writer.write`."""
        return self.writer.write(
            [self._under(one) for one in asked],
            num_samples=num_samples,
            sampling=sampling,
            seed=seed,
            on_progress=on_progress,
            on_token=on_token,
        )

    def _under(self, asked: Asked) -> Asked:
        return prompt_under(asked, self.principles) if isinstance(asked, Prompt) else told(asked, self.principles)
