"""Days and hours of a moment in a time zone: the one place where days begin and end, clock changes included."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo


def local(at: float, zone: str) -> datetime:
    """What clocks in a zone such as Europe/Berlin show at a moment (seconds since 1970)."""
    return datetime.fromtimestamp(at, ZoneInfo(zone))


def day_of(at: float, zone: str) -> date:
    """The day that a moment belongs to."""
    return local(at, zone).date()


def begin_of_day(at: float, zone: str) -> float:
    """When the day of a moment began: its first midnight, or where clocks skip midnight the first moment after it."""
    return local(at, zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0).timestamp()
