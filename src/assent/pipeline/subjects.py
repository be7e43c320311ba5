"""What suites examine: policies and reward models of a run as subjects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np

from assent.core.errors import UserError
from assent.core.group import Group
from assent.core.progress import Bar
from assent.core.types import Prompt
from assent.data.plain_text import plain_group
from assent.data.render import Renderer
from assent.data.talks import fit_comparisons
from assent.evaluation.subject import Ability, Subject, TooLongError
from assent.generation.config import Sampling
from assent.generation.writer import Writer
from assent.learner.learner import Scorer
from assent.learner.scorer import sum_logps
from assent.models.policy import TokenScores
from assent.training.rewards import ModelReward

Watch = Callable[[str, int], AbstractContextManager[Bar]]
"""Opens a bar of so many steps: `RunLog.progress`, `Screen.bar`."""
AT_ONCE = 256
"""Answers that a reward model scores between two steps of its bar."""


@dataclass(frozen=True)
class PolicySubject:
    """A policy as suites ask it."""

    name: str
    writer: Writer
    renderer: Renderer
    scorer: Scorer[TokenScores]
    context: int
    """Tokens that question and answer may have together."""
    tokens_per_microbatch: int
    watch: Watch = field(repr=False)

    @property
    def abilities(self) -> frozenset[Ability]:
        """It answers, and says how likely a text is."""
        return frozenset({"answers", "likelihoods"})

    def room(self, prompt: Prompt) -> int | None:
        """Tokens left for an answer; see `Bounded`."""
        return self.writer.room(prompt)

    @property
    def ruler(self) -> Subject:
        """What only says whether something fits."""
        return Ruler(self)

    def answers(self, prompts: Sequence[Prompt], *, sampling: Sampling, seed: int) -> list[str]:
        """Its answers; see `Subject`. Raises TooLongError naming a prompt that leaves no room for an answer."""
        self.refuse_no_room(prompts, sampling)
        with self.watch(f"answers of {self.name}", len(prompts)) as bar:
            rows = self.writer.write(
                prompts, num_samples=1, sampling=sampling, seed=seed, on_progress=lambda n: bar.advance(n)
            )
        return [row[0].text for row in rows]

    def likelihoods(self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]]) -> list[list[float]]:
        """Log-probs of whole answers; see `Subject`."""
        return self._sums(self.answered(prompts, options))

    def continuations(self, texts: Sequence[str], options: Sequence[Sequence[str]]) -> list[list[float]]:
        """Log-probs of plain text; see `Subject`."""
        return self._sums(self.continued(texts, options))

    def answered(self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]]) -> list[Group]:
        """Prompts with whole answers as tokens. Raises TooLongError."""
        groups = [self.renderer.group(prompt, list(some)) for prompt, some in zip(prompts, options, strict=True)]
        return self._that_fit(groups)

    def continued(self, texts: Sequence[str], options: Sequence[Sequence[str]]) -> list[Group]:
        """Plain texts with what comes after them as tokens. Raises TooLongError."""
        tokenizer = self.renderer.tokenizer
        return self._that_fit([plain_group(tokenizer, text, some) for text, some in zip(texts, options, strict=True)])

    def refuse_no_room(self, prompts: Sequence[Prompt], sampling: Sampling) -> None:
        """Raise TooLongError for a prompt that leaves no room for an answer."""
        for prompt in prompts:
            room = self.writer.room(prompt)
            if room is not None and room < sampling.max_new_tokens:
                raise TooLongError(
                    f"suite prompt {prompt.text[:60]!r} leaves {room} of {sampling.max_new_tokens} tokens for an answer"
                    f" in the context of {self.name}; lower sampling.max_new_tokens of the suite"
                )

    def scores(self, prompts: Sequence[Prompt], answers: Sequence[str]) -> list[float]:
        """It gives none."""
        raise UserError(f"{self.name} is a policy and gives no scores; name a reward model")

    def _that_fit(self, groups: list[Group]) -> list[Group]:
        for group in groups:
            if group.longest > self.context:
                raise TooLongError(
                    f"an item of the suite has {group.longest} tokens, and {self.name} reads {self.context}; take a"
                    " policy with a longer context"
                )
        return groups

    def _sums(self, groups: Sequence[Group]) -> list[list[float]]:
        number = sum(len(group.continuations) for group in groups)
        with self.watch(f"likelihoods by {self.name}", number) as bar:
            found = sum_logps(
                self.scorer, groups, budget=self.tokens_per_microbatch, on_progress=lambda n: bar.advance(n)
            )
        sums = found.double().numpy()
        ends = np.cumsum([len(group.continuations) for group in groups])[:-1]
        return [part.tolist() for part in np.split(sums, ends)] if groups else []


@dataclass(frozen=True)
class Ruler:
    """A policy that reads how long everything is and answers nothing."""

    policy: PolicySubject

    @property
    def name(self) -> str:
        """That of the policy."""
        return self.policy.name

    @property
    def abilities(self) -> frozenset[Ability]:
        """Those of the policy."""
        return self.policy.abilities

    def room(self, prompt: Prompt) -> int | None:
        """As the policy says."""
        return self.policy.room(prompt)

    def answers(self, prompts: Sequence[Prompt], *, sampling: Sampling, seed: int) -> list[str]:
        """Empty answers; raises TooLongError."""
        self.policy.refuse_no_room(prompts, sampling)
        return [""] * len(prompts)

    def likelihoods(self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]]) -> list[list[float]]:
        """Zeros; raises TooLongError."""
        return [[0.0] * len(group.continuations) for group in self.policy.answered(prompts, options)]

    def continuations(self, texts: Sequence[str], options: Sequence[Sequence[str]]) -> list[list[float]]:
        """Zeros; raises TooLongError."""
        return [[0.0] * len(group.continuations) for group in self.policy.continued(texts, options)]

    def scores(self, prompts: Sequence[Prompt], answers: Sequence[str]) -> list[float]:
        """None, as of the policy."""
        return self.policy.scores(prompts, answers)


@dataclass(frozen=True)
class RewardSubject:
    """A reward model as suites ask it."""

    name: str
    model: ModelReward
    watch: Watch = field(repr=False)

    @property
    def abilities(self) -> frozenset[Ability]:
        """It scores."""
        return frozenset({"scores"})

    def answers(self, prompts: Sequence[Prompt], *, sampling: Sampling, seed: int) -> list[str]:
        """It gives none."""
        raise UserError(f"{self.name} is a reward model and writes no answers; name a policy")

    def likelihoods(self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]]) -> list[list[float]]:
        """It gives none."""
        raise UserError(f"{self.name} is a reward model and gives no likelihoods; name a policy")

    def continuations(self, texts: Sequence[str], options: Sequence[Sequence[str]]) -> list[list[float]]:
        """It gives none."""
        raise UserError(f"{self.name} is a reward model and gives no likelihoods; name a policy")

    @property
    def ruler(self) -> Subject:
        """What only says whether something fits."""
        return RewardRuler(self.name, self.model, self.watch)

    def scores(self, prompts: Sequence[Prompt], answers: Sequence[str]) -> list[float]:
        """Its scores; see `Subject`."""
        found: list[float] = []
        with self.watch(f"scores by {self.name}", len(prompts)) as bar:
            for start, end in _parts(prompts):
                found += self.model(prompts[start:end], answers[start:end])
                bar.advance(end - start)
        return found


class RewardRuler(RewardSubject):
    """A reward model that reads how long everything is and scores nothing."""

    def scores(self, prompts: Sequence[Prompt], answers: Sequence[str]) -> list[float]:
        """Zeros; raises TooLongError for an answer that leaves no room for any of its prompt."""
        asked = [(prompt, (answer,), (True,)) for prompt, answer in zip(prompts, answers, strict=True)]
        limit = self.model.max_length
        if fit_comparisons(asked, self.model.renderer, max_length=limit, policy="truncate_left").dropped:
            raise TooLongError(
                f"an answer of the suite leaves no room for its prompt in the {limit} that {self.name} reads"
            )
        return [0.0] * len(answers)


def _parts(prompts: Sequence[Prompt]) -> Iterator[tuple[int, int]]:
    """Parts of about AT_ONCE answers; neighbours of one prompt stay together, since they share its computation."""
    start = end = 0
    for _, some in groupby(prompts, key=lambda prompt: prompt.id):
        end += len(list(some))
        if end - start >= AT_ONCE:
            yield start, end
            start = end
    if end > start:
        yield start, end
