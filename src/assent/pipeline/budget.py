"""A stated number of labels, split between demonstrations, rankings and evaluation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field, ValidationError

from assent.core.config import Config

VARIANCE = 0.25
"""Of one prompt's share of verdicts for the new policy: that of a coin, which is the most it can be."""


class BudgetConfig(Config):
    """How many labels people give in the whole run, and how small a difference evaluations have to detect. The
    labels that evaluations do not need go to rankings."""

    labels: int = Field(ge=1)
    """Judgments in all: rankings and second opinions of every round, and verdicts of every evaluation."""
    see: float = Field(default=0.1, gt=0, lt=0.5)
    """Smallest difference of a win rate from one half that each evaluation has to detect with a chance of 80 %."""
    demonstrations: int = Field(default=0, ge=0)
    """Answers that people write for this run."""
    demonstration_labels: float = Field(default=10.0, gt=0)
    """How many judgments one written answer counts as, since writing takes longer than ranking."""


@dataclass(frozen=True)
class Use:
    """What of the run labels are used for."""

    rounds: int
    evaluations: int
    """Of each round, and of all rounds together where there are several; 0 where nothing is evaluated."""
    verdicts: int
    """Of one prompt in an evaluation: both orders, times the raters of a pair."""
    overlap_share: float = 0.0
    overlap: int = 1
    second_opinions: float = 0.0

    def judgments(self, tasks: int) -> int:
        """Of so many tasks in one round: overlap and second opinions included."""
        return tasks + math.ceil(self.overlap_share * tasks) * (self.overlap - 1) + round(self.second_opinions * tasks)


@dataclass(frozen=True)
class Split:
    """The labels by what they are for, and the sizes of stages that follow."""

    demonstrations: int
    evaluation: int
    rankings: int
    tasks: int
    """Of each round."""
    evaluated: int
    """Prompts of each evaluation."""

    def line(self) -> str:
        """In words."""
        return (
            f"{self.rankings} judgments for rankings ({self.tasks} tasks a round), {self.evaluation} for evaluations"
            f" (of {self.evaluated} prompts each), demonstrations as dear as {self.demonstrations}"
        )


def split(budget: BudgetConfig, use: Use) -> Split:
    """Evaluations get what they need to see what they should; what is left after demonstrations goes to rankings.

    Raises ValueError where nothing is left, with the smallest budget that would do.
    """
    from assent.stats.power import prompts_needed  # brings scipy, which reading settings should not

    prompts = prompts_needed(budget.see, VARIANCE) if use.evaluations else 0
    evaluation = prompts * use.verdicts * use.evaluations
    written = math.ceil(budget.demonstrations * budget.demonstration_labels)
    left = budget.labels - evaluation - written
    tasks = max(0, left // use.rounds)
    while tasks and use.rounds * use.judgments(tasks) > left:
        tasks -= 1
    if tasks < 1:
        least = evaluation + written + use.rounds * use.judgments(1)
        raise ValueError(
            f"budget.labels is {budget.labels}, but evaluations that see a difference of {budget.see:g} take"
            f" {evaluation} and demonstrations {written}: give {least} or more, or see less"
        )
    return Split(written, evaluation, use.rounds * use.judgments(tasks), tasks, prompts)


def with_budget(values: Mapping[str, Any], collect: type[Config], evaluate: type[Config]) -> dict[str, Any]:
    """Settings of a run with the sizes that its budget decides; as they are where there is none, or it cannot be read.

    Raises ValueError where a size is stated that is another than the budget's.
    """
    laid = dict(values)
    given = laid.get("budget")
    if given is None:
        return laid
    try:
        budget = given if isinstance(given, BudgetConfig) else BudgetConfig.model_validate(given)
        asked = _read(collect, laid.get("collect"))
        judged = _read(evaluate, laid.get("evaluate", {}))
        rounds = int(laid.get("rounds", 1))
    except (ValidationError, ValueError, TypeError):
        return laid  # said where that part is read
    if asked is None:
        raise ValueError(
            "budget splits the labels of collect.raters, and collect is missing; set it, or leave budget out"
        )
    found = split(budget, use_of(rounds, asked, judged))
    _lay(laid, "sample", found.tasks)
    if judged is not None:
        _lay(laid, "evaluate", found.evaluated)
    return laid


def use_of(rounds: int, collect: Any, evaluate: Any) -> Use:
    """What of a run labels are used for, by its settings of collecting and evaluating (None: nothing is evaluated)."""
    evaluations = 0 if evaluate is None else rounds + (rounds > 1)
    verdicts = 0 if evaluate is None else 2 * evaluate.raters_per_pair
    return Use(rounds, evaluations, verdicts, collect.overlap_share, collect.overlap, collect.second_opinions)


def _read(kind: type[Config], given: Any) -> Config | None:
    return given if given is None or isinstance(given, kind) else kind.model_validate(given)


def _lay(values: dict[str, Any], part: str, prompts: int) -> None:
    given = values.get(part, {})
    said = given.get("prompts", prompts) if isinstance(given, Mapping) else given.prompts
    if said != prompts:
        raise ValueError(f"{part}.prompts is {said}, but budget makes it {prompts}; leave it out, or leave budget out")
    is_mapping = isinstance(given, Mapping)
    values[part] = {**given, "prompts": prompts} if is_mapping else given.model_copy(update={"prompts": prompts})
