"""Pace, the time left, and what finishing will cost, from what was submitted so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from assent.feedback.records.queue import SaidRow
from assent.stats.clustered import ratio
from assent.stats.estimate import Estimate

HOUR, DAY = 3600.0, 86_400.0
HOURS = 48
"""Of so many hours up to now the pace is shown."""
MIN_WINDOW = 600.0
"""A pace is not read from less time than this."""


@dataclass(frozen=True)
class Pace:
    """How fast judgments come in."""

    hours: tuple[int, ...]
    """Judgments in each hour up to now, oldest first."""
    since: float
    """When the first of those hours began."""
    last_hour: int
    per_hour: Estimate | None
    """Over the last day, nights and breaks included; None before the first judgment."""
    per_rater: Mapping[str, float]
    """Judgments per hour of active time."""


@dataclass(frozen=True)
class Forecast:
    """What is left to do. `seconds_left` and `cost` cover all open slots; None where times are unknown."""

    open: int
    finished_at: Estimate | None
    """When the last open slot will be judged, at the pace of the last day (seconds since 1970)."""
    seconds_each: Estimate | None
    """Active seconds per judgment."""
    seconds_left: Estimate | None
    cost: Estimate | None
    spent: float | None


def pace(rows: Sequence[SaidRow], *, now: float, times: Sequence[float] | None = None, hours: int = HOURS) -> Pace:
    """Pace from all submissions, skips not counted; `times`: when those were made, where `rows` are not all."""
    done = [row for row in rows if row.outcome != "skipped"]
    at = [row.submitted_at for row in done] if times is None else times
    since = now - hours * HOUR
    counts = [0] * hours
    for time in at:
        if since < time <= now:
            counts[min(int((time - since) / HOUR), hours - 1)] += 1
    return Pace(
        hours=tuple(counts),
        since=since,
        last_hour=sum(1 for time in at if now - HOUR < time <= now),
        per_hour=_per_hour(at, now),
        per_rater=_per_rater(done),
    )


def forecast(
    rows: Sequence[SaidRow],
    *,
    open: int,
    now: float,
    words: Mapping[str, int] | None = None,
    open_words: int | None = None,
    cost_per_hour: float | None = None,
    times: Sequence[float] | None = None,
) -> Forecast:
    """What it takes to judge `open` slots more.

    With `words` (task id -> words to read) and `open_words` (words of all open slots) time goes by words, so that long
    tasks at the end are not a surprise; else by judgments. Raters are the clusters: who will do the rest is not known.
    `times` as in `pace`: then `rows` are not all, and what was spent is not known.
    """
    timed = [row for row in rows if row.outcome != "skipped" and row.seconds is not None]
    each = _rate(timed, dict.fromkeys((row.task_id for row in timed), 1))
    left = None if each is None else _times(each, open)
    if words and open_words and (by_words := _rate(timed, words)) is not None:
        left = _times(by_words, open_words)
    per_second = None if cost_per_hour is None else cost_per_hour / HOUR
    at = [row.submitted_at for row in rows if row.outcome != "skipped"] if times is None else times
    rate = _per_hour(at, now)
    is_known = per_second is not None and times is None
    return Forecast(
        open=open,
        finished_at=_finish(rate, open, now),
        seconds_each=each,
        seconds_left=left,
        cost=None if left is None or per_second is None else _times(left, per_second),
        spent=(per_second or 0.0) * sum(row.seconds or 0 for row in timed) if is_known else None,
    )


def _per_hour(times: Sequence[float], now: float) -> Estimate | None:
    """Judgments per hour over the last day, or since the first if that is later; hours are the clusters."""
    recent = [t for t in times if now - DAY < t <= now]
    if not recent:
        return None
    first = min(times)
    start = max(now - DAY, first) if first < now - MIN_WINDOW else now - MIN_WINDOW
    length = now - start
    bins = max(1, round(length / HOUR))
    counts = [0.0] * bins
    for t in recent:
        counts[min(max(int((t - start) / length * bins), 0), bins - 1)] += 1
    return ratio(counts, [length / HOUR / bins] * bins)


def _per_rater(done: Sequence[SaidRow]) -> dict[str, float]:
    sums: dict[str, tuple[int, float]] = {}
    for row in done:
        if row.seconds is not None:
            count, seconds = sums.get(row.rater_id, (0, 0.0))
            sums[row.rater_id] = count + 1, seconds + row.seconds
    return {rater: HOUR * count / seconds for rater, (count, seconds) in sums.items() if seconds > 0}


def _rate(timed: Sequence[SaidRow], sizes: Mapping[str, int]) -> Estimate | None:
    """Seconds per unit of size; raters are the clusters."""
    tops: dict[str, float] = {}
    bottoms: dict[str, float] = {}
    for row in timed:
        size = sizes.get(row.task_id)
        if size:
            tops[row.rater_id] = tops.get(row.rater_id, 0.0) + (row.seconds or 0.0)
            bottoms[row.rater_id] = bottoms.get(row.rater_id, 0.0) + size
    return ratio(list(tops.values()), list(bottoms.values())) if tops else None


def _finish(rate: Estimate | None, open: int, now: float) -> Estimate | None:
    if not open or rate is None or rate.estimate <= 0:
        return None
    low = now + HOUR * open / rate.high
    high = now + HOUR * open / rate.low if rate.low > 0 else float("inf")
    return Estimate(estimate=now + HOUR * open / rate.estimate, low=low, high=high, n=rate.n)


def _times(one: Estimate, factor: float) -> Estimate:
    return Estimate(estimate=one.estimate * factor, low=max(one.low, 0.0) * factor, high=one.high * factor, n=one.n)
