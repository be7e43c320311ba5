"""A card: one figure with its title, a sentence on how to read it, and the key of its colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from assent.report.plots import NAMES

Size = Literal["small", "wide", "tall"]
"""A third of the width, half of it, or half of it and two cards high."""


class Svg(Markup):
    """SVG that the figures made; the only markup that enters the page unescaped."""


@dataclass(frozen=True)
class Card:
    """One figure on the page."""

    title: str
    note: str
    svg: Svg
    keys: tuple[tuple[str, str], ...] = ()
    """(CSS variable, name) of each colour."""
    size: Size = "small"


@dataclass(frozen=True)
class Section:
    """A part of the page: what it says in words, then its cards. Empty ones are not shown."""

    anchor: str
    title: str
    text: str
    cards: tuple[Card, ...]


def card(title: str, note: str, svg: str, *, keys: Sequence[tuple[str, str]] = (), size: Size = "small") -> Card:
    """A card of a figure; `keys` are (colour of the figure, name)."""
    return Card(title, note, Svg(svg), tuple((NAMES[colour], name) for colour, name in keys), size)
