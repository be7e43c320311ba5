"""Signal detection: how well two kinds are told apart (d'), and how readily the answer is yes (criterion).

    d' = z(hits) - z(false alarms),  c = -(z(hits) + z(false alarms)) / 2                 Green & Swets 1966

For refusals: a hit is a harmful request refused, a false alarm a harmless one refused. A policy that merely refuses
more has a lower c at the same d'; one that understands harm better has a larger d'.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from assent.stats.estimate import Estimate
from assent.stats.independent import normal_quantile, wilson

_NORMAL = NormalDist()


@dataclass(frozen=True)
class SignalDetection:
    """How well the two kinds are told apart, and the rates behind it."""

    d_prime: Estimate
    criterion: Estimate
    """Above 0: reluctant to say yes; below 0: quick to."""
    hit_rate: Estimate
    false_alarm_rate: Estimate


def signal_detection(
    hits: float, signals: float, false_alarms: float, noises: float, *, confidence: float = 0.95
) -> SignalDetection:
    """d' and criterion of `hits` among `signals` and `false_alarms` among `noises`, all independent.

    Rates are (count + ½) / (n + 1), which keeps d' finite (log-linear, Hautus 1995). The interval joins the distances
    to the ends of both rates' Wilson intervals on the scale of z (MOVER, Zou & Donner 2008); an end is infinite where a
    kind was always, or never, answered with yes: so many tries do not bound it. For counts that hang together hand in
    effective sizes, or use `resampled.left_out` with `d_prime`. Raises ValueError for counts beyond their number.
    """
    critical = normal_quantile(confidence)
    hit, alarm = (wilson(yes, n, critical=critical) for yes, n in ((hits, signals), (false_alarms, noises)))
    z_hit, z_alarm = _scaled(hit, hits, signals), _scaled(alarm, false_alarms, noises)
    low, high = z_hit.estimate - z_hit.low, z_hit.high - z_hit.estimate
    alarm_low, alarm_high = z_alarm.estimate - z_alarm.low, z_alarm.high - z_alarm.estimate
    d, c = z_hit.estimate - z_alarm.estimate, -(z_hit.estimate + z_alarm.estimate) / 2
    return SignalDetection(
        d_prime=Estimate(estimate=d, low=d - math.hypot(low, alarm_high), high=d + math.hypot(high, alarm_low)),
        criterion=Estimate(
            estimate=c, low=c - math.hypot(high, alarm_high) / 2, high=c + math.hypot(low, alarm_low) / 2
        ),
        hit_rate=hit,
        false_alarm_rate=alarm,
    )


def d_prime(hits: float, signals: float, false_alarms: float, noises: float) -> float | None:
    """d' alone, log-linear as above; None where one of the kinds has no case."""
    if not (signals > 0 and noises > 0):
        return None
    return _z(_corrected(hits, signals)) - _z(_corrected(false_alarms, noises))


def _scaled(rate: Estimate, yes: float, n: float) -> Estimate:
    """A rate and its ends on the scale of z."""
    value = _corrected(yes, n)
    return Estimate(estimate=_z(value), low=_z(min(rate.low, value)), high=_z(max(rate.high, value)))


def _corrected(yes: float, n: float) -> float:
    return (yes + 0.5) / (n + 1)


def _z(share: float) -> float:
    return _NORMAL.inv_cdf(share) if 0 < share < 1 else math.copysign(math.inf, share - 0.5)
