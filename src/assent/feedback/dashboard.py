"""One project at a glance: progress, pace, agreement, raters, groups, disputes, forecast and what models learned.

`Overview.of` is pure. `Watch` reads what it needs from a store and keeps it, so that a page may ask every few seconds
without slowing the raters down: nothing of a short queue is read again before something was submitted, and a look that
took long is not repeated soon.
"""

from __future__ import annotations

import dataclasses
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assent.core.types import Judgment, Purpose, Ranking, Rater
from assent.feedback.battles import Battle, Standing, standings, votes_on
from assent.feedback.days import begin_of_day
from assent.feedback.quality.alarm import GroupAgreement, group_agreement
from assent.feedback.quality.corrected import ByCriteria
from assent.feedback.quality.disputes import Dispute, disputes
from assent.feedback.quality.facts import TaskFacts
from assent.feedback.quality.forecast import HOUR, HOURS, Forecast, Pace, forecast, pace
from assent.feedback.quality.rater_quality import Bench, RaterQuality, rater_quality
from assent.feedback.quality.slices import MAX_VALUES, Agreement, Slice, agreement, by_group, by_slice
from assent.feedback.queue.newest import NEWEST, Newest
from assent.feedback.records.queue import Adjudicated, Counts, OpenTask, Project, Queue, SaidRow
from assent.feedback.runs import CurvePoint, curve, folders_beside, made_in
from assent.feedback.store import Store
from assent.stats.estimate import Estimate

SAMPLE = 500
"""Of a longer queue so many waiting tasks are read, to know how much there is to read in all."""
MOST_FACTS = 200_000
"""Beyond so many tasks what is kept of them is dropped and read again where it is needed."""
LANGUAGE = "language"
"""The attribute and the key of a prompt's meta that name a language."""


@dataclass(frozen=True)
class Readings:
    """Everything an overview is computed from."""

    project: Project
    purpose: Purpose
    counts: Counts
    rows: Sequence[SaidRow]
    judgments: Sequence[Judgment]
    facts: Mapping[str, TaskFacts]
    open_tasks: Sequence[OpenTask] = ()
    gold: Mapping[str, Ranking] = field(default_factory=dict)
    decisions: Sequence[Adjudicated] = ()
    raters: Sequence[Rater] = ()
    points: Sequence[CurvePoint] = ()
    fought: Sequence[Battle] = ()
    times: Sequence[float] | None = None
    """Where rows and judgments are only those of the tasks judged last: when all were submitted of late, see Newest."""


@dataclass(frozen=True)
class Overview:
    """What a dashboard shows."""

    project: str
    purpose: Purpose
    at: float
    counts: Counts
    skips: Mapping[str, int]
    """Reason -> how often."""
    translated: int
    """Judgments made while the browser showed the page in translation."""
    surplus: int
    pace: Pace
    forecast: Forecast
    agreement: Agreement
    slices: Sequence[Slice]
    raters: Sequence[RaterQuality]
    groups: Sequence[GroupAgreement]
    disputes: Sequence[Dispute]
    decided: int
    today: int
    """Judgments since the day began in the project's time zone, skips not counted."""
    points: Sequence[CurvePoint]
    standings: Sequence[Standing]
    """Models by their blind battles, strongest first."""
    criteria: ByCriteria | None
    """What scores say; None where nobody scored anything."""
    newest: int | None
    """Counts, pace and what was judged today are of all judgments, the rest of only so many that came last; None: of
    all too."""

    @classmethod
    def of(cls, given: Readings, *, now: float) -> Overview:
        """Compute it all."""
        rows = [row for row in given.rows if row.purpose == given.purpose]
        attributes = attribute_groups(given.raters)
        bench = Bench(
            judgments=given.judgments,
            facts=given.facts,
            gold=given.gold,
            repeats={row.task_id: row.repeat_of for row in rows if row.repeat_of},
            languages=attributes.get(LANGUAGE, {}),
        )
        said, at = bench.rankings, {row.judgment_id: row.submitted_at for row in rows}
        groups = [g for key, of in attributes.items() for g in group_agreement(said, of, key=key, at=at)]
        return cls(
            project=given.project.name,
            purpose=given.purpose,
            at=now,
            counts=given.counts,
            skips=dict(Counter(j.skip_reason for j in given.judgments if j.skip_reason).most_common()),
            translated=sum(row.is_translated is True for row in rows),
            surplus=sum(row.is_surplus for row in rows),
            pace=pace(rows, now=now, times=given.times),
            forecast=_forecast(given, rows, now),
            agreement=agreement(said),
            slices=[
                *by_slice(said, given.facts),
                *(s for key, of in attributes.items() for s in by_group(said, of, key=f"raters: {key}")),
            ],
            raters=rater_quality(bench),
            groups=groups,
            disputes=disputes(given.judgments, given.facts, decided={d.task_id for d in given.decisions}),
            decided=len({d.task_id for d in given.decisions}),
            today=_today(rows, begin_of_day(now, given.project.settings.timezone), given.times),
            points=given.points,
            standings=standings(given.fought),
            criteria=ByCriteria.of(
                given.judgments,
                given.facts,
                given.project.settings.criteria,
                kinds={rater.id: rater.kind for rater in given.raters},
                gold=given.gold,
                repeats=bench.repeats,
            ),
            newest=None if given.times is None else len(given.judgments),
        )

    @property
    def alarms(self) -> list[GroupAgreement]:
        """Groups that stand apart or fell off."""
        return [group for group in self.groups if group.alarm is not None]


def attribute_groups(raters: Sequence[Rater]) -> dict[str, dict[str, str]]:
    """Attribute -> rater -> what they say of themselves; language first; free texts of many values group nobody."""
    found: dict[str, dict[str, str]] = {}
    for rater in raters:
        for name, value in rater.attributes.items():
            found.setdefault(name, {})[rater.id] = value
    keys = sorted((k for k, of in found.items() if 1 < len(set(of.values())) <= MAX_VALUES), key=_language_first)
    return {key: found[key] for key in keys}


def plain(value: Any) -> Any:
    """A value of this module as JSON knows it; what is infinite or not a number becomes null."""
    if isinstance(value, Estimate):
        # The API calls the number itself "value".
        return plain({"value": value.estimate, "low": value.low, "high": value.high, "n": value.n})
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, Path):
        return str(value)
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else value


class Watch:
    """Overviews of a store's projects, computed again only when something was submitted, and not too often."""

    def __init__(self, store: Store, store_url: str, *, rest: float = 12.0) -> None:
        """`rest`: after a look that took one second, for so many seconds the same is shown."""
        self._store, self._url, self._rest = store, store_url, rest
        self._facts: dict[str, TaskFacts] = {}
        self._replaced = 0.0
        self._seen: dict[Queue, _Look] = {}
        self._lock = threading.Lock()

    def overview(self, project: str, purpose: Purpose = "reward", *, now: float) -> Overview:
        """The overview of a project; at most as old as it takes to compute, times `rest`. Raises StoreError."""
        queue = Queue(project, purpose)
        with self._lock:
            known = self._seen.get(queue)
            if known is not None and time.monotonic() < known.until:
                return known.overview
            started = time.perf_counter()
            with ThreadPoolExecutor(max_workers=1) as beside:
                counted = beside.submit(self._store.counts, queue).result  # of ten million slots it takes a second
                is_long = self._store.listing.has_judged_more(queue, than=NEWEST)
                # A look at a long queue rests for longer than the same state lasts.
                state = None if is_long else self._state(queue, counted())
                if known is not None and state is not None and known.state == state:
                    return known.overview
                given = self._read(queue, counted, now, is_long=is_long)
            found = Overview.of(given, now=now)
            took = time.perf_counter() - started
            self._seen[queue] = _Look(found, state, time.monotonic() + self._rest * took)
            return found

    def forget(self, project: str) -> None:
        """Look anew at a project the next time: something was decided that its page should show at once."""
        with self._lock:
            self._seen = {queue: look for queue, look in self._seen.items() if queue.project != project}

    def facts(self, task_ids: Collection[str]) -> Mapping[str, TaskFacts]:
        """What is known of tasks."""
        with self._lock:
            return self._facts_of(task_ids)

    def _state(self, queue: Queue, counts: Counts) -> Any:
        """Changes whenever the overview would, and also with every quarter of a minute, for the pace."""
        project = self._store.projects.get(queue.project)
        decisions = len(self._store.projects.adjudications(queue.project))
        return project.settings, counts, decisions, int(time.monotonic() / 15)

    def _read(self, queue: Queue, counted: Callable[[], Counts], now: float, *, is_long: bool) -> Readings:
        store = self._store
        made = made_in(folders_beside(self._url))
        last = self._newest(queue, now) if is_long else None
        judgments = store.judgments(queue) if last is None else last.judgments
        waiting = store.open_tasks(queue) if last is None else last.waiting
        some = waiting[:: max(1, len(waiting) // SAMPLE)]
        facts = self._facts_of({j.task_id for j in judgments} | {one.task_id for one in some})
        fought = {j.task_id for j in judgments if j.task_id in facts and facts[j.task_id].kind == "battle"}
        return Readings(
            project=store.projects.get(queue.project),
            purpose=queue.purpose,
            rows=store.said(queue.project) if last is None else last.rows,
            judgments=judgments,
            facts=facts,
            open_tasks=waiting,
            gold={task: ranking for task, (ranking, _) in store.projects.gold(queue.project).items()},
            decisions=store.projects.adjudications(queue.project),
            raters=store.raters(),
            points=curve(made, project=queue.project) or curve(made),
            fought=votes_on(store.tasks(sorted(fought)), judgments),
            times=None if last is None else last.times,
            counts=counted(),  # last, for they may not be there yet
        )

    def _newest(self, queue: Queue, now: float) -> Newest:
        begin = begin_of_day(now, self._store.projects.get(queue.project).settings.timezone)
        since = min(now - HOURS * HOUR, begin - 1)
        return self._store.listing.newest(queue, limit=NEWEST, since=since, waiting=SAMPLE)

    def _facts_of(self, task_ids: Collection[str]) -> dict[str, TaskFacts]:
        """Facts of tasks; each is read once, until one in the store got other content."""
        replaced = self._store.studies.last_replaced()
        if replaced != self._replaced or len(self._facts) > MOST_FACTS:
            self._facts, self._replaced = {}, replaced
        missing = [i for i in task_ids if i not in self._facts]
        for start in range(0, len(missing), 1000):
            found = self._store.tasks(missing[start : start + 1000])
            self._facts |= {i: TaskFacts.of(task) for i, task in found.items()}
        return {i: self._facts[i] for i in task_ids if i in self._facts}


@dataclass(frozen=True)
class _Look:
    overview: Overview
    state: Any
    until: float


def _today(rows: Sequence[SaidRow], midnight: float, times: Sequence[float] | None) -> int:
    if times is not None:
        return sum(time >= midnight for time in times)
    return sum(row.outcome != "skipped" and row.submitted_at >= midnight for row in rows)


def _forecast(given: Readings, rows: Sequence[SaidRow], now: float) -> Forecast:
    words = {i: facts.words for i, facts in given.facts.items()}
    return forecast(
        rows,
        open=max(given.counts.need - given.counts.have, 0),
        now=now,
        words=words,
        open_words=_open_words(given, words),
        cost_per_hour=given.project.settings.cost_per_hour,
        times=given.times,
    )


def _open_words(given: Readings, words: Mapping[str, int]) -> int | None:
    """Words of everything that waits; of a long queue as many for each judgment as in what was looked at."""
    waiting = sum(one.unjudged for one in given.open_tasks)
    if given.times is not None:
        waiting = max(given.counts.need - given.counts.have, 0)  # those read are only the first
    looked_at = [one for one in given.open_tasks if one.task_id in words]
    judgments = sum(one.unjudged for one in looked_at)
    if not judgments:
        return None
    return round(waiting * sum(words[one.task_id] * one.unjudged for one in looked_at) / judgments) or None


def _language_first(key: str) -> tuple[bool, str]:
    return key != LANGUAGE, key
