"""Sheets: what each rater said of the answers of one prompt, by the models that wrote them; and what is left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import NamedTuple

from assent.core.types import Judgment, RaterKind
from assent.feedback.quality.agreement import hit
from assent.feedback.quality.facts import TaskFacts

Scale = tuple[float, float]
"""The lowest and the highest score."""
PEOPLE: frozenset[RaterKind] = frozenset({"person", "simulated"})
"""Kinds of raters who stand for people; all others are judges."""


class Score(NamedTuple):
    """One rater's score of one answer on one criterion."""

    criterion: str
    value: float
    rater_id: str
    prompt_id: str
    answer: str
    model: str
    """Who wrote the answer, as its source says; empty where that is not known."""


class Choice(NamedTuple):
    """Which of two answers a ranking prefers."""

    prompt_id: str
    first: str
    second: str
    score: float
    """1 the first, 0 the second, ½ a tie."""


@dataclass(frozen=True)
class Sheet:
    """What one rater said of the answers of one prompt."""

    rater_id: str
    prompt_id: str
    models: Mapping[str, str]
    """Answer -> model, of all answers that the rater was shown."""
    judgment: Judgment

    @classmethod
    def of(cls, judgment: Judgment, facts: TaskFacts) -> Sheet:
        """A judgment with what is known of its task."""
        models = {answer: facts.models.get(answer, "") for answer in facts.answer_words}
        return cls(judgment.rater_id, facts.prompt_id, models, judgment)

    @property
    def scores(self) -> list[Score]:
        """Every score; a criterion that was not touched has none."""
        return [
            Score(criterion, value, self.rater_id, self.prompt_id, answer, model)
            for answer, model in self.models.items()
            for criterion, value in self.judgment.scores.get(answer, {}).items()
        ]

    @property
    def choices(self) -> list[Choice]:
        """Every pair of answers that its ranking compares."""
        rank = {} if self.judgment.ranking is None else self.judgment.ranking.rank()
        known = sorted(answer for answer in rank if answer in self.models)
        return [Choice(self.prompt_id, a, b, hit(rank[b] - rank[a])) for a, b in combinations(known, 2)]


@dataclass(frozen=True)
class Sheets:
    """The sheets of one side, people or judges, and the judgments that are none of them."""

    found: tuple[Sheet, ...]
    left_out: Mapping[str, int] = field(default_factory=dict)
    """skipped; repeats and gold, which measure raters rather than answers; unknown, whose task is not there."""

    @classmethod
    def read(
        cls,
        judgments: Iterable[Judgment],
        facts: Mapping[str, TaskFacts],
        *,
        gold: Collection[str] = (),
        repeats: Collection[str] = (),
    ) -> Sheets:
        """Every judgment that says something of an ordinary task; `gold` and `repeats` name tasks that are not."""
        found, left_out = [], Counter[str]()
        for judgment in judgments:
            known = facts.get(judgment.task_id)
            why = "skipped" if judgment.skip_reason else "repeats" if judgment.task_id in repeats else ""
            why = why or ("gold" if judgment.task_id in gold else "" if known else "unknown")
            if why or known is None:
                left_out[why] += 1
            else:
                found.append(Sheet.of(judgment, known))
        return cls(tuple(found), dict(sorted(left_out.items())))

    @property
    def scores(self) -> list[Score]:
        """All scores of all sheets."""
        return [score for sheet in self.found for score in sheet.scores]


def by_side(judgments: Iterable[Judgment], kinds: Mapping[str, RaterKind]) -> tuple[list[Judgment], list[Judgment]]:
    """Judgments of people, and those of judges; a rater whose kind is not known counts as a person."""
    people: list[Judgment] = []
    judges: list[Judgment] = []
    for judgment in judgments:
        (people if kinds.get(judgment.rater_id, "person") in PEOPLE else judges).append(judgment)
    return people, judges


def by_answer(scores: Iterable[Score]) -> dict[tuple[str, str, str], float]:
    """(prompt, answer, model) -> the mean of what all raters gave it, so that each answer counts once."""
    given: dict[tuple[str, str, str], list[float]] = {}
    for one in scores:
        given.setdefault((one.prompt_id, one.answer, one.model), []).append(one.value)
    return {key: sum(values) / len(values) for key, values in given.items()}
