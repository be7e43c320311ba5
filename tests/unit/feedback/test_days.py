"""Days of a time zone: midnights by hand, where clocks change too."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from assent.feedback.days import begin_of_day, day_of, local


def _utc(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("moment", "zone", "day", "began"),
    [
        ("2027-01-15 22:59:59", "Europe/Berlin", "2027-01-15", "2027-01-14 23:00"),
        ("2027-01-15 23:00:00", "Europe/Berlin", "2027-01-16", "2027-01-15 23:00"),
        ("2027-01-15 15:00:00", "Asia/Tokyo", "2027-01-16", "2027-01-15 15:00"),
        ("2027-01-16 04:59:00", "America/New_York", "2027-01-15", "2027-01-15 05:00"),
        # 28 March has 23 hours in Berlin, 31 October has 25.
        ("2027-03-28 21:59:00", "Europe/Berlin", "2027-03-28", "2027-03-27 23:00"),
        ("2027-03-28 22:00:00", "Europe/Berlin", "2027-03-29", "2027-03-28 22:00"),
        ("2027-10-31 22:59:00", "Europe/Berlin", "2027-10-31", "2027-10-30 22:00"),
        ("2027-10-31 23:00:00", "Europe/Berlin", "2027-11-01", "2027-10-31 23:00"),
        # In Santiago clocks go from 24:00 to 01:00: the day begins at one o'clock, which is 04:00 UTC.
        ("2026-09-06 12:00:00", "America/Santiago", "2026-09-06", "2026-09-06 04:00"),
        ("2026-09-06 03:59:59", "America/Santiago", "2026-09-05", "2026-09-05 04:00"),
        # In Havana the hour after midnight comes twice: the day begins with the first.
        ("2026-11-01 05:30:00", "America/Havana", "2026-11-01", "2026-11-01 04:00"),
    ],
)
def test_a_day_begins_and_ends_where_clocks_of_the_zone_say(moment: str, zone: str, day: str, began: str) -> None:
    at = _utc(moment)
    assert day_of(at, zone) == date.fromisoformat(day)
    assert begin_of_day(at, zone) == _utc(began)
    assert day_of(begin_of_day(at, zone), zone) == day_of(at, zone)
    assert day_of(begin_of_day(at, zone) - 1, zone) < day_of(at, zone)


def test_clocks_of_a_zone_are_read() -> None:
    moment = _utc("2027-07-01 10:00")
    assert f"{local(moment, 'Europe/Berlin'):%H:%M %Z}" == "12:00 CEST"
    assert f"{local(moment, 'UTC'):%H:%M %Z}" == "10:00 UTC"
