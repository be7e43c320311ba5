"""A judge behind an address: pairs in both orders and scores by criterion, read from what a model writes.

A reply without a valid verdict is sent back once with what is wrong with it. Then the task is skipped with the reason:
never a tie, never a loss. Judgments are given one by one as they come. Outages end the work with an error rather
than with skips, since they say nothing about a task; what was judged before stays.

A pair is won where both orders name the same answer; anything else is a tie (MT-Bench's rule, arXiv 2306.05685).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from assent.core.errors import AssentError, UserError
from assent.core.types import Judgment, Message, Rater, Task, storable
from assent.raters.asking import PAIR, SCORES, Asking, Material
from assent.raters.config import AutoraterConfig, EndpointJudgeConfig
from assent.raters.endpoint_budget import BudgetSpentError
from assent.raters.endpoint_client import EndpointClient, OutageError, StoppedError, UnansweredError
from assent.raters.margins import PairReading, ScoreReading, in_details, pairs_asked, strengths
from assent.raters.rater import JudgingStoppedError, judgment_id, tiered
from assent.raters.verdict_text import NotSaidError, Spoken, schema_of, spoken

VERDICTS = (*PAIR, "tie")
"""What a judge may say of a pair."""
SILENT = 8
"""So many skips before the first verdict end the work."""
OUTAGES = 5
"""So many tasks in a row that end in an outage do, too."""
_VALUE = {"A": 1.0, "B": -1.0, "tie": 0.0}


class _AbstainedError(Exception):
    """A task gets no verdict; the message is the reason of its skip."""


@dataclass
class Tally:
    """What a judge did so far."""

    judged: int = 0
    skipped: int = 0
    repaired: int = 0
    """Questions that were sent back with what was wrong with the reply."""
    flipped: int = 0
    """Pairs of which the two orders named different winners."""
    pairs: int = 0


@dataclass
class EndpointJudge:
    """A rater that asks a model behind an address."""

    record: Rater
    config: AutoraterConfig
    asking: Asking
    client: EndpointClient = field(repr=False)
    tally: Tally = field(default_factory=Tally)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def judge(self, tasks: Sequence[Task]) -> list[Judgment]:
        """One judgment per task, in their order; see `judge_each`."""
        said = {judgment.task_id: judgment for judgment in self.judge_each(tasks)}
        return [said[task.id] for task in tasks]

    def judge_each(self, tasks: Sequence[Task]) -> Iterator[Judgment]:
        """A judgment of each task, as they come. Until the first verdict tasks are asked one by one.

        Skips are held back until a verdict shows that the judge can judge. Raises JudgingStoppedError where the budget
        is spent or the address fails, UserError where it is not what the settings say, or its model says no verdict.
        """
        waiting, held = deque(tasks), _Held()
        running: dict[Future[Judgment], Task] = {}
        stopped: AssentError | None = None
        with ThreadPoolExecutor(self._endpoint.concurrency, thread_name_prefix="judge") as pool:
            try:
                while running or (waiting and stopped is None):
                    width = self._endpoint.concurrency if self.tally.judged else 1
                    while waiting and stopped is None and len(running) < width:
                        task = waiting.popleft()
                        running[pool.submit(self._said, task)] = task
                    done, _ = wait(running, return_when=FIRST_COMPLETED)
                    for one in done:
                        try:
                            yield from self._settled(running.pop(one), one, held)
                        except AssentError as error:
                            stopped = stopped or error
            except BaseException:
                self.client.stop()  # pauses end, and what is on its way is not waited for longer than its time
                raise
        if stopped is not None:
            raise stopped
        if held.outages and not self.tally.judged:
            raise JudgingStoppedError(f"{self._endpoint.host} fails: {held.skips[-1].skip_reason}")
        yield from self._released(held)

    def lines(self) -> list[str]:
        """What is worth knowing of its work so far, in words."""
        tally, traffic, budget = self.tally, self.client.traffic, self.client.budget
        spent = f"{budget.spent.sent} tokens sent, {budget.spent.written} written"
        spent += f", {budget.money:.4g} by the prices given" if budget.money else ""
        said = [f"the judge made {traffic.requests} requests ({traffic.again} of them again), {spent}"]
        others = sorted(traffic.models - {self._endpoint.model})
        for count, what in (
            (traffic.kept, f"{traffic.kept} replies were kept from before and cost nothing"),
            (tally.repaired, f"{tally.repaired} replies held no valid verdict and were sent back once"),
            (tally.skipped, f"{tally.skipped} tasks got no verdict and were skipped with the reason"),
            (tally.flipped, f"{tally.flipped} of {tally.pairs} pairs were decided by their order and are ties"),
            (traffic.unpriced, f"{traffic.unpriced} replies did not say their tokens; the most possible was counted"),
            (len(others), f"asked for {self._endpoint.model}, the address answered as {', '.join(others[:3])}"),
            (len(self.client.fallback), self.client.fallback),
        ):
            if count:
                said.append(what)
        return said

    @property
    def _endpoint(self) -> EndpointJudgeConfig:
        return self.client.config

    def _settled(self, task: Task, one: Future[Judgment], held: _Held) -> Iterator[Judgment]:
        """What a task that is done gives to the caller now: its judgment, and skips that were held back."""
        try:
            judgment = one.result()
        except (_AbstainedError, OutageError) as reason:
            is_outage = isinstance(reason, OutageError)
            if is_outage and not self.client.is_reached:
                raise UserError(f"{self._endpoint.base_url} is no judge that can be asked: {reason}{_HINT}") from None
            held.put(self._skip(task, str(reason)), is_outage=is_outage)
            if held.outages >= OUTAGES:
                raise JudgingStoppedError(f"{self._endpoint.host} fails: {reason}") from None
            if not self.tally.judged and len(held.skips) >= SILENT:
                raise UserError(
                    f"{self.record.id} gave no verdict on its first {len(held.skips)} tasks, the last time because"
                    f" {reason}; take another model"
                ) from None
        except BudgetSpentError as spent:
            raise JudgingStoppedError(f"the judge's {spent}; raise it") from None
        except StoppedError:
            raise JudgingStoppedError("judging was stopped") from None
        else:
            self.tally.judged += 1
            yield from self._released(held)
            yield judgment

    def _released(self, held: _Held) -> Iterator[Judgment]:
        skips = held.take()
        self.tally.skipped += len(skips)
        yield from skips

    def _said(self, task: Task) -> Judgment:
        """The judgment of a task. Raises _AbstainedError with the reason where there is none."""
        hearing = _Hearing(self.asking, self.client, task)
        try:
            pairs = hearing.pairs() if self.config.mode != "scores" else []
            scored = hearing.scores() if self.config.mode != "pairwise" else []
        except (UnansweredError, NotSaidError) as error:
            raise _AbstainedError(str(error)) from None
        finally:
            with self._lock:
                self.tally.repaired += hearing.repaired
        with self._lock:
            self.tally.pairs += len(pairs)
            self.tally.flipped += sum(abs(one.position) == 1.0 for one in pairs)
        ids = [completion.id for completion in task.completions]
        scores = {i: {one.criterion: one.score for one in scored if one.answer == i} for i in ids} if scored else {}
        if self.config.mode == "scores":
            values = {i: sum(said.values()) / len(said) for i, said in scores.items()}
        else:
            values = strengths(ids, [_agreed(one) for one in pairs])
        details = {"rubric": self.asking.rubric.hash[:12], "unit": "verdicts", "tokens": hearing.tokens}
        return Judgment(
            task_id=task.id,
            rater_id=self.record.id,
            id=judgment_id(self.record.id, task.id),
            ranking=tiered(values, threshold=self.config.tie_threshold),
            scores=scores,
            critique=(storable("\n".join(hearing.reasons)).strip() or None) if self.config.rationale else None,
            details=in_details(pairs, scored) | details,
        )

    def _skip(self, task: Task, reason: str) -> Judgment:
        own = judgment_id(self.record.id, task.id)
        return Judgment(task_id=task.id, rater_id=self.record.id, id=own, skip_reason=storable(reason))


@dataclass
class _Hearing:
    """All questions about one task, and what they brought."""

    asking: Asking
    client: EndpointClient
    task: Task
    reasons: list[str] = field(default_factory=list)
    """Why, for each pair, as it was said when the pair stood in its order."""
    repaired: int = 0
    tokens: int = 0

    def __post_init__(self) -> None:
        self._ids = [completion.id for completion in self.task.completions]
        self._material = Material.of(self.task.prompt, [completion.text for completion in self.task.completions])

    def pairs(self) -> list[PairReading]:
        """Readings of pairs, +1 for the answer shown first, -1 for the other and 0 for a tie."""
        readings = []
        for a, b in pairs_asked(self._ids):
            asked = partial(self.asking.pairwise, self._material, contract="pairwise_json")
            there, back = self._verdict(asked(a, b), VERDICTS), self._verdict(asked(b, a), VERDICTS)
            first, second = _VALUE[there.verdict], _VALUE[back.verdict]
            reading = PairReading(self._ids[a], self._ids[b], (first - second) / 2, (first + second) / 2, 1.0)
            readings.append(reading)
            self.reasons += [there.reason] if there.reason else []
        return readings

    def scores(self) -> list[ScoreReading]:
        """The level of each answer on each criterion."""
        found = []
        for name in self.asking.rubric.criteria:
            for place, answer in enumerate(self._ids):
                said = self._verdict(self.asking.score(self._material, place, name, contract="score_json"), SCORES)
                found.append(ScoreReading(answer, name, float(said.verdict), 1.0))
        return found

    def _verdict(self, messages: Sequence[Message], allowed: Sequence[str]) -> Spoken:
        """The verdict on a question; a reply without one is sent back once with what is wrong with it."""
        schema = schema_of(allowed)
        text, problem = self._reply(messages, schema, allowed)
        if isinstance(problem, Spoken):
            return problem
        self.repaired += 1
        back = (
            *messages,
            Message(role="assistant", content=text or "(empty)"),
            Message(role="user", content=_REPAIR.format(problem=problem)),
        )
        _, again = self._reply(back, schema, allowed)
        if isinstance(again, Spoken):
            return again
        raise NotSaidError(f"no valid verdict, also when asked again: {again}")

    def _reply(
        self, messages: Sequence[Message], schema: dict[str, Any], allowed: Sequence[str]
    ) -> tuple[str, Spoken | str]:
        """A reply's text with its verdict, or with what is wrong with it."""
        reply = self.client.ask(messages, schema)
        self.tokens += reply.tokens
        if not reply.is_whole:
            return reply.text, f"the reply was cut at {self.client.config.max_tokens} tokens; say less"
        try:
            return reply.text, spoken(reply.text, allowed)
        except NotSaidError as error:
            return reply.text, str(error)


@dataclass
class _Held:
    """Skips that wait for a verdict which shows that they are the tasks' and not the judge's."""

    skips: list[Judgment] = field(default_factory=list)
    outages: int = 0
    """Of the last ones, in a row."""

    def put(self, skip: Judgment, *, is_outage: bool) -> None:
        self.skips.append(skip)
        self.outages = self.outages + 1 if is_outage else 0

    def take(self) -> list[Judgment]:
        found, self.skips, self.outages = self.skips, [], 0
        return found


_HINT = "; correct base_url, which usually ends in /v1, or start the server"
_REPAIR = (
    "This cannot be read as a verdict: {problem}. Answer the question again, with one JSON object as it was asked for."
)


def _agreed(reading: PairReading) -> PairReading:
    """The reading of a pair by what both orders agree on."""
    margin = reading.margin if abs(reading.margin) == 1.0 else 0.0
    return PairReading(reading.first, reading.second, margin, reading.position, reading.mass)
