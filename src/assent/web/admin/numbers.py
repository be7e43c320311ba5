"""Numbers as pages write them: shares with their intervals, durations, money, moments; no interval is left out.

Thousands are set apart by a narrow space and shares end in %, which reads alike in every language of the service.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from assent.stats.estimate import Estimate
from assent.web.moments import UNKNOWN
from assent.web.moments import day as day
from assent.web.moments import moment as moment

NARROW, THIN_RANGE = "\u202f", "\u2009–\u2009"


def count(value: float) -> str:
    """A whole number: 12 345."""
    return f"{value:,.0f}".replace(",", NARROW)


def percent(value: float) -> str:
    """A share: 72 %."""
    return f"{100 * value:.0f}{NARROW}%"


def decimal(value: float) -> str:
    """A coefficient: 0.47."""
    text = f"{value:.2f}"
    return ("0.00" if text == "-0.00" else text).replace("-", "\u2212")


def share(found: Estimate | None) -> str:
    """A share with its interval: 72 % (61 – 81)."""
    return UNKNOWN if found is None else f"{percent(found.estimate)} ({ends(found)})"


def ends(found: Estimate) -> str:
    """The ends of a share's interval, in percent: 61 – 81."""
    return _ends(found, lambda v: f"{100 * min(max(v, 0), 1):.0f}")


def coefficient(found: Estimate | None) -> str:
    """A coefficient with its interval: 0.47 (0.31 – 0.60)."""
    return UNKNOWN if found is None else f"{decimal(found.estimate)} ({coefficient_ends(found)})"


def coefficient_ends(found: Estimate) -> str:
    """The ends of a coefficient's interval: 0.31 – 0.60."""
    return _ends(found, decimal)


def correlation_ends(found: Estimate) -> str:
    """The ends of the interval of what lies between -1 and 1, such as alpha and tau-b: 0.31 – 0.60."""
    return _ends(found, lambda value: decimal(min(max(value, -1.0), 1.0)))


def is_known(found: Estimate) -> bool:
    """Whether both ends of an interval are known: of one value, or two, they may not be."""
    return math.isfinite(found.low) and math.isfinite(found.high)


def difference(found: Estimate | None) -> str:
    """A change of shares in points: −8 (−15 – −1)."""
    if found is None:
        return UNKNOWN
    return f"{_signed(found.estimate)} ({_ends(found, _signed)})"


def money(value: float | None, currency: str) -> str:
    """An amount, rounded as its size allows: EUR 1 240."""
    return UNKNOWN if value is None else f"{currency} {_amount(value)}".strip()


def money_value(found: Estimate, currency: str) -> str:
    """An estimated amount, without its interval."""
    return money(found.estimate, currency)


def money_ends(found: Estimate) -> str:
    """The ends of an amount's interval: 1 100 – 1 400."""
    return _ends(found, _amount)


def hours_value(found: Estimate) -> str:
    """Hours out of seconds: 12.5 h."""
    return f"{_hours(found.estimate)}{NARROW}h"


def hours_ends(found: Estimate) -> str:
    """The ends of a duration's interval in hours: 11 – 14."""
    return _ends(found, _hours)


def seconds(value: float | None) -> str:
    """A short duration: 48 s, 3 min 20 s."""
    if value is None:
        return UNKNOWN
    whole = round(value)
    if whole < 90:
        return f"{whole}{NARROW}s"
    return f"{whole // 60}{NARROW}min" + (f" {whole % 60}{NARROW}s" if whole % 60 else "")


def rate_value(found: Estimate) -> str:
    """Things per hour: 18.4."""
    return _rate(found.estimate)


def rate_ends(found: Estimate) -> str:
    """The ends of a rate's interval: 15.2 – 21.6."""
    return _ends(found, lambda value: _rate(max(value, 0.0)))


def _ends(found: Estimate, write: Callable[[float], str]) -> str:
    """Both ends of an interval; a question mark where one is not known."""
    return THIN_RANGE.join(write(end) if math.isfinite(end) else "?" for end in (found.low, found.high))


def _signed(value: float) -> str:
    points = round(100 * value)
    return f"+{points}" if points > 0 else f"\u2212{-points}" if points < 0 else "0"


def _amount(value: float) -> str:
    if value >= 1000:
        return count(round(value, -1))
    return f"{value:.0f}" if value >= 100 else f"{value:.2f}"


def _hours(value: float) -> str:
    found = value / 3600
    return count(found) if found >= 100 else f"{found:.1f}".removesuffix(".0")


def _rate(value: float) -> str:
    return count(value) if value >= 100 else f"{value:.1f}".removesuffix(".0")
