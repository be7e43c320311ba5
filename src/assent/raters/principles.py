"""Judges by principles: one rater for each principle of a constitution, or one for all of them together.

A language model is asked by `LogitJudge` or `EndpointJudge`, with the principle as the only criterion; a program scores
answers, and the margin of a pair is the difference of its scores. Every judgment keeps which principle, of which
constitution and version, and the margin of each pair; the one of all principles keeps those of each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from assent.core.hashing import short
from assent.core.scoring import ScoreFunction
from assent.core.types import Judgment, Rater, Task
from assent.raters.config import ConstitutionConfig
from assent.raters.constitution import Constitution, Principle
from assent.raters.margins import PairReading, in_details, order, pairs_asked, pairs_in, strengths
from assent.raters.rater import SingleRater, given, judgment_id

NO_DIFFERENCE = "sees no difference"
"""How the reason of a skip ends where a principle has nothing to say of any of the answers."""
MEAN = "mean"
"""The principle that a judgment by all principles names."""


@dataclass(frozen=True)
class PrincipleJudge:
    """A judge that was asked by one principle, and says by which."""

    inner: SingleRater
    constitution: Constitution
    principle: Principle
    abstains: bool = True
    """Whether it says nothing where it sees no difference between any of the answers: a tie would say that they are
    equally good, and one principle does not know that."""

    @property
    def record(self) -> Rater:
        """That of the judge."""
        return self.inner.record

    def judge(self, tasks: Sequence[Task]) -> list[Judgment]:
        """What the judge says, with the principle in the details."""
        return [self._marked(one) for one in self.inner.judge(tasks)]

    def judge_each(self, tasks: Sequence[Task]) -> Iterator[Judgment]:
        """The same one by one, as the judge gives them."""
        for said in given(self.inner, tasks):
            yield from map(self._marked, said)

    def lines(self) -> list[str]:
        """What the judge says of its work, in words."""
        told = getattr(self.inner, "lines", None)
        return [f"{self.principle.id}: {line}" for line in told()] if told is not None else []

    def _marked(self, judgment: Judgment) -> Judgment:
        details = judgment.details | _named(self.constitution, self.principle.id)
        named = judgment.model_copy(update={"details": details})
        return silenced(named, self.principle.id) if self.abstains else named


@dataclass(frozen=True)
class ProgramJudge:
    """A program that scores each answer by one principle; higher is more in keeping with it."""

    record: Rater
    principle: Principle
    function: Any = field(repr=False)
    """(principle, prompts, answers) -> a score each."""
    config: ConstitutionConfig

    def judge(self, tasks: Sequence[Task]) -> list[Judgment]:
        """One judgment per task, from one call. Raises FunctionError naming the program and the first bad score."""
        answers = [(task, completion) for task in tasks for completion in task.completions]
        name = f"{self.config.backend.name} by {self.principle.id}"
        scores = ScoreFunction(name, lambda prompts, texts: self.function(self.principle.id, prompts, texts))(
            [task.prompt for task, _ in answers], [completion.text for _, completion in answers]
        )
        of = {(task.id, one.id): score for (task, one), score in zip(answers, scores, strict=True)}
        return [self._judgment(task, {one.id: of[task.id, one.id] for one in task.completions}) for task in tasks]

    def _judgment(self, task: Task, scores: Mapping[str, float]) -> Judgment:
        ids = list(scores)
        pairs = [
            PairReading(ids[a], ids[b], round(scores[ids[a]] - scores[ids[b]], 4), position=0.0, mass=1.0)
            for a, b in pairs_asked(ids)
        ]
        return judged(self.record, task, pairs, self.config)


@dataclass(frozen=True)
class MeanJudge:
    """One rater out of all principles: of every pair the weighted mean of their margins."""

    record: Rater
    members: tuple[PrincipleJudge, ...]
    constitution: Constitution
    config: ConstitutionConfig
    abstains: bool = True
    """As of a `PrincipleJudge`."""

    def judge(self, tasks: Sequence[Task]) -> list[Judgment]:
        """One judgment per task; where one principle has no verdict the task is skipped with its reason."""
        said = [member.judge(tasks) for member in self.members]
        return [self._mean(task, list(row)) for task, row in zip(tasks, zip(*said, strict=True), strict=True)]

    def lines(self) -> list[str]:
        """What each says of its work, in words."""
        return [line for one in self.members for line in one.lines()]

    def _mean(self, task: Task, said: list[Judgment]) -> Judgment:
        mark = _named(self.constitution, MEAN)
        silent = [(m, j) for m, j in zip(self.members, said, strict=True) if j.skip_reason is not None]
        if silent:
            member, judgment = silent[0]
            reason = f"{member.principle.id}: {judgment.skip_reason}"
            own = judgment_id(self.record.id, task.id)
            return Judgment(task_id=task.id, rater_id=self.record.id, id=own, skip_reason=reason, details=mark)
        read = {member.principle.id: pairs_in(one) for member, one in zip(self.members, said, strict=True)}
        weights = self.constitution.weights
        total = sum(weights[name] for name in read)
        pairs = [
            PairReading(
                together[0].first,
                together[0].second,
                round(sum(weights[n] * one.margin for n, one in zip(read, together, strict=True)) / total, 4),
                round(sum(weights[n] * one.position for n, one in zip(read, together, strict=True)) / total, 4),
                min(one.mass for one in together),
            )
            for together in zip(*read.values(), strict=True)
        ]
        each = {name: in_details(some)["pairs"] for name, some in read.items()} if pairs else {}
        mean = judged(self.record, task, pairs, self.config)
        whole = mean.model_copy(update={"details": mean.details | mark | {"principles": each}})
        return silenced(whole, self.constitution.name) if self.abstains else whole


def silenced(judgment: Judgment, name: str) -> Judgment:
    """A judgment that ties all answers as one that says nothing but its margins; any other as it is."""
    if judgment.ranking is None or len(judgment.ranking.tiers) > 1:
        return judgment
    return judgment.model_copy(update={"ranking": None, "skip_reason": f"{name} {NO_DIFFERENCE}"})


def judged(record: Rater, task: Task, pairs: Sequence[PairReading], config: ConstitutionConfig) -> Judgment:
    """A judgment out of margins: the order of the strengths that fit them best, as of a `LogitJudge`."""
    values = strengths([one.id for one in task.completions], pairs)
    return Judgment(
        task_id=task.id,
        rater_id=record.id,
        id=judgment_id(record.id, task.id),
        ranking=order(values, tie_threshold=config.tie_threshold, temperature=config.temperature),
        details=in_details(pairs),
    )


def _named(constitution: Constitution, principle: str) -> dict[str, Any]:
    mark = {"name": constitution.name, "version": constitution.version, "hash": short(constitution.hash)}
    return {"principle": principle, "constitution": mark}
