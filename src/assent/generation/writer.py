"""Writers: models that answer; messages in, the text of an answer out.

A `LocalWriter` renders messages, lets an engine sample, and reads its tokens as text. A model behind an address knows
neither tokens nor log-probabilities; `Written` is what every writer can say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from assent.core.errors import UserError
from assent.core.group import TokenIds
from assent.core.types import Asked, Completion, Message, Prompt, storable
from assent.data.render import Renderer
from assent.generation.config import Sampling
from assent.generation.engine import Engine, Generation, begun

SoFar = Callable[[], str]
"""Gives what may be shown of an answer that still grows; reading it costs a decoding, so it is done when asked."""


@dataclass(frozen=True, eq=False)
class Written:
    """One answer: its text up to the first stop text. `finished` is False where it was cut at its longest."""

    text: str
    finished: bool

    def completion(self, prompt: Prompt, *, source: str, **meta: Any) -> Completion:
        """The answer to `prompt`, as a database can keep it, with where it came from."""
        text = storable(self.text)
        return Completion(prompt_id=prompt.id, text=text, source=source, finished=self.finished, meta=meta)


@dataclass(frozen=True, eq=False)
class Sampled(Written):
    """An answer with the tokens of its prompt, its own [C] and their log-probabilities [C], as `Generation` has them.

    The tokens hold what the text leaves out: the end-of-turn token, a stop text.
    """

    prompt: TokenIds
    tokens: TokenIds
    logps: NDArray[np.float32]


class Writer(Protocol):
    """A model that answers."""

    @property
    def name(self) -> str:
        """What it is called: an artifact, a folder, a name that somebody gave it."""
        ...

    @property
    def context(self) -> int | None:
        """The most tokens that messages and answer may have together; None where it is not known."""
        ...

    def room(self, asked: Asked) -> int | None:
        """Tokens left for an answer, negative where the messages are too long; None where it is not known."""
        ...

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
        """Write `num_samples` answers to each prompt or list of messages, in their order.

        `on_progress(n)` is told whenever n more answers are done, `on_token` of each answer whenever it grows. What is
        shown while it grows never holds a stop text, nor the beginning of one.
        """
        ...


@dataclass(frozen=True)
class LocalWriter:
    """A writer made of a chat template and an engine, whose context holds `context` tokens."""

    name: str
    renderer: Renderer
    engine: Engine
    context: int

    def room(self, asked: Asked) -> int:
        """Tokens left for an answer; see `Writer.room`."""
        return self.context - len(self.renderer.prompt(asked))

    def write(
        self,
        asked: Sequence[Asked],
        *,
        num_samples: int,
        sampling: Sampling,
        seed: int,
        on_progress: Callable[[int], None] | None = None,
        on_token: Callable[[SoFar], None] | None = None,
    ) -> list[list[Sampled]]:
        """Write answers; see `Writer.write` and, for what they depend on, `Engine.generate`."""
        prompts = [self.renderer.prompt(one) for one in asked]

        def show(now: Generation) -> None:
            if on_token is not None:
                on_token(lambda: self._shown(now, sampling))

        drawn = self.engine.generate(
            prompts,
            num_samples=num_samples,
            sampling=sampling,
            seed=seed,
            on_progress=on_progress,
            on_token=None if on_token is None else show,
        )
        return self._read(prompts, drawn, sampling)

    def begin(
        self, asked: Sequence[Asked], *, num_samples: int, sampling: Sampling, seed: int
    ) -> Callable[[], list[list[Generation]]]:
        """Let the engine begin with answers, with the weights as they are; what comes back waits for them."""
        settings = {"num_samples": num_samples, "sampling": sampling, "seed": seed}
        return begun(self.engine, [self.renderer.prompt(one) for one in asked], settings)

    def read(
        self, asked: Sequence[Asked], drawn: Sequence[Sequence[Generation]], sampling: Sampling
    ) -> list[list[Sampled]]:
        """What was drawn after `begin`, as text."""
        return self._read([self.renderer.prompt(one) for one in asked], drawn, sampling)

    def _read(
        self, prompts: Sequence[TokenIds], drawn: Sequence[Sequence[Generation]], sampling: Sampling
    ) -> list[list[Sampled]]:
        return [
            [self._sampled(prompt, one, sampling) for one in row] for prompt, row in zip(prompts, drawn, strict=True)
        ]

    def _sampled(self, prompt: TokenIds, drawn: Generation, sampling: Sampling) -> Sampled:
        text = sampling.cut(self.renderer.text(drawn.tokens))
        return Sampled(text, drawn.finished, prompt, drawn.tokens, drawn.logps)

    def _shown(self, now: Generation, sampling: Sampling) -> str:
        # A letter of several tokens decodes to a replacement mark until it is whole.
        return sampling.settled(self.renderer.text(now.tokens).rstrip("\ufffd"))


def newest_turns(writer: Writer, turns: Sequence[Message], sampling: Sampling) -> tuple[Message, ...]:
    """The newest turns that leave room for an answer, a quarter of the context at most; the oldest exchanges go first.

    Raises UserError where the last message alone is too long.
    """
    kept = tuple(turns)
    wanted = sampling.max_new_tokens if writer.context is None else min(sampling.max_new_tokens, writer.context // 4)
    while (room := writer.room(kept)) is not None and room < wanted:
        if len(kept) < 3:
            raise UserError(f"this message is {wanted - room} tokens too long for {writer.name}; say it shorter")
        kept = kept[2:]
    return kept
