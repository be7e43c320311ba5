"""One simulated person: a true utility seen through noise, leans, carelessness, inversion and fatigue.

The value that answer i seems to have, in logits, is

    v_i = a · u_i + position · [shown first] + length · log(words_i) + identity · [names a group] + Gumbel noise

so that without ties P(i above j) = sigmoid(a · (u_i - u_j) + leans) and the whole order follows the Plackett-Luce model
(Plackett 1975). Answers are tied within a threshold, which for pairs is the model of Rao and Kupper (1967).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from assent.core import seeds
from assent.core.shown import shown
from assent.core.types import Judgment, Prompt, Ranking, Rater, Task
from assent.raters.rater import judgment_id, tiered

Utility = Callable[[Prompt, str, str], float]
"""(prompt, answer, group) -> how good the answer is for people of that group."""
Truths = Callable[[Prompt, str], Mapping[str, float]]
"""(prompt, answer) -> axis -> how well it does, from 0 to 1."""
_SCORE_NOISE = 0.5  # points


@dataclass(frozen=True)
class Traits:
    """What makes one person differ from another."""

    group: str = "neutral"
    sharpness: float = 1.0
    """Logits per unit of utility; negative for somebody who reads the scale the wrong way round."""
    careless: float = 0.0
    """Probability of ranking a task at random."""
    position_lean: float = 0.0
    """Logits for the answer shown first."""
    length_lean: float = 0.0
    """Logits per unit of log words."""
    identity_lean: float = 0.0
    """Logits for an answer that holds one of `identity_words`."""
    identity_words: tuple[str, ...] = ()
    fatigue: float = 0.0
    """Over one sitting, sharpness falls by the factor exp(-fatigue)."""
    sitting: int = 40
    """Tasks in one sitting."""
    tie_threshold: float = 0.0
    """Answers that seem closer than this, in logits, are tied."""
    strength_cuts: tuple[float, float, float] = (1.0, 2.0, 3.5)
    """Seeming gaps from which on an answer is 2, 3 or 4 degrees better."""
    words_per_minute: float = 240.0
    severity: Mapping[str, float] = field(default_factory=dict)
    """Points that this person adds to scores, by criterion; criteria that are not named are not scored."""


@dataclass(frozen=True)
class SimulatedRater:
    """A person made of a utility and traits. Everything random depends on (seed, rater, task) and on nothing else."""

    record: Rater
    traits: Traits
    utility: Utility = field(repr=False)
    seed: int = 0
    truth: Truths | None = field(default=None, repr=False)
    """What is true of an answer, by criterion; None: this person scores by none."""

    def judge(self, tasks: Sequence[Task]) -> list[Judgment]:
        """One judgment per task, the same whenever and with whatever else it is asked.

        For the same reason the place of a task in its sitting, on which fatigue depends, is drawn and not counted.
        """
        return [self._judge(task) for task in tasks]

    def order_shown(self, task: Task) -> tuple[str, ...]:
        """The order in which this person sees the answers: shuffled, except in evaluations.

        An evaluation asks each pair in both orders, one task for each, so there the task's own order is kept.
        """
        ids = [completion.id for completion in task.completions]
        if task.purpose == "evaluation":
            return tuple(ids)
        return tuple(ids[i] for i in self._stream("shown", task).permutation(len(ids)))

    def _judge(self, task: Task) -> Judgment:
        shown = self.order_shown(task)
        is_careless = bool(self._stream("careless", task).random() < self.traits.careless)
        seeming = self._seeming(task, shown[0], is_careless=is_careless)
        return Judgment(
            task_id=task.id,
            rater_id=self.record.id,
            ranking=self._ranking(seeming),
            id=judgment_id(self.record.id, task.id, self.seed),
            order_shown=shown,
            seconds=self._seconds(task, is_careless=is_careless),
            scores=self._scores(task, is_careless=is_careless),
        )

    def _scores(self, task: Task, *, is_careless: bool) -> dict[str, dict[str, float]]:
        """Each answer by each criterion, whole points from 1 to 5; the careless draw any."""
        if self.truth is None:
            return {}
        found: dict[str, dict[str, float]] = {}
        for completion in task.completions:
            true = self.truth(task.prompt, completion.text)
            found[completion.id] = {}
            for name, severity in self.traits.severity.items():
                noise = self._stream(f"score {name} {completion.id}", task)
                seems = 1 + 4 * true[name] + severity + float(noise.normal(0, _SCORE_NOISE))
                points = int(noise.integers(1, 6)) if is_careless else round(seems)
                found[completion.id][name] = float(min(5, max(1, points)))
        return found

    def _seeming(self, task: Task, first: str, *, is_careless: bool) -> dict[str, float]:
        """The value that each answer seems to have, in logits; to the careless all are alike."""
        noise = self._stream("noise", task).gumbel(size=len(task.completions))
        # Keyed by answer, so that the order in which a task lists them changes nothing.
        by_id = dict(zip(sorted(c.id for c in task.completions), noise.tolist(), strict=True))
        if is_careless:
            return by_id
        sharpness = self.traits.sharpness * math.exp(-self.traits.fatigue * self._place_in_sitting(task))
        for completion in task.completions:
            by_id[completion.id] += sharpness * self.utility(task.prompt, completion.text, self.traits.group)
            by_id[completion.id] += self.traits.position_lean * (completion.id == first)
            by_id[completion.id] += self.traits.length_lean * math.log(max(1, _count_words(completion.text)))
            by_id[completion.id] += self.traits.identity_lean * _names(completion.text, self.traits.identity_words)
        return by_id

    def _place_in_sitting(self, task: Task) -> float:
        """From 0, fresh, to just below 1, tired."""
        return int(self._stream("sitting", task).integers(self.traits.sitting)) / self.traits.sitting

    def _ranking(self, seeming: dict[str, float]) -> Ranking:
        """Tiers, with strengths read off this person's own cut-points between the best of neighbouring tiers."""
        ranking = tiered(seeming, threshold=self.traits.tie_threshold)
        tops = [max(seeming[i] for i in tier) for tier in ranking.tiers]
        gaps = [upper - lower for upper, lower in pairwise(tops)]
        strengths = tuple(1 + sum(gap > cut for cut in self.traits.strength_cuts) for gap in gaps)
        return Ranking(tiers=ranking.tiers, strengths=strengths)

    def _seconds(self, task: Task, *, is_careless: bool) -> float:
        """Active seconds: reading everything once and two seconds of decision per answer; the careless skim."""
        words = sum(_count_words(one.text) for one in shown(task.prompt))
        words += sum(_count_words(c.text) for c in task.completions)
        seconds = 60 * words / self.traits.words_per_minute + 2 * len(task.completions)
        haste = 0.15 if is_careless else 1.0
        return round(float(seconds * haste * np.exp(self._stream("seconds", task).normal(0, 0.3))), 1)

    def _stream(self, name: str, task: Task) -> np.random.Generator:
        return seeds.stream(self.seed, "simulated", name, self.record.id, task.id)


def lab_utility() -> Utility:
    """The true utility of the built-in lab, for its groups of people."""
    from assent.lab.people import utility
    from assent.lab.truth import read

    return lambda prompt, text, group: utility(read(prompt, text), group)


def lab_truths() -> Truths:
    """The true axes of the built-in lab."""
    from assent.lab.truth import read

    return lambda prompt, text: read(prompt, text).axes()


def _names(text: str, words: Sequence[str]) -> bool:
    """Whether any of the words stands in the text, as a word of its own, in any case."""
    return any(re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE) for word in words)


def _count_words(text: str) -> int:
    return len(text.split())
