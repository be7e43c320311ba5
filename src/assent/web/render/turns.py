"""The turns of a conversation as HTML: what people and models say formatted, what programs say as it stands."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from assent.core.shown import Shown
from assent.feedback.records.settings import Texts
from assent.web.render.markup import as_written, render


@dataclass(frozen=True)
class ShownTurn:
    """A turn, or a part of one, ready to be shown; `role` is as in `core.shown`, and the catalogs name it."""

    role: str
    html: str


def turns_html(turns: Iterable[Shown], texts: Texts, formatted: Callable[..., str] = render) -> list[ShownTurn]:
    """Each turn as HTML; `formatted` is what makes HTML of a text that may hold formatting."""
    return [
        ShownTurn(one.role, as_written(one.text) if one.is_data else formatted(one.text, how=texts)) for one in turns
    ]
