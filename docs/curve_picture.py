"""Pictures for pages of what the report draws: of curves, panels in two columns with a title and a key of the seeds.

The report's colours are variables of its style sheet; a picture carries them with it, for light and dark, and its own
ground, so that it can be read on any page.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files

from assent.report.figures import PANEL, Curve, Frame, curves
from assent.report.plots import AFTER, BAD, BEFORE, GOOD, NAMES, WARM
from assent.report.training import Shown

COLOURS = (AFTER, WARM, GOOD, BAD, BEFORE)
"""Of the seeds, in their order."""
COLUMNS, EDGE, HEAD, TITLE = 2, 16.0, 50.0, 24.0
"""Panels beside each other, space around them, height of the head, and of the title of a panel; pixels."""
_ROOT = re.compile(r":root \{(.*?)\}", re.DOTALL)
_VARIABLE = re.compile(r"--(?:" + "|".join([*NAMES.values(), "sans"]) + r"): [^;]+;")
_LONG = re.compile(r"(\d\.\d)\d+")
_BOX = re.compile(r'viewBox="0 0 ([\d.]+) ([\d.]+)"')
_PATH = re.compile(r'(?<= d=")[^"]+')

Series = tuple[Sequence[float], Sequence[float]]
"""Steps and values."""


@dataclass(frozen=True)
class Panel:
    """One logged number."""

    shown: Shown
    lines: Mapping[int, Series]
    """Of each seed, from training batches."""
    held_out: Mapping[int, Series]
    """Of each seed, where it was measured on the way on what is held out."""

    @property
    def name(self) -> str:
        """As it stands in the log."""
        return self.shown.name

    def course(self) -> str:
        """Mean over seeds of the first tenth of the steps and of the last."""
        tenths = [(y[: max(len(y) // 10, 1)], y[-max(len(y) // 10, 1) :]) for _, y in self.lines.values()]
        first, last = (sum(sum(ys) / len(ys) for ys in side) / len(side) for side in zip(*tenths, strict=True))
        return f"{first:.2f} to {last:.2f}"


def picture(title: str, panels: Sequence[Panel], label: str) -> str:
    """SVG of the panels that stands alone; `label` is read to people who cannot see it."""
    seeds = sorted({seed for one in panels for seed in one.lines})
    colours = {seed: COLOURS[number % len(COLOURS)] for number, seed in enumerate(seeds)}
    (wide, high), columns = PANEL, min(COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    width = EDGE + columns * (wide + EDGE)
    parts = _key(width - EDGE, colours, any(one.held_out for one in panels))
    for number, one in enumerate(panels):
        x, y = EDGE + number % columns * (wide + EDGE), HEAD + number // columns * (TITLE + high)
        parts += [
            text_at(x, y + 14, one.shown.title, "name"),
            text_at(x + wide - 14, y + 14, one.name, "logged", end=True),
            placed(_drawn(one, colours), x, y + TITLE),
        ]
    return stand_alone(f"{title}, on the lab", parts, label, size=(width, HEAD + rows * (TITLE + high) + EDGE / 2))


def stand_alone(title: str, parts: Sequence[str], label: str, *, size: tuple[float, float]) -> str:
    """SVG of parts below a title, with the report's style and a ground of its own."""
    width, height = size
    head = text_at(EDGE, 31, title, "title")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="{width:g}"'
        f' height="{height:g}" viewBox="0 0 {width:g} {height:g}" role="img">\n<title>{escape(label)}</title>\n'
        f'<style>{style()}</style>\n<rect width="100%" height="100%" rx="8" style="fill: var(--card)"/>\n'
        + "\n".join([head, *parts])
        + "\n</svg>\n"
    )


def placed(svg: str, x: float, y: float) -> str:
    """A figure of the report at a place, with a tenth of a pixel for its points: more is not seen."""
    wide, high = size_of(svg)
    at = f'<svg x="{x:g}" y="{y:g}" width="{wide:g}" height="{high:g}" '
    return _PATH.sub(lambda match: _LONG.sub(r"\1", match[0]), svg.replace("<svg ", at, 1))


def size_of(svg: str) -> tuple[float, float]:
    """Width and height of a figure of the report, in pixels."""
    match = _BOX.search(svg)
    assert match is not None, "figures of the report have a viewBox"
    return float(match[1]), float(match[2])


def text_at(x: float, y: float, text: str, kind: str, *, end: bool = False) -> str:
    """Words at a place, or ending there; `kind` is a class of the style."""
    anchor = ' text-anchor="end"' if end else ""
    return f'<text class="{kind}" x="{x:g}" y="{y:g}"{anchor}>{escape(text)}</text>'


def with_description(page: str, name: str, said: str) -> str | None:
    """A page whose picture of this name has this description; None where the page does not show it."""
    there = re.compile(rf"^!\[[^\]]*\]\(\.\./images/{re.escape(name)}\)$", re.MULTILINE)
    return there.sub(lambda _: f"![{said}](../images/{name})", page) if there.search(page) else None


def style() -> str:
    """The report's colours and font, for light and dark."""
    sheet = files("assent.report").joinpath("style.css").read_text(encoding="utf-8")
    light, dark = (" ".join(_VARIABLE.findall(block)) for block in _ROOT.findall(sheet)[:2])
    return (
        f":root {{ {light} }} @media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}"
        " text { font-family: var(--sans); font-size: 11px; fill: var(--soft) }"
        " .title { font-size: 16px; font-weight: 600; fill: var(--ink) } .name { font-size: 13px; fill: var(--ink) }"
        " .logged { font-family: ui-monospace, Menlo, Consolas, monospace }"
    )


def _drawn(one: Panel, colours: Mapping[int, str]) -> str:
    lines = [Curve(*series, colour=colours[seed], smooth=True) for seed, series in one.lines.items()]
    lines += [Curve(*series, colour=colours[seed], dots=True) for seed, series in one.held_out.items()]
    frame = Frame(low=one.shown.low, high=one.shown.high, is_share=one.shown.is_share, is_log=one.shown.is_log)
    return curves(lines, f"{one.shown.title} over steps", frame=frame)


def _key(right: float, colours: Mapping[int, str], has_held_out: bool) -> list[str]:
    """The seeds' colours, from the right end."""
    names = [(f"seed {seed}", colour) for seed, colour in colours.items()]
    said = [("dots: held out", "")] * has_held_out
    parts, x = [], right
    for name, colour in reversed([*names, *said]):
        parts.append(text_at(x, 30, name, "key", end=True))
        x -= 5.8 * len(name) + 4
        if colour:
            stroke = f"stroke: var(--{NAMES[colour]}); stroke-width: 2"
            parts.append(f'<line x1="{x - 16:g}" x2="{x:g}" y1="26" y2="26" style="{stroke}"/>')
            x -= 16
        x -= 14
    return parts
