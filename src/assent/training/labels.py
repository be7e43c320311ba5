"""Single answers called good or bad: what rankings, scores and flags say of each, for methods that need no pairs."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from assent.core.lazy import Lazy, Mapped
from assent.core.types import Comparison, Completion, Judgment, Marked, Prompt

Source = Literal["flags", "scores", "rankings"]
ROUNDING = 1e-9
"""Means nearer to 0 are 0: thirds and fifths of places do not add up to it exactly."""


@dataclass(frozen=True)
class Labelled:
    """A prompt with those of its answers of which anything is said."""

    prompt: Prompt
    completions: tuple[Completion, ...]
    says: tuple[float, ...]
    """Of each answer, from -1 (all call it bad) to 1 (all call it good); never 0."""
    weights: tuple[float, ...]
    """How much those count together who said it, up to 1."""


class Says(Lazy[tuple[float, ...]]):
    """What is said of the labelled answers of each task, and which of its answers these are, as numbers end to end."""

    def __init__(self) -> None:
        self._tasks, self._answers, self._means, self._weights = array("q"), array("i"), array("d"), array("d")
        self._ends = array("q", [0])

    def append(self, task: int, found: Mapping[int, tuple[float, float]]) -> None:
        """Put in one more task, by its place, with the mean and weight of each of its labelled answers by theirs."""
        self._tasks.append(task)
        for answer, (mean, weight) in found.items():
            self._answers.append(answer)
            self._means.append(mean)
            self._weights.append(weight)
        self._ends.append(len(self._means))

    def __len__(self) -> int:
        """Tasks with a labelled answer."""
        return len(self._tasks)

    def at(self, place: int) -> tuple[float, ...]:
        """What is said of the labelled answers of a task, from -1 to 1."""
        return tuple(self._means[self._ends[place] : self._ends[place + 1]])

    @property
    def weights(self) -> Sequence[tuple[float, ...]]:
        """How much it counts, for each task as `at` gives what is said."""
        ends = self._ends
        return Mapped(lambda place: tuple(self._weights[ends[place] : ends[place + 1]]), range(len(self)))

    @property
    def means(self) -> Sequence[float]:
        """Of all answers, one after another."""
        return self._means

    def of(self, judged: Sequence[Comparison | Marked]) -> Sequence[Labelled]:
        """The tasks themselves, of the ones that were labelled."""

        def labelled(place: int) -> Labelled:
            task = judged[self._tasks[place]]
            answers = self._answers[self._ends[place] : self._ends[place + 1]]
            kept = tuple(task.completions[i] for i in answers)
            return Labelled(task.prompt, kept, self.at(place), self.weights[place])

        return Mapped(labelled, range(len(self)))


@dataclass(frozen=True)
class Labels:
    """All labelled answers, and the count of what was used and what says nothing."""

    labelled: Sequence[Labelled]
    says: Says = field(default_factory=Says)
    used: Counter[Source] = field(default_factory=Counter)
    """Words on single answers, by where they come from."""
    silent: int = 0
    """Judgments that say of no answer whether it is good: ties of all, skipped scales, remarks and edits alone."""
    even: int = 0
    """Answers whose judges call them good and bad alike."""

    @property
    def good(self) -> int:
        """Answers that are good rather than bad."""
        return sum(say > 0 for say in self.says.means)

    @property
    def bad(self) -> int:
        """Answers that are bad rather than good."""
        return sum(say < 0 for say in self.says.means)

    def line(self) -> str:
        """What is used, in words."""
        kinds = ", ".join(f"{self.used[kind]} {kind}" for kind in ("rankings", "scores", "flags"))
        return (
            f"{self.good} good and {self.bad} bad answers (words on answers by {kinds}); {self.silent} judgments say of"
            f" no answer whether it is good, and of {self.even} answers as many judges say one as the other"
        )

    def facts(self) -> dict[str, int]:
        """The counts, for a manifest."""
        words = {f"labels_by_{kind}": self.used[kind] for kind in ("rankings", "scores", "flags")}
        return {"good": self.good, "bad": self.bad, **words, "silent_judgments": self.silent, "even_answers": self.even}


def labels_of(
    judged: Sequence[Comparison | Marked], *, middle: float, weight: Mapping[str, float] | None = None
) -> Labels:
    """What is said of each answer: the mean over those of its judges who say anything of it, as much as each weighs.

    `weight` is that of raters by their ids, 1 for those who are not named; who weighs nothing says nothing. An answer
    counts as much as those together who said it, up to 1: what only a rater of weight 0.3 said counts 0.3.
    """
    weights = weight or {}
    says, used, silent, even = Says(), Counter[Source](), 0, 0
    for task, one in enumerate(judged):
        said: dict[str, list[tuple[float, float]]] = {}
        for judgment in one.judgments:
            words = {c.id: word for c in one.completions if (word := word_on(judgment, c.id, middle)) is not None}
            own = weights.get(judgment.rater_id, 1.0)
            if not words or own <= 0:
                silent += 1
                continue
            for answer, (source, value) in words.items():
                used[source] += 1
                said.setdefault(answer, []).append((own, value))
        kept = {}
        for place, completion in enumerate(one.completions):
            if not (told := said.get(completion.id)):
                continue
            whole = sum(w for w, _ in told)
            mean = sum(w * v for w, v in told) / whole
            if abs(mean) < ROUNDING:
                even += 1
            else:
                kept[place] = (mean, min(1.0, whole))
        if kept:
            says.append(task, kept)
    return Labels(says.of(judged), says, used, silent, even)


def word_on(judgment: Judgment, answer: str, middle: float) -> tuple[Source, float] | None:
    """What one judgment says of an answer, from -1 to 1, and by what; None where it says nothing.

    A flag (unsafe, factually wrong, unusable) says bad, whatever the place. Else scores say good where their mean over
    criteria is above the `middle`, bad below. Else the place: answers below less those above, over all others, so that
    of a pair the better one is good and the worse one bad, and the middle of three says nothing.
    """
    if judgment.flags.get(answer):
        return "flags", -1.0
    if scores := judgment.scores.get(answer):
        above = sum(scores.values()) / len(scores) - middle
        return None if above == 0 else ("scores", 1.0 if above > 0 else -1.0)
    if judgment.ranking is None or answer not in judgment.ranking.ids or len(judgment.ranking.ids) < 2:
        return None
    rank = judgment.ranking.rank()
    place = sum((r > rank[answer]) - (r < rank[answer]) for r in rank.values()) / (len(rank) - 1)
    return None if place == 0 else ("rankings", place)
