"""One right answer among several: how RewardBench 2 scores all but its Ties (Malik et al. 2025, arXiv 2506.01937).

The right answer counts 1/k where it is among k joint best ones, else 0. The baselines `longest` and `shortest` are the
ruler beside it: parts of RewardBench are solved by length alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assent.core.types import Prompt
from assent.data.rows import Row
from assent.evaluation.exam import Exam, Suite, rows_of
from assent.evaluation.outcomes import Kind, Outcome
from assent.evaluation.preferences import credit, preferences
from assent.evaluation.suites.config import BestOfConfig

TIES = "ties"


@dataclass(frozen=True)
class Item:
    """A prompt with its right answer first and the wrong ones after it."""

    id: str
    prompt: Prompt
    answers: tuple[str, ...]
    group: str


def load(config: BestOfConfig) -> list[Item]:
    """The rows of the file but those of Ties, which suite `ties` is for."""
    items = []
    for row in rows_of(config.path):
        group = row.optional_text("subset")
        if _is_tie(row):
            continue
        chosen, rejected = answers_of(row, "chosen"), answers_of(row, "rejected")
        if len(chosen) != 1:
            raise row.error(f"'chosen' holds {len(chosen)} answers; one is right here, several are for suite ties")
        prompt = Prompt.of(row.text("prompt"))
        items.append(Item(f"{prompt.id}-{row.line}", prompt, (*chosen, *rejected), group))
    return items


def answers_of(row: Row, name: str) -> list[str]:
    """The answers of a column, which holds one as text or a list of them."""
    value = row.need(name)
    return [row.spoken(one, name) for one in ([value] if isinstance(value, str) else row.listed(name))]


def _is_tie(row: Row) -> bool:
    return row.optional_text("subset").casefold() == TIES


def examine(config: BestOfConfig, items: Sequence[Item], exam: Exam) -> list[Outcome]:
    """The right answer's share of the first place."""
    found = preferences(exam.subject, [one.prompt for one in items], [one.answers for one in items])
    return [
        Outcome(
            item=one.id,
            cluster=one.prompt.id,
            values={"accuracy": credit(values)[0]},
            group=one.group,
            prompt=one.prompt.text,
            answer=one.answers[values.index(max(values))],
        )
        for one, values in zip(items, found, strict=True)
    ]


def mean_of_subsets(outcomes: Sequence[Outcome]) -> float | None:
    """The plain mean of the accuracies of all subsets, however large each is."""
    by: dict[str, list[float]] = {}
    for one in outcomes:
        by.setdefault(one.group, []).append(one.values["accuracy"])
    return sum(sum(some) / len(some) for some in by.values()) / len(by) if by else None


SUITE = Suite(
    config=BestOfConfig,
    kinds={
        "accuracy": Kind("Share of prompts whose right answer is the best; 1/k where k are equally good."),
        "mean_of_subsets": Kind("The same as a plain mean over subsets.", statistic=mean_of_subsets),
    },
    abilities=frozenset({"likelihoods", "scores"}),
    load=load,
    examine=examine,
    cluster=lambda item: str(item.prompt.id),
    notes=lambda config, outcomes: {"rows of Ties, left to suite ties": sum(map(_is_tie, rows_of(config.path)))},
)
