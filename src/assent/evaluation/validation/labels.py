"""Labelled pairs: two answers to one prompt, what people said of them, and what the judge says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from assent.core.types import Comparison, Completion, Judgment, Prompt, Task
from assent.stats.estimate import Estimate

OVERALL = "overall"
"""The criterion of a ranking: which answer is better, all in all."""
SLICE_KEYS = ("kind", "intent", "source", "category", "language")
"""Keys of a prompt's or comparison's meta whose values are slices."""


@dataclass(frozen=True)
class LabelledPair:
    """Two answers with the votes of people: 1 where the first is better, 0 where the second is, 0.5 for a tie."""

    prompt: Prompt
    first: Completion
    second: Completion
    votes: Mapping[str, float]
    """By rater."""
    slices: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The same for the same two answers, whichever comes first."""
        return "/".join(sorted((self.first.id, self.second.id)))

    @property
    def share(self) -> float:
        """Share of the votes for the first."""
        return sum(self.votes.values()) / len(self.votes)

    @property
    def majority(self) -> float | None:
        """1 or 0 where more votes are for the one than for the other; None where they are even."""
        return None if self.share == 0.5 else float(self.share > 0.5)

    @property
    def longer(self) -> float:
        """1 where the first answer has more characters, 0 where it has fewer, 0.5 where both are equally long."""
        first, second = len(self.first.text), len(self.second.text)
        return 0.5 if first == second else float(first > second)


@dataclass(frozen=True)
class Said:
    """What the judge says of one pair."""

    pick: float | None
    """1 where the first is better, 0 where the second is, 0.5 for a tie; None where it abstained."""
    margin: float | None = None
    """Logits in favour of the first, whichever is shown first; None where the judge gives none."""
    position: float | None = None
    """Logits in favour of the one shown first."""


@dataclass(frozen=True)
class Validated:
    """Labelled pairs with what the judge said of each, in the same order."""

    pairs: tuple[LabelledPair, ...]
    said: tuple[Said, ...] = field(repr=False)

    def answered(self) -> list[tuple[LabelledPair, Said, float]]:
        """Pairs of which the judge said something, with its pick."""
        both = zip(self.pairs, self.said, strict=True)
        return [(pair, said, said.pick) for pair, said in both if said.pick is not None]


def labelled_pairs(comparisons: Iterable[Comparison], *, criterion: str = OVERALL) -> list[LabelledPair]:
    """Every pair of answers that somebody compared, in the order of the comparisons; equal texts are left out.

    For a criterion other than the ranking, votes are read from the scores of both answers on it.
    """
    found = []
    for comparison in comparisons:
        meta = {**comparison.prompt.meta, **comparison.meta}
        slices = tuple(f"{key}={meta[key]}" for key in SLICE_KEYS if meta.get(key) not in (None, ""))
        for first, second in combinations(comparison.completions, 2):
            cast = ((j.rater_id, vote(j, first.id, second.id, criterion=criterion)) for j in comparison.judgments)
            votes = {rater: said for rater, said in cast if said is not None}
            if votes and first.text != second.text:
                found.append(LabelledPair(comparison.prompt, first, second, votes, slices))
    return found


def vote(judgment: Judgment, first: str, second: str, *, criterion: str = OVERALL) -> float | None:
    """1, 0 or 0.5, as a judgment compares two answers; None where it says nothing of one of them."""
    if criterion == OVERALL:
        rank = {} if judgment.ranking is None else judgment.ranking.rank()
        if first not in rank or second not in rank:
            return None
        lead = rank[second] - rank[first]
    else:
        scores = [judgment.scores.get(name, {}).get(criterion) for name in (first, second)]
        if scores[0] is None or scores[1] is None:
            return None
        lead = scores[0] - scores[1]  # type: ignore[assignment]
    return 0.5 if lead == 0 else float(lead > 0)


def tasks_of(pairs: Sequence[LabelledPair], *, name: str = "validate") -> list[Task]:
    """One task for each pair, with origin and meta stripped from the answers, so that nobody sees who wrote what."""
    return [
        Task(id=f"{name}-{number}", prompt=pair.prompt, completions=(_stripped(pair.first), _stripped(pair.second)))
        for number, pair in enumerate(pairs)
    ]


def said_of(tasks: Sequence[Task], judgments: Iterable[Judgment], *, criterion: str = OVERALL) -> list[Said]:
    """What judgments of pair tasks say, in the order of the tasks; a task without a judgment counts as abstained."""
    by_task = {one.task_id: one for one in judgments}
    found = []
    for task in tasks:
        judgment = by_task.get(task.id)
        first, second = (completion.id for completion in task.completions)
        if judgment is None:
            found.append(Said(None))
            continue
        reading: dict[str, Any] = next(
            (r for r in judgment.details.get("pairs", ()) if {r["first"], r["second"]} == {first, second}), {}
        )
        sign = 1 if reading.get("first") == first else -1
        margin = None if reading.get("margin") is None or criterion != OVERALL else sign * float(reading["margin"])
        found.append(Said(vote(judgment, first, second, criterion=criterion), margin, reading.get("position")))
    return found


def clustered(
    make: Callable[[list[float], list[str]], Estimate], values: Sequence[tuple[float, str]]
) -> Estimate | None:
    """The estimate that `make` gives of (value, prompt or person); None with fewer than two of those."""
    clusters = [cluster for _, cluster in values]
    if len(set(clusters)) < 2:
        return None
    return make([value for value, _ in values], clusters).model_copy(update={"n": len(values)})


def _stripped(completion: Completion) -> Completion:
    return Completion(prompt_id=completion.prompt_id, text=completion.text, id=completion.id)
