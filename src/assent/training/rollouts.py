"""Rollouts: answers sampled from the policy that is being trained, as groups with their behaviour log-probs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from assent.core.group import Group
from assent.core.types import Prompt
from assent.generation.config import Sampling
from assent.generation.writer import LocalWriter, Sampled


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
    writer: LocalWriter, prompts: Sequence[Prompt], *, num_samples: int, sampling: Sampling, seed: int
) -> Rollouts:
    """Sample `num_samples` answers to each prompt."""
    return rollouts_of(prompts, writer.write(prompts, num_samples=num_samples, sampling=sampling, seed=seed))


def rollouts_of(prompts: Sequence[Prompt], rows: Sequence[Sequence[Sampled]]) -> Rollouts:
    """Answers that were sampled to each prompt."""
    flat = [one for row in rows for one in row]
    return Rollouts(
        prompts=tuple(prompts),
        groups=tuple(Group(row[0].prompt, tuple(one.tokens for one in row)) for row in rows),
        behaviour_logps=tuple(one.logps for one in flat),
        texts=tuple(one.text for one in flat),
        finished=tuple(one.finished for one in flat),
    )
