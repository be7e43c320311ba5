"""The engine seam: prompts in, sampled answers with their log-probabilities out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from assent.core.errors import RunError
from assent.core.group import TokenIds
from assent.generation.config import Sampling

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Generation:
    """One sampled answer.

    `tokens` [C] ends with the token that stopped it if `finished`, else it hit its length limit. `logps` [C] are
    natural log-probabilities of the drawn tokens under the policy's whole distribution at the temperature: what top-p,
    top-k or min-p left out still counts in the normalizer, and a repetition penalty changes nothing in them. For
    temperature 0 they are those of temperature 1.
    """

    tokens: TokenIds
    logps: NDArray[np.float32]
    finished: bool


class EngineLost(RunError):
    """A process that an engine draws with is gone. Asked again, the engine draws the same answers with a new one."""


class Weights(Protocol):
    """Whoever holds the weights that an engine is to sample from: a learner."""

    def weights(self) -> Mapping[str, Tensor]:
        """A copy of the trained weights, by name."""
        ...


@runtime_checkable
class Engine(Protocol):
    """Draws answers from a policy."""

    version: int
    """Number of the weights that it samples from, as `load_weights` was told."""

    @property
    def is_exact(self) -> bool:
        """Whether its log-probabilities are the learner's own, but for rounding; else rollouts are weighed."""
        ...

    def load_weights(self, source: Weights, *, version: int) -> None:
        """Sample from the weights of `source` from now on; on-policy methods call this before each step's rollouts."""
        ...

    def generate(
        self,
        prompts: Sequence[TokenIds],
        *,
        num_samples: int,
        sampling: Sampling,
        seed: int,
        numbers: Sequence[int] | None = None,
        on_progress: Callable[[int], None] | None = None,
        on_token: Callable[[Generation], None] | None = None,
    ) -> list[list[Generation]]:
        """Draw `num_samples` answers to each prompt, in the order of the prompts.

        The answers depend on the weights, `sampling`, `seed` and each prompt's number in the list, never on what else
        is in the batch (beyond rounding). `numbers` are theirs where they are part of a longer list (default: from 0).
        `on_progress(n)` is told whenever n more answers are done. `on_token` is shown every live answer so far at each
        of its tokens, for someone who reads along. A prompt that leaves no room in the context window is a UserError.
        """
        ...

    def facts(self) -> Mapping[str, float]:
        """What the last call computed beside what was asked for, by name; NaN where there is nothing to say."""
        ...


@runtime_checkable
class Elsewhere(Protocol):
    """An engine that draws in other processes, so that whoever asks can do something else meanwhile."""

    def begin(
        self,
        prompts: Sequence[TokenIds],
        settings: Mapping[str, Any],
        *,
        numbers: Sequence[int] | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> Callable[[], list[list[Generation]]]:
        """Begin with the weights as they are, whatever is loaded later; what comes back waits for the answers.

        `settings` are `num_samples`, `sampling` and `seed` of `Engine.generate`.
        """
        ...


def begun(
    engine: Engine, prompts: Sequence[TokenIds], settings: Mapping[str, Any]
) -> Callable[[], list[list[Generation]]]:
    """Let an engine draw with the weights as they are; what comes back waits. One of this process is done at once."""
    if isinstance(engine, Elsewhere):
        return engine.begin(prompts, settings)
    drawn = engine.generate(prompts, **settings)
    return lambda: drawn
