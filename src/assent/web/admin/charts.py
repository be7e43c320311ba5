"""Figures of the dashboard as SVG: pure functions from numbers to markup, coloured by classes of the stylesheet.

Nothing is styled inline (the content policy forbids it) and no colour is named here, so that one figure serves light
and dark. Figures always run left to right; words beside them are the page's, figures in them are in a table as well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from assent.stats.estimate import Estimate

TRACK = (150.0, 16.0)
"""Pixels of an interval in a row of a table."""
PLOT = (560.0, 250.0)
LEFT, RIGHT, TOP, BOTTOM = 46.0, 16.0, 14.0, 34.0


@dataclass(frozen=True)
class Mark:
    """A point of a curve."""

    x: float
    y: Estimate


@dataclass(frozen=True)
class Level:
    """A dashed line with a name at its end."""

    name: str
    y: float


def track(found: Estimate | None, *, low: float = 0.0, high: float = 1.0, reference: float | None = None) -> Markup:
    """An interval on a scale: a bar from end to end, a dot at the value, a tick at the reference."""
    width, height = TRACK
    inner, middle = width - 12, height / 2

    def at(value: float) -> float:
        return 6 + inner * min(max((value - low) / (high - low), 0.0), 1.0)

    parts = [_line("fig-axis", 6, middle, width - 6, middle)]
    if reference is not None:
        parts.append(_line("fig-mark", at(reference), 1, at(reference), height - 1))
    if found is not None:
        parts += [
            _line("fig-range", at(found.low), middle, at(found.high), middle),
            _dot(at(found.estimate), middle, 4),
        ]
    size = f'width="{_n(width)}" height="{_n(height)}"'
    return Markup(
        f'<svg class="track" viewBox="0 0 {_n(width)} {_n(height)}" {size} aria-hidden="true" focusable="false">'
        f"{''.join(parts)}</svg>"
    )


def bars(values: Sequence[int], label: str, *, titles: Sequence[str], ticks: Sequence[tuple[int, str]]) -> Markup:
    """Counts over time as bars; `titles` say each bar in words, `ticks` name some of them along the axis."""
    width, height = PLOT[0], 232.0
    frame = _Frame(0, len(values), 0, _nice_top(max([*values, 1])), width, height)
    step = (width - LEFT - RIGHT) / max(len(values), 1)
    parts = [_y_axis(frame, _ticks(0, frame.y1, 3), share=False)]
    for i, (value, title) in enumerate(zip(values, titles, strict=True)):
        if value:
            place = f'x="{_n(frame.x(i) + step * 0.14)}" y="{_n(frame.y(value))}" width="{_n(step * 0.72)}"'
            place += f' height="{_n(frame.y(0) - frame.y(value))}" rx="1.5"'
            parts.append(f'<rect class="fig-bar" {place}><title>{escape(title)}</title></rect>')
    parts += [_text(frame.x(i + 0.5), height - 12, tick, "middle") for i, tick in ticks]
    return _svg(parts, label, width, height)


def curve(marks: Sequence[Mark], label: str, *, x_label: str, levels: Sequence[Level] = ()) -> Markup:
    """Shares over a count, each with its interval; dashed lines at levels to compare with."""
    width, height = PLOT
    ys = [y for m in marks for y in (m.y.low, m.y.high)] + [level.y for level in levels]
    low, high = math.floor(max(min(ys) - 0.02, 0) * 20) / 20, math.ceil(min(max(ys) + 0.02, 1) * 20) / 20
    frame = _Frame(0, _nice_top(max(m.x for m in marks) * 1.04), low, max(high, low + 0.1), width, height)
    parts = [_y_axis(frame, _ticks(frame.y0, frame.y1, 4), share=True)]
    parts += [_text(frame.x(x), height - 16, f"{x:,.0f}", "middle") for x in _ticks(0, frame.x1, 5)]
    parts.append(_text(width - RIGHT, height - 1, x_label, "end"))
    for level in levels:
        y = frame.y(level.y)
        parts += [_line("fig-level", LEFT, y, width - RIGHT, y), _text(width - RIGHT, y - 5, level.name, "end")]
    points = [(frame.x(m.x), frame.y(m.y.estimate), frame.y(m.y.low), frame.y(m.y.high)) for m in marks]
    points.sort()
    if len(points) > 1:
        around = [(x, high) for x, _, _, high in points] + [(x, low) for x, _, low, _ in reversed(points)]
        parts.append(f'<polygon class="fig-band" points="{_path(around)}"/>')
        parts.append(f'<polyline class="fig-line" points="{_path([(x, y) for x, y, _, _ in points])}"/>')
    for x, y, lower, upper in points:
        parts += [_line("fig-range thin", x, lower, x, upper), _dot(x, y, 4.5)]
    return _svg(parts, label, width, height)


@dataclass(frozen=True)
class _Frame:
    """Values to pixels."""

    x0: float
    x1: float
    y0: float
    y1: float
    width: float
    height: float

    def x(self, value: float) -> float:
        return LEFT + (self.width - LEFT - RIGHT) * (value - self.x0) / (self.x1 - self.x0 or 1)

    def y(self, value: float) -> float:
        return TOP + (self.height - TOP - BOTTOM) * (self.y1 - value) / (self.y1 - self.y0 or 1)


def _y_axis(frame: _Frame, ticks: Sequence[float], *, share: bool) -> str:
    parts = []
    for tick in ticks:
        y = frame.y(tick)
        name = f"{100 * tick:.0f}\u00a0%" if share else f"{tick:,.0f}"
        parts += [_line("fig-axis", LEFT, y, frame.width - RIGHT, y), _text(LEFT - 8, y + 4, name, "end")]
    return "".join(parts)


def _ticks(low: float, high: float, about: int) -> list[float]:
    """Round numbers from low to high, about so many."""
    step = _step((high - low) / about)
    first = math.ceil(low / step - 1e-9)
    return [round(n * step, 10) for n in range(first, math.floor(high / step + 1e-9) + 1)]


def _step(rough: float) -> float:
    size = 10.0 ** math.floor(math.log10(rough)) if rough > 0 else 1.0
    return size * next(s for s in (1, 2, 2.5, 5, 10) if s * size >= rough * 0.999)


def _nice_top(value: float) -> float:
    step = max(_step(value / 4), 1.0)
    return step * math.ceil(value / step)


def _svg(parts: Sequence[str], label: str, width: float, height: float) -> Markup:
    return Markup(
        f'<svg class="plot" viewBox="0 0 {_n(width)} {_n(height)}" role="img" aria-label="{escape(label)}">'
        f"{''.join(parts)}</svg>"
    )


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{kind}" x1="{_n(x1)}" y1="{_n(y1)}" x2="{_n(x2)}" y2="{_n(y2)}"/>'


def _dot(x: float, y: float, radius: float) -> str:
    return f'<circle class="fig-dot" cx="{_n(x)}" cy="{_n(y)}" r="{_n(radius)}"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text class="fig-text" x="{_n(x)}" y="{_n(y)}" text-anchor="{anchor}">{escape(text)}</text>'


def _path(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{_n(x)},{_n(y)}" for x, y in points)


def _n(value: float) -> str:
    """A coordinate in as few letters as it takes."""
    return f"{value:.1f}".rstrip("0").rstrip(".")
