"""An order as a form says it: a place for every answer, equal places tie. For pages that work without scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from assent.core.errors import StoreError
from assent.core.types import Ranking, Task

LETTERS = "ABCDEFGHI"


def field_of(number: int) -> str:
    """The form field of the answer that stands at `number` (from 0)."""
    return f"place.{number}"


def ranking_of(form: Mapping[str, str], task: Task, order: Sequence[str] | None = None) -> Ranking:
    """The order that a form says. `order`: answer ids as they stood on the page. Raises StoreError for a gap."""
    ids = order or [completion.id for completion in task.completions]
    places: dict[str, float] = {}
    for number, answer in enumerate(ids):
        place = form.get(field_of(number), "")
        if not place.isdecimal() or not 1 <= int(place[:3]) <= len(ids):
            raise StoreError(f"answer {LETTERS[number]} has no place; give each answer a place from 1 to {len(ids)}")
        places[answer] = -float(place)
    return Ranking.by_score(places)


def places_of(ranking: Ranking | None, order: Sequence[str]) -> dict[str, str]:
    """The form for an order: the place of each answer, empty where there is none."""
    rank = {} if ranking is None else ranking.rank()
    return {field_of(number): str(rank[answer] + 1) for number, answer in enumerate(order) if answer in rank}
