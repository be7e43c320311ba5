"""What an on-policy method maximises: any weighted sum of functions of (prompts, completions)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

from torch import Tensor

from assent.core.errors import DataError
from assent.core.scoring import Score, ScoreFunction
from assent.core.types import Prompt
from assent.data.render import Renderer
from assent.data.talks import fit_comparisons
from assent.learner import peers
from assent.learner.learner import Scorer
from assent.learner.scorer import score_groups
from assent.training.term_config import Normalize


@dataclass
class Cut:
    """How many prompts a reward model read without their beginning, since they were too long for it."""

    asked: int = 0
    shortened: int = 0
    truncated: int = 0

    @property
    def total(self) -> int:
        """Prompts that lost something."""
        return self.shortened + self.truncated


@dataclass(frozen=True)
class ModelReward:
    """Scores of a reward model, which reads text with its own tokenizer and template.

    What is longer than `max_length` is cut as its training data were cut where `too_long` is truncate_left: first
    exchanges go, then the beginning of the prompt. Answers are never cut.
    """

    scorer: Scorer[Tensor]
    """Raw score of each row [B]."""
    renderer: Renderer
    tokens_per_microbatch: int
    mean: float = 0.0
    """Subtracted from raw scores: the mean on the answers it was trained on, 0 for raw ones."""
    std: float = 1.0
    """By which they are divided then."""
    max_length: int = 2**31
    """Tokens of the longest row that it may read: its context, or less where it learned from shorter rows only."""
    cut: Cut = field(default_factory=Cut, compare=False)
    """What was cut so far."""
    is_shared: ClassVar[bool] = True
    """Processes that train together score together."""

    def __call__(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
        """Score each completion; neighbours that share a prompt share its computation.

        Raises DataError where an answer alone is longer than it may read.
        """
        asked: list[tuple[Prompt, Sequence[str], Sequence[bool]]] = []
        start = 0
        for end in range(1, len(prompts) + 1):
            if end == len(prompts) or prompts[end].id != prompts[start].id:
                asked.append((prompts[start], completions[start:end], [True] * (end - start)))
                start = end
        fitted = fit_comparisons(asked, self.renderer, max_length=self.max_length, policy="truncate_left")
        if fitted.dropped:
            lost = next(i for i in range(len(asked)) if i not in set(fitted.kept))
            raise DataError(
                f"an answer to prompt {asked[lost][0].id!r} leaves no room for the prompt in the {self.max_length}"
                " tokens that the reward model reads; lower max_new_tokens, or take one with a longer context"
            )
        self.cut.asked += len(asked)
        self.cut.shortened += fitted.shortened
        self.cut.truncated += fitted.truncated
        scores = score_groups(self.scorer, fitted.flat, budget=self.tokens_per_microbatch)
        return [(s - self.mean) / self.std for s in scores]


def cut_lines(*scores: Score) -> list[str]:
    """What reward models among these read without its beginning, in words; empty where all was read whole."""
    models = [one for one in scores if isinstance(one, ModelReward) and one.cut.total]
    return [
        f"the reward model read {one.cut.total} of {one.cut.asked} prompts without their beginning, to fit"
        f" {one.max_length} tokens ({one.cut.shortened} lost first exchanges, {one.cut.truncated} part of a prompt)"
        for one in models
    ]


@runtime_checkable
class Watched(Protocol):
    """A term that has more to tell of its last call than the scores."""

    def watched(self) -> Mapping[str, float]:
        """Number by name: the spread of an ensemble, the share of answers without a verdict."""
        ...


class Term(NamedTuple):
    """One summand of a reward."""

    weight: float
    name: str
    score: Score
    normalize: Normalize = "none"

    def measure(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> Measured:
        """Scores of some answers. Raises FunctionError naming term and answer of the first NaN or infinite score."""
        raw = scores_of(self.name, self.score, prompts, completions)
        facts = {f"reward/{self.name}": math.fsum(raw) / len(raw)}
        if isinstance(self.score, Watched):
            seen = peers.from_first(self.score.watched)
            facts |= {f"{what}/{self.name}": value for what, value in seen.items()}
        return Measured(raw if self.normalize == "none" else standardized(raw), facts)


class Measured(NamedTuple):
    """Scores of some answers as they enter the sum, and what is logged of them: their mean before any scaling."""

    scores: list[float]
    facts: dict[str, float]


class Scores(NamedTuple):
    """Rewards of some answers, and what is logged of every term."""

    totals: list[float]
    facts: dict[str, float]


@dataclass(frozen=True)
class WeightedRewards:
    """The weighted sum, clipped. A term of weight 0 is only watched."""

    terms: tuple[Term, ...]
    clip: float | None

    def __call__(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> Scores:
        """Raises FunctionError naming the term and the answer of the first NaN or infinite score."""
        totals = [0.0] * len(completions)
        facts: dict[str, float] = {}
        for term in self.terms:
            scores, seen = term.measure(prompts, completions)
            totals = [total + term.weight * score for total, score in zip(totals, scores, strict=True)]
            facts |= seen
        if self.clip is not None:
            totals = [max(-self.clip, min(self.clip, t)) for t in totals]
        return Scores(totals, facts)


def scores_of(name: str, score: Score, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
    """Scores of some answers. Of processes that train together the first asks, but what models say they ask together.

    So a judge is paid once, and a function that is not the same each time tells all processes the same. Raises
    FunctionError naming term and answer of the first NaN or infinite score.
    """
    ask = ScoreFunction(name, score)
    if getattr(score, "is_shared", False):
        return list(ask(prompts, completions))
    return peers.from_first(lambda: list(ask(prompts, completions)))


def standardized(scores: Sequence[float]) -> list[float]:
    """Scores less their mean, divided by their deviation; zeros where all are alike."""
    mean = math.fsum(scores) / len(scores)
    deviation = math.sqrt(math.fsum((s - mean) ** 2 for s in scores) / len(scores))
    return [(s - mean) / deviation if deviation > 0 else 0.0 for s in scores]
