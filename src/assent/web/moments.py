"""Moments and days as pages write them: in a project's time zone, or for scripts to show in the reader's own."""

from __future__ import annotations

import math

from markupsafe import Markup, escape

from assent.feedback.days import day_of, local

UNKNOWN = "–"


def moment(at: float | None, zone: str | None = None) -> Markup:
    """A moment in a project's time zone; None: in the reader's own, which scripts know, and in UTC without them."""
    if at is None or not math.isfinite(at):
        return Markup(UNKNOWN)
    return _time(at, zone, f"{local(at, zone or 'UTC'):%Y-%m-%d %H:%M %Z}")


def day(at: float | None, zone: str | None = None) -> Markup:
    """The day of a moment in a project's time zone; None: in the reader's own."""
    if at is None or not math.isfinite(at):
        return Markup(UNKNOWN)
    return _time(at, zone, f"{day_of(at, zone or 'UTC'):%Y-%m-%d}", "data-day")


def _time(at: float, zone: str | None, shown: str, *marks: str) -> Markup:
    exact = local(at, "UTC")
    attributes = [f'datetime="{exact:%Y-%m-%dT%H:%M:%SZ}"', *marks]
    attributes += [] if zone is None else [f'data-zone="{escape(zone)}"']
    return Markup(f"<time {' '.join(attributes)}>{escape(shown)}</time>")
