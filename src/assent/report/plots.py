"""One style for every figure: matplotlib drawn to SVG whose colours and fonts are those of the page around it.

Figures are drawn in placeholder colours, each of which becomes a CSS variable in the SVG. So one figure serves light,
dark and print, and style.css alone decides how the report looks.
"""

from __future__ import annotations

import contextlib
import html
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

INK, SOFT, FAINT, CARD = "#000101", "#000102", "#000103", "#000104"
BEFORE, AFTER, WARM, GOOD, BAD = "#000105", "#000106", "#000107", "#000108", "#000109"
NAMES = {
    INK: "ink", SOFT: "soft", FAINT: "faint", CARD: "card",
    BEFORE: "before", AFTER: "after", WARM: "warm", GOOD: "good", BAD: "bad",
}  # fmt: skip
"""Placeholder colour -> CSS variable of style.css."""

_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "assent",
    # Labels may come from data; a "$" in one must not start a formula.
    "text.parse_math": False,
    "axes.unicode_minus": True,
    "font.size": 11,
    "axes.labelsize": 11,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": SOFT,
    "text.color": INK,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "grid.color": FAINT,
    "grid.linewidth": 1,
    "axes.axisbelow": True,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "lines.linewidth": 2,
    "lines.solid_capstyle": "round",
}
_POINTS_PER_INCH = 72


class Margins(NamedTuple):
    """Pixels around the axes; equal in all cards of a row, so that they line up."""

    left: float = 46
    right: float = 14
    top: float = 10
    bottom: float = 36


@dataclass(frozen=True)
class Canvas:
    """A figure with one pair of axes."""

    figure: Figure
    axes: Axes

    def svg(self, label: str) -> str:
        """The figure as an SVG element that fits its column; `label` is read to people who cannot see it."""
        target = io.StringIO()
        nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
        FigureCanvasSVG(self.figure).print_svg(target, metadata=nothing)
        return _inline(target.getvalue(), label)


@contextlib.contextmanager
def canvas(width: float, height: float, *, margins: Margins | None = None) -> Iterator[Canvas]:
    """Empty axes of a figure of `width` × `height` pixels in the style of the report."""
    m = margins or Margins()
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(width / _POINTS_PER_INCH, height / _POINTS_PER_INCH), dpi=_POINTS_PER_INCH)
        axes = figure.add_axes(
            (
                m.left / width,
                m.bottom / height,
                max(width - m.left - m.right, 1) / width,
                max(height - m.top - m.bottom, 1) / height,
            )
        )
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(pad=5)
        yield Canvas(figure, axes)


def _inline(svg: str, label: str) -> str:
    """Cut what only a stand-alone file needs, and give colours and fonts back to the page."""
    svg = svg[svg.index("<svg") :]
    view = re.search(r'viewBox="([^"]*)"', svg)
    body = svg[svg.index(">") + 1 :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r"<style[^>]*>.*?</style>", "", body, flags=re.DOTALL)
    body = re.sub(r"<!--.*?-->", "", body, flags=re.DOTALL)
    body = re.sub(r' id="[A-Za-z.]+\d*_\d+"', "", body)
    body = re.sub(r"font-family: [^;\"]*;? ?", "", body)  # as matplotlib writes it from 3.11 on; before, as below
    body = re.sub(r"font: (?:(\d+) )?([\d.]+)px [^;\"]*", _font, body)
    for placeholder, name in NAMES.items():
        body = body.replace(placeholder, f"var(--{name})")
    body = re.sub(r">\s+<", "><", body)
    box = view.group(1) if view else "0 0 100 100"
    return f'<svg viewBox="{box}" role="img" aria-label="{html.escape(label, quote=True)}">{body.strip()}'


def _font(match: re.Match[str]) -> str:
    weight = f"font-weight: {match[1]}; " if match[1] else ""
    return f"{weight}font-size: {match[2]}px"
