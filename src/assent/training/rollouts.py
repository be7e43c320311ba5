"""Rollouts: answers sampled from the policy that is being trained, as groups with their behaviour log-probs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from assent.core.group import Group
from assent.core.types import Prompt
from assent.data.render import Renderer
from assent.generation.config import Sampling
from assent.generation.engine import Engine


@dataclass(frozen=True, eq=False)
class Rollouts:
    """Samples of one step. Rows are numbered group by group: row = group * K + sample."""

    prompts: tuple[Prompt, ...]
    groups: tuple[Group, ...]
    behaviour_logps: tuple[np.ndarray, ...]
    """Log-probs of the sampler, one array [C] per row."""
    texts: tuple[str, ...]
    """The answers as people would read them, one per row."""
    finished: tuple[bool, ...]
    """True where the answer ended by itself, per row."""

    @property
    def row_prompts(self) -> list[Prompt]:
        """The prompt of each row."""
        return [p for p, g in zip(self.prompts, self.groups, strict=True) for _ in g.continuations]

    @property
    def lengths(self) -> list[int]:
        """Tokens of each row's answer, its end token included."""
        return [len(c) for g in self.groups for c in g.continuations]


def sample_rollouts(
    engine: Engine, renderer: Renderer, prompts: Sequence[Prompt], *, num_samples: int, sampling: Sampling, seed: int
) -> Rollouts:
    """Sample `num_samples` answers to each prompt."""
    prompt_ids = [renderer.prompt(p.messages) for p in prompts]
    samples = engine.generate(prompt_ids, num_samples=num_samples, sampling=sampling, seed=seed)
    groups = [Group(ids, tuple(s.tokens for s in row)) for ids, row in zip(prompt_ids, samples, strict=True)]
    flat = [s for row in samples for s in row]
    return Rollouts(
        prompts=tuple(prompts),
        groups=tuple(groups),
        behaviour_logps=tuple(s.logps for s in flat),
        texts=tuple(sampling.cut(renderer.text(s.tokens)) for s in flat),
        finished=tuple(s.finished for s in flat),
    )
