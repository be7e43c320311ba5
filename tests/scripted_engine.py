"""An engine that says what it is told to, a token at a time, and remembers what it was asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from assent.core.group import TokenIds
from assent.generation.config import Sampling
from assent.generation.engine import Generation


@dataclass
class ScriptedEngine:
    """Its answers all end by themselves; like a true engine it stops with the token that completes a stop text."""

    tokenizer: Any
    answers: list[str]
    asked: list[str] = field(default_factory=list)

    def generate(
        self,
        prompts: Sequence[TokenIds],
        *,
        num_samples: int,
        sampling: Sampling,
        seed: int,
        on_progress: Callable[[int], None] | None = None,
        on_token: Callable[[Generation], None] | None = None,
    ) -> list[list[Generation]]:
        """The next of its answers to each prompt."""
        self.asked += [self.tokenizer.decode(list(prompt)) for prompt in prompts]
        return [[self._say(self.answers.pop(0), sampling, on_token) for _ in range(num_samples)] for _ in prompts]

    def facts(self) -> dict[str, float]:
        """Nothing was wasted."""
        return {"positions_per_token": 1.0, "live_row_share": float("nan")}

    def _say(self, text: str, sampling: Sampling, on_token: Callable[[Generation], None] | None) -> Generation:
        ids = [*self.tokenizer(text, add_special_tokens=False)["input_ids"], self.tokenizer.eos_token_id]
        for end in range(1, len(ids) + 1):
            said = self.tokenizer.decode(ids[:end])
            is_over = end == len(ids) or any(stop in said for stop in sampling.stop)
            now = Generation(np.array(ids[:end]), np.full(end, -0.5, dtype=np.float32), finished=is_over)
            if on_token is not None:
                on_token(now)
            if is_over:
                break
        return now
