"""A language model as a judge: order and scores are read from the probabilities of its verdicts, in both orders.

Every pair of answers is asked in both orders and every answer for each criterion, in one computation per task without
sampling (`Reader`). There is nothing to parse, so no verdict can fail. What it measured stands in the details of each
judgment (`in_details`). A task that does not fit its context is skipped with the reason, never guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import groupby
from typing import Any

from assent.core.hashing import short
from assent.core.types import Judgment, Message, Rater, Task, storable
from assent.generation.config import Sampling
from assent.generation.writer import Writer
from assent.raters.asking import LETTERS, PAIR, SCORES, Asking, Material
from assent.raters.config import AutoraterConfig
from assent.raters.margins import PairReading, ScoreReading, in_details, order, pairs_asked, strengths
from assent.raters.rater import judgment_id, tiered
from assent.raters.reading import Logps, Question, Reader
from assent.raters.verdicts import LEAST_MASS, Verdicts

_REASONS = Sampling(temperature=0.0, max_new_tokens=200)
TOO_LONG = "too long for the judge"
"""How the reason of a skip begins where a task does not fit the judge's context."""


@dataclass
class Tally:
    """What a judge did so far."""

    tasks: int = 0
    cut: int = 0
    """Tasks whose conversation was shown without its beginning."""
    skipped: int = 0
    readings: int = 0
    low_mass: int = 0
    """Readings whose verdict tokens covered less than LEAST_MASS."""
    positions: list[float] = field(default_factory=list)
    """|lean to a place| of each pair, in logits."""
    silent: int = 0
    """Tasks too long for a rationale."""

    def lines(self) -> list[str]:
        """The same in words; what did not happen is not said."""
        said = []
        if self.positions:
            mean = sum(self.positions) / len(self.positions)
            said.append(f"the judge asked {len(self.positions)} pairs in both orders; the place alone moved it by"
                        f" {mean:.2f} logits in the mean, which the margins do not hold")  # fmt: skip
        for count, of, what in (
            (self.cut, self.tasks, "conversations were shown to it without their beginning, to fit its context"),
            (self.skipped, self.tasks, "tasks do not fit its context and were skipped"),
            (self.low_mass, self.readings, f"readings have verdict tokens that cover less than {LEAST_MASS:.0%}"),
            (self.silent, self.tasks, "tasks left no room for a rationale"),
        ):
            if count:
                said.append(f"{count} of {of} {what}")
        return said


@dataclass(frozen=True)
class _Ask:
    """One question of a task: how it is asked of a material, and which answers and criterion it is about."""

    messages: Callable[[Material], tuple[Message, ...]]
    verdicts: Verdicts
    first: int
    second: int = -1
    criterion: str = ""


@dataclass(frozen=True, eq=False)
class _Sheet:
    """All questions of a task, as they are asked."""

    task: Task
    material: Material
    asked: list[_Ask]
    questions: list[Question]

    @property
    def together(self) -> list[list[Question]]:
        """Questions that begin alike: all pairs, then the scores of each criterion."""
        pairs = zip(self.asked, self.questions, strict=True)
        return [[question for _, question in some] for _, some in groupby(pairs, key=lambda item: item[0].criterion)]


@dataclass(frozen=True)
class LogitJudge:
    """A rater whose verdicts are read from a local model."""

    record: Rater
    config: AutoraterConfig
    asking: Asking
    reader: Reader = field(repr=False)
    writer: Writer | None = field(default=None, repr=False)
    """Who gives reasons; None: nobody."""
    tally: Tally = field(default_factory=Tally, compare=False)

    def __post_init__(self) -> None:
        # A model without verdict tokens is refused here, before any work.
        if self.config.mode != "scores":
            _ = self.pair
        if self.config.mode != "pairwise":
            _ = self.levels

    @cached_property
    def pair(self) -> Verdicts:
        """The tokens of A and B."""
        return self.reader.verdicts(PAIR, begin=self.asking.begin("pairwise"))

    @cached_property
    def levels(self) -> Verdicts:
        """The tokens of 1 to 5."""
        return self.reader.verdicts(SCORES, begin=self.asking.begin("score"))

    def judge(self, tasks: Sequence[Task]) -> list[Judgment]:
        """One judgment per task; what is said of a task does not depend on the others.

        A task that does not fit the context even with a cut conversation is skipped, with the reason.
        """
        sheets = [self._sheet(task) for task in tasks]
        asked = [sheet for sheet in sheets if sheet is not None]
        found = iter(self.reader.read([questions for sheet in asked for questions in sheet.together]))
        said = [self._judgment(sheet, [one for _ in sheet.together for one in next(found)]) for sheet in asked]
        if self.writer is not None:
            said = self._with_rationales(self.writer, asked, said)
        ready = iter(said)
        return [self._skip(task) if sheet is None else next(ready) for task, sheet in zip(tasks, sheets, strict=True)]

    def lines(self) -> list[str]:
        """What is worth knowing of its work so far, in words."""
        return self.tally.lines()

    def _sheet(self, task: Task) -> _Sheet | None:
        """The questions of a task, its conversation cut as far as it must; None where that does not suffice."""
        self.tally.tasks += 1
        asked = self._asked(task)
        material = Material.of(task.prompt, [completion.text for completion in task.completions])
        questions = [self.reader.question(one.messages(material), one.verdicts) for one in asked]
        if questions and not all(map(self.reader.has_room, questions)):
            longest = asked[max(range(len(asked)), key=lambda n: len(questions[n].tokens))]
            shorter = material.fitting(
                lambda cut: self.reader.has_room(self.reader.question(longest.messages(cut), longest.verdicts))
            )
            if shorter is None:
                return None
            self.tally.cut += 1
            material = shorter
            questions = [self.reader.question(one.messages(material), one.verdicts) for one in asked]
            if not all(map(self.reader.has_room, questions)):
                return None
        return _Sheet(task, material, asked, questions)

    def _asked(self, task: Task) -> list[_Ask]:
        """Pairs in both orders, then scores by criterion, as the mode says."""
        asked: list[_Ask] = []
        if self.config.mode != "scores":
            for a, b in pairs_asked([completion.id for completion in task.completions]):
                for i, j in ((a, b), (b, a)):
                    asked.append(_Ask(partial(self.asking.pairwise, first=i, second=j), self.pair, i, j))
        if self.config.mode != "pairwise":
            for name in self.asking.rubric.criteria:
                for i in range(len(task.completions)):
                    ask = partial(self.asking.score, answer=i, criterion=name)
                    asked.append(_Ask(ask, self.levels, i, criterion=name))
        return asked

    def _judgment(self, sheet: _Sheet, read: Sequence[Logps]) -> Judgment:
        ids = [completion.id for completion in sheet.task.completions]
        said = list(zip(sheet.asked, read, strict=True))
        orders = [(one, logps) for one, logps in said if not one.criterion]
        pairs = [
            PairReading.of(ids[one.first], ids[one.second], ab=ab.tolist(), ba=ba.tolist())
            for (one, ab), (_, ba) in zip(orders[::2], orders[1::2], strict=True)
        ]
        scored = [ScoreReading.of(ids[a.first], a.criterion, logps.tolist()) for a, logps in said if a.criterion]
        self._count(pairs, scored)
        scores = {i: {s.criterion: s.score for s in scored if s.answer == i} for i in ids} if scored else {}
        judgment = Judgment(
            task_id=sheet.task.id,
            rater_id=self.record.id,
            id=judgment_id(self.record.id, sheet.task.id),
            scores=scores,
            details=self._details(sheet, pairs, scored),
        )
        if self.config.mode == "scores":
            means = {i: round(sum(said.values()) / len(said), 4) for i, said in scores.items()}
            ranking = tiered(means, threshold=self.config.tie_threshold)
        else:
            values = strengths(ids, pairs)
            ranking = order(values, tie_threshold=self.config.tie_threshold, temperature=self.config.temperature)
        return judgment.model_copy(update={"ranking": ranking})

    def _details(self, sheet: _Sheet, pairs: list[PairReading], scored: list[ScoreReading]) -> dict[str, Any]:
        found = in_details(pairs, scored) | {"rubric": short(self.asking.rubric.hash)}
        if pairs:
            found["temperature"] = self.config.temperature
        if sheet.material.left_out:
            found["not_shown"] = sheet.material.left_out
        if min([one.mass for one in pairs] + [one.mass for one in scored], default=1.0) < LEAST_MASS:
            found["low_mass"] = True
        return found

    def _count(self, pairs: list[PairReading], scored: list[ScoreReading]) -> None:
        self.tally.readings += len(pairs) + len(scored)
        masses = [one.mass for one in pairs] + [one.mass for one in scored]
        self.tally.low_mass += sum(mass < LEAST_MASS for mass in masses)
        self.tally.positions += [abs(one.position) for one in pairs]

    def _skip(self, task: Task) -> Judgment:
        self.tally.skipped += 1
        longest = max(len(completion.text) for completion in task.completions)
        reason = f"{TOO_LONG}: its context has {self.reader.context} tokens, the longest answer {longest} characters"
        own = judgment_id(self.record.id, task.id)
        return Judgment(task_id=task.id, rater_id=self.record.id, id=own, skip_reason=reason)

    def _with_rationales(
        self, writer: Writer, sheets: Sequence[_Sheet], judgments: Sequence[Judgment]
    ) -> list[Judgment]:
        """The judgments with why, written after the verdicts stand; without it where there is no room for it."""
        asked = [self._why(sheet, judgment) for sheet, judgment in zip(sheets, judgments, strict=True)]
        rooms = [writer.room(one) for one in asked]
        fits = [n for n, room in enumerate(rooms) if room is None or room >= _REASONS.max_new_tokens]
        self.tally.silent += len(asked) - len(fits)
        written = writer.write([asked[n] for n in fits], num_samples=1, sampling=_REASONS, seed=0) if fits else []
        said = list(judgments)
        for n, [one] in zip(fits, written, strict=True):
            said[n] = said[n].model_copy(update={"critique": storable(one.text).strip() or None})
        return said

    def _why(self, sheet: _Sheet, judgment: Judgment) -> tuple[Message, ...]:
        letters = {c.id: letter for c, letter in zip(sheet.task.completions, LETTERS, strict=False)}
        scores = "; ".join(
            f"{letters[i]} " + ", ".join(f"{name} {score:.1f}" for name, score in said.items())
            for i, said in judgment.scores.items()
        )
        ranked = judgment.ranking.sentence(letters) if judgment.ranking and len(letters) > 1 else ""
        return self.asking.rationale(sheet.material, order=ranked, scores=scores)
