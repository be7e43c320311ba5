"""The figures of the report: pure functions from numbers to SVG text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from assent.evaluation.reward_report import ReliabilityBin
from assent.report.plots import AFTER, BEFORE, CARD, INK, SOFT, Canvas, Margins, canvas
from assent.stats.estimate import Estimate

PANEL = (340.0, 216.0)
WIDE = (520.0, 226.0)
ROW = 30.0
"""Pixels per row of an interval plot."""
TALL_ROW = 46.0
"""Pixels per row of a figure that stands beside two others."""
_LETTER = 6.3
"""Pixels that a letter of a row's name takes, on the safe side."""
_STEPS = [1, 2, 2.5, 5, 10]
"""Ticks fall on round numbers only."""
_PERCENT = FuncFormatter(lambda value, _: f"{100 * value:.10g}\u00a0%")
_MANY = 40
"""From so many points on, a curve is drawn smoothed over its faint raw values."""


@dataclass(frozen=True)
class Curve:
    """Values over steps."""

    x: Sequence[float]
    y: Sequence[float]
    colour: str = AFTER
    smooth: bool = False
    """True: the raw values faint, their moving average on top."""
    dots: bool = False
    """True: measured seldom, so every point is shown."""


@dataclass(frozen=True)
class Frame:
    """Axes of a card."""

    x_label: str = "step"
    x_end: float | None = None
    """Where the steps end, in all cards of a row alike; None: where the curve ends."""
    low: float | None = None
    high: float | None = None
    is_share: bool = False
    is_log: bool = False
    target: float | None = None
    """A dashed line at this value."""
    borders: tuple[float, ...] = ()
    """Steps at which a new round begins."""


class Row(NamedTuple):
    """One line of an interval plot."""

    name: str
    value: Estimate
    colour: str = AFTER


class Track(NamedTuple):
    """Measurements in the order they were made, with the curve fitted to them and where it peaks."""

    x: Sequence[float]
    y: Sequence[float]
    colour: str
    curve_x: Sequence[float] = ()
    curve: Sequence[float] = ()
    peak: Estimate | None = None


class BeforeAfter(NamedTuple):
    """One line of a dumbbell plot."""

    name: str
    before: Estimate
    after: Estimate


class Bar(NamedTuple):
    """One line of a bar plot, with what is written at its end."""

    name: str
    value: float
    text: str


def curves(lines: Sequence[Curve], label: str, *, frame: Frame | None = None, size: tuple[float, float] = PANEL) -> str:
    """Curves over steps in one card."""
    frame = frame or Frame()
    with canvas(*size) as c:
        for border in frame.borders:
            c.axes.axvline(border, color=SOFT, linewidth=1, linestyle=(0, (1, 3)))
        if frame.target is not None:
            c.axes.axhline(frame.target, color=INK, linewidth=1.2, linestyle=(0, (4, 3)))
        for line in lines:
            _draw_curve(c.axes, line)
        _finish(c.axes, frame)
        return c.svg(label)


def path(points: Sequence[tuple[Sequence[float], Sequence[float], str]], label: str, *, x: str, y: str) -> str:
    """Trajectories in a plane, one per round: a line with its start hollow and its end filled."""
    with canvas(*WIDE, margins=Margins(left=58, bottom=42)) as c:
        for xs, ys, colour in points:
            a, b = _smooth(xs), _smooth(ys)
            c.axes.scatter(xs, ys, s=12, color=colour, alpha=0.3, linewidths=0)
            c.axes.plot(a, b, color=colour)
            c.axes.scatter(a[:1], b[:1], s=46, facecolors=CARD, edgecolors=colour, linewidths=2, zorder=3)
            c.axes.scatter(a[-1:], b[-1:], s=46, color=colour, zorder=3)
        c.axes.set_xlabel(x)
        c.axes.set_ylabel(y)
        _finish(c.axes, Frame(x_label=x, low=None))
        return c.svg(label)


def tracks(lines: Sequence[Track], label: str, *, x: str, y: str) -> str:
    """Measurements over a distance with the curve fitted to each, and the interval of its peak as a faint band."""
    with canvas(*WIDE, margins=Margins(left=58, bottom=42)) as c:
        c.axes.axhline(0, color=SOFT, linewidth=1, linestyle=(0, (1, 3)))
        end = 1.15 * max(max(line.x, default=0.0) for line in lines)
        for line in lines:
            if line.peak is not None and line.peak.low < end:
                c.axes.axvspan(line.peak.low, min(line.peak.high, end), color=line.colour, alpha=0.12, linewidth=0)
                if line.peak.estimate < end:
                    c.axes.axvline(line.peak.estimate, color=line.colour, linewidth=1.2, linestyle=(0, (4, 3)))
            c.axes.plot(line.curve_x, line.curve, color=line.colour)
            c.axes.scatter(line.x, line.y, s=16, color=line.colour, linewidths=0, zorder=3)
        c.axes.set_xlabel(x)
        c.axes.set_ylabel(y)
        _finish(c.axes, Frame(x_label=x, x_end=end or None))
        return c.svg(label)


def intervals(rows: Sequence[Row], label: str, *, reference: float | None = None, width: float = WIDE[0]) -> str:
    """Estimates with their intervals, one per row, on a scale of shares."""
    with _rows(width, [r.name for r in rows], right=96) as c:
        if reference is not None:
            c.axes.axvline(reference, color=SOFT, linewidth=1.2, linestyle=(0, (4, 3)))
        for i, row in enumerate(rows):
            c.axes.plot([row.value.low, row.value.high], [i, i], color=row.colour, linewidth=5, alpha=0.35)
            c.axes.plot([row.value.estimate], [i], "o", color=row.colour, markersize=8, clip_on=False, zorder=3)
            _end_note(c.axes, i, share(row.value))
        least = min([r.value.low for r in rows] + ([] if reference is None else [reference]))
        _share_axis(c.axes, math.floor(max(least - 0.03, 0) * 10) / 10, 1.0)
        return c.svg(label)


def levels(rows: Sequence[Row], label: str, *, references: Sequence[float] = (), digits: int = 2) -> str:
    """As `intervals`, on a scale of plain numbers that may be negative, written with `digits` decimals."""
    notes = [f"{v.estimate:.{digits}f} [{v.low:.{digits}f}, {v.high:.{digits}f}]" for v in (r.value for r in rows)]
    right = max(96.0, max((len(note) for note in notes), default=0) * _LETTER)
    with _rows(WIDE[0], [r.name for r in rows], right=right) as c:
        for reference in references:
            c.axes.axvline(reference, color=SOFT, linewidth=1.2, linestyle=(0, (4, 3)))
        for i, (row, note) in enumerate(zip(rows, notes, strict=True)):
            c.axes.plot([row.value.low, row.value.high], [i, i], color=row.colour, linewidth=5, alpha=0.35)
            c.axes.plot([row.value.estimate], [i], "o", color=row.colour, markersize=8, clip_on=False, zorder=3)
            _end_note(c.axes, i, note)
        c.axes.xaxis.set_major_locator(MaxNLocator(5, steps=_STEPS))
        c.axes.grid(axis="x")
        return c.svg(label)


def dumbbells(pairs: Sequence[BeforeAfter], label: str, *, row: float = TALL_ROW) -> str:
    """Before and after with their intervals, joined, one row each: of shares from 0 to 1, of others as they are."""
    of_shares = all(0 <= value.estimate <= 1 for pair in pairs for value in (pair.before, pair.after))
    said = percent if of_shares else "{:.2f}".format
    with _rows(WIDE[0], [p.name for p in pairs], right=104, row=row) as c:
        for i, pair in enumerate(pairs):
            c.axes.plot([pair.before.estimate, pair.after.estimate], [i, i], color=BEFORE, linewidth=3, alpha=0.3)
            for value, colour in ((pair.before, BEFORE), (pair.after, AFTER)):
                c.axes.plot([value.low, value.high], [i, i], color=colour, linewidth=5, alpha=0.35)
                c.axes.plot([value.estimate], [i], "o", color=colour, markersize=8, clip_on=False, zorder=3)
            _end_note(c.axes, i, f"{said(pair.before.estimate)} → {said(pair.after.estimate)}")
        if of_shares:
            _share_axis(c.axes, 0.0, 1.0)
        else:
            c.axes.grid(axis="x")
        return c.svg(label)


def reliability(bins: Sequence[ReliabilityBin], label: str) -> str:
    """What the reward model said against what raters did; on the diagonal it is calibrated."""
    full = [b for b in bins if b.count]
    largest = max((b.count for b in full), default=1)
    with canvas(520, 430, margins=Margins(left=64, bottom=44)) as c:
        c.axes.plot([0, 1], [0, 1], color=SOFT, linewidth=1.2, linestyle=(0, (4, 3)))
        for b in full:
            c.axes.plot([b.predicted] * 2, [b.lower, b.upper], color=AFTER, linewidth=4, alpha=0.3)
        c.axes.plot([b.predicted for b in full], [b.observed for b in full], color=AFTER, linewidth=1.4, alpha=0.7)
        sizes = [20 + 90 * b.count / largest for b in full]
        c.axes.scatter([b.predicted for b in full], [b.observed for b in full], s=sizes, color=AFTER, zorder=3)
        c.axes.set_ylabel("raters agreed")
        _finish(c.axes, Frame(x_label="reward model said", low=0, high=1, is_share=True))
        c.axes.set_xlim(0, 1)
        c.axes.yaxis.set_major_locator(MaxNLocator(5, steps=_STEPS))
        c.axes.xaxis.set_major_formatter(_PERCENT)
        return c.svg(label)


def histogram(before: Sequence[float], after: Sequence[float], label: str, *, x: str) -> str:
    """Two distributions over one scale: the old one filled, the new one as an outline."""
    top = float(np.quantile([*before, *after], 0.995)) or 1.0
    count = int(min(30, max(top, 1)))
    edges = np.linspace(0, max(top, 1), count + 1)
    with canvas(*WIDE, margins=Margins(left=20, bottom=42)) as c:
        for values, colour, alpha in ((before, BEFORE, 0.45), (after, AFTER, 0.25)):
            heights = np.histogram(np.clip(values, 0, edges[-1]), edges)[0] / max(len(values), 1)
            c.axes.stairs(heights, edges, fill=True, color=colour, alpha=alpha)
            c.axes.stairs(heights, edges, color=colour, linewidth=1.8)
            mean = sum(values) / max(len(values), 1)
            c.axes.axvline(mean, color=colour, linewidth=1.6, linestyle=(0, (3, 2)))
        c.axes.set_xlabel(x)
        c.axes.set_xlim(0, edges[-1])
        c.axes.yaxis.set_major_locator(NullLocator())
        return c.svg(label)


def bars(rows: Sequence[Bar], label: str, *, width: float = 1040.0) -> str:
    """Horizontal bars in the given order."""
    with _rows(width, [r.name for r in rows], right=90, row=22, bottom=6) as c:
        c.axes.barh(range(len(rows)), [r.value for r in rows], color=AFTER, height=0.6, alpha=0.8)
        largest = max((r.value for r in rows), default=1.0) or 1.0
        for i, row in enumerate(rows):
            c.axes.text(row.value + largest * 0.008, i, row.text, va="center", color=SOFT)
        c.axes.set_xlim(0, largest * 1.02)
        c.axes.xaxis.set_major_locator(NullLocator())
        c.axes.spines["bottom"].set_visible(False)
        return c.svg(label)


@dataclass(frozen=True)
class Trend:
    """A number per round with its interval."""

    name: str
    values: Sequence[Estimate | None]
    colour: str = AFTER


def trends(
    lines: Sequence[Trend],
    label: str,
    *,
    ticks: Sequence[str],
    scale: Literal["share", "number"] = "share",
    target: float | None = None,
) -> str:
    """Numbers over rounds, each named at its end."""
    longest = max(len(line.name) for line in lines) * _LETTER if len(lines) > 1 else 8
    with canvas(*PANEL, margins=Margins(right=longest + 14)) as c:
        if target is not None:
            c.axes.axhline(target, color=SOFT, linewidth=1.2, linestyle=(0, (4, 3)))
        for line in lines:
            known = [(i, v) for i, v in enumerate(line.values) if v is not None]
            if not known:
                continue
            c.axes.plot([i for i, _ in known], [v.estimate for _, v in known], "o-", color=line.colour, markersize=7)
            for i, v in known:
                c.axes.plot([i, i], [v.low, v.high], color=line.colour, linewidth=5, alpha=0.3)
        _finish(c.axes, Frame(x_label="", low=0, high=1 if scale == "share" else None, is_share=scale == "share"))
        c.axes.set_xticks(range(len(ticks)), ticks)
        c.axes.set_xlim(-0.25, len(ticks) - 0.75)
        if len(lines) > 1:
            _name_ends(c, lines)
        return c.svg(label)


def share(value: Estimate) -> str:
    """An estimate of a share in words: "83 % [78–87]"."""
    return f"{percent(value.estimate)} [{100 * value.low:.0f}–{100 * value.high:.0f}]"


def percent(value: float) -> str:
    """A share in percent, not to be parted from its sign; one decimal where whole ones would say nothing."""
    hundredfold = 100 * value
    digits = 1 if 0 < hundredfold < 1 or 99 < hundredfold < 100 else 0
    return f"{hundredfold:.{digits}f}\u00a0%"


def _draw_curve(axes: Axes, line: Curve) -> None:
    x, y = np.asarray(line.x, float), np.asarray(line.y, float)
    known = np.isfinite(y)
    x, y = x[known], y[known]
    if line.smooth and len(x) >= _MANY:
        axes.plot(x, y, color=line.colour, linewidth=1, alpha=0.3)
        axes.plot(x, _smooth(y), color=line.colour)
    else:
        axes.plot(x, y, color=line.colour, marker="o" if line.dots or len(x) == 1 else None, markersize=5)


def _smooth(values: Sequence[float]) -> np.ndarray:
    """Moving average over a twentieth of the values, centred, narrower at both ends."""
    y = np.asarray(values, float)
    half = len(y) // 40
    if half < 1:
        return y
    return np.array([y[max(0, i - min(half, i, len(y) - 1 - i)) : i + min(half, i, len(y) - 1 - i) + 1].mean()
                     for i in range(len(y))])  # fmt: skip


def _finish(axes: Axes, frame: Frame) -> None:
    axes.grid(axis="y")
    axes.set_xlabel(frame.x_label)
    if frame.x_end is not None:
        axes.set_xlim(-0.02 * frame.x_end, 1.02 * frame.x_end)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=_STEPS, integer=frame.x_label == "step"))
    if frame.is_log:
        axes.set_yscale("log")
        # A step without any gap has no place on a logarithmic axis; the smallest other one sets its foot.
        least, most = math.floor(math.log10(axes.dataLim.minposy)), math.ceil(math.log10(axes.dataLim.y1))
        axes.set_ylim(10.0**least, 10.0 ** max(most, least + 1))
        axes.yaxis.set_major_locator(LogLocator(numticks=5))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        return
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=_STEPS))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _compact(value)))
    if frame.is_share:
        axes.yaxis.set_major_formatter(_PERCENT)
    low, high = axes.get_ylim()
    low = low if frame.low is None else min(frame.low, float(axes.dataLim.y0))
    high = high if frame.high is None else frame.high
    room = 0.04 * max(high - low, 1e-6)
    axes.set_ylim(low - room, high + room)


def _compact(value: float) -> str:
    if value and abs(value) < 1e-3:
        return f"{value:.0e}".replace("e-0", "e-")
    return f"{value / 1000:g}k" if abs(value) >= 10_000 else f"{value:g}"


def _rows(width: float, names: Sequence[str], *, right: float, row: float = ROW, bottom: float = 34) -> _Rows:
    left = max((len(name) for name in names), default=0) * _LETTER + 14
    return _Rows(width, names, Margins(left=min(left, width / 2.2), right=right, top=4, bottom=bottom), row)


class _Rows:
    """A canvas with one named row per item, first on top."""

    def __init__(self, width: float, names: Sequence[str], margins: Margins, row: float) -> None:
        self._names = names
        self._canvas = canvas(width, len(names) * row + margins.top + margins.bottom, margins=margins)

    def __enter__(self) -> Canvas:
        c = self._canvas.__enter__()
        c.axes.set_yticks(range(len(self._names)), self._names, color=INK)
        c.axes.set_ylim(len(self._names) - 0.5, -0.5)
        return c

    def __exit__(self, *exception: object) -> None:
        self._canvas.__exit__(None, None, None)


def _share_axis(axes: Axes, low: float, high: float) -> None:
    axes.set_xlim(low, high + 0.004)
    axes.grid(axis="x")
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=_STEPS))
    axes.xaxis.set_major_formatter(_PERCENT)


def _end_note(axes: Axes, row: int, text: str) -> None:
    axes.text(1.02, row, text, transform=axes.get_yaxis_transform(), va="center", color=SOFT)


def _name_ends(c: Canvas, lines: Sequence[Trend]) -> None:
    """Write each line's name at its last point, moved apart where two would touch."""
    low, high = c.axes.get_ylim()
    gap = 0.085 * (high - low)
    ends = sorted(
        ((line.values[-1].estimate, line) for line in lines if line.values[-1] is not None), key=lambda end: end[0]
    )
    at = -math.inf
    for height, line in ends:
        at = max(height, at + gap)
        c.axes.annotate(
            line.name,
            (len(line.values) - 1, at),
            xytext=(10, 0),
            textcoords="offset points",
            va="center",
            color=line.colour,
            annotation_clip=False,
        )
