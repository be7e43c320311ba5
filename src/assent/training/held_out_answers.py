"""What a policy answers to held-out prompts while it is trained, and what that is worth: for evaluations and guards.

Everything is drawn from the run's seed alone, with the same numbers each time, so that two looks differ by what the
policy learned between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from assent.core import seeds
from assent.core.runlog import Answered
from assent.core.types import Prompt
from assent.data.splits import prompt_text
from assent.models.groups import pack
from assent.training.on_policy import Roles, by_row
from assent.training.on_policy_config import OnPolicyConfig
from assent.training.rewards import scores_of
from assent.training.rollouts import Rollouts, sample_rollouts


class Seen(NamedTuple):
    """The answers after some steps."""

    drawn: Rollouts
    rewards: list[float]
    """One per row."""
    kl: float
    """To the start, nats per answer: log π/π_ref, summed over each answer (k1)."""

    def measures(self) -> dict[str, float]:
        """Their means, as training logs those of its own answers."""
        return {
            "reward": sum(self.rewards) / len(self.rewards),
            "kl_per_response": self.kl,
            "length": sum(self.drawn.lengths) / len(self.drawn.lengths),
            "eos_rate": sum(self.drawn.finished) / len(self.drawn.finished),
        }

    def shown(self, count: int) -> list[Answered]:
        """The first answer to each of the first prompts."""
        firsts = range(0, len(self.drawn.texts), len(self.drawn.texts) // len(self.drawn.prompts))
        return [Answered(prompt_text(self.drawn.prompts[n]), self.drawn.texts[row]) for n, row in enumerate(firsts)][
            :count
        ]


class HeldOutAnswers:
    """Draws and scores the answers; those after the newest number of steps are kept, for whoever asks again."""

    def __init__(self, roles: Roles, config: OnPolicyConfig, *, seed: int) -> None:
        assert roles.held_out is not None
        self._roles, self._config, self._seed, self._prompts = roles, config, seed, roles.held_out.prompts
        self._samples = 1 if config.guards is None else config.guards.samples
        self._newest: tuple[int, Seen] | None = None

    @property
    def count(self) -> int:
        """How many answers are drawn at a time."""
        return len(self._prompts) * self._samples

    def after(self, taken: int) -> Seen:
        """The answers of the policy, which is that after so many steps."""
        if self._newest is None or self._newest[0] != taken:
            self._newest = taken, self._look(taken)
        return self._newest[1]

    def reward(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> list[float]:
        """The weighted sum of all terms, not clipped and not scaled by the batch, so that steps can be compared."""
        totals = [0.0] * len(texts)
        for term in self._roles.reward.terms:
            if term.weight:
                scores = scores_of(term.name, term.score, prompts, texts)
                totals = [total + term.weight * one for total, one in zip(totals, scores, strict=True)]
        return totals

    def _look(self, taken: int) -> Seen:
        roles = self._roles
        roles.writer.engine.load_weights(roles.policy, version=taken)
        drawn = sample_rollouts(
            roles.writer,
            self._prompts,
            num_samples=self._samples,
            sampling=self._config.sampling,
            seed=seeds.derive(self._seed, "guards"),
        )
        batches = pack(drawn.groups, budget=self._config.optimizer.tokens_per_microbatch)
        rows = [by_row(batches, [s.logps for s in who.score(batches)]) for who in (roles.policy, roles.reference)]
        apart = [(own - start).sum().cpu() for own, start in zip(*rows, strict=True)]
        return Seen(drawn, self.reward(drawn.row_prompts, drawn.texts), float(torch.stack(apart).mean()))
