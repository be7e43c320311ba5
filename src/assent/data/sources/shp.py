"""Stanford Human Preferences (Ethayarajh et al. 2022): a post, two comments, and which one people voted for."""

from __future__ import annotations

from assent.core.types import Comparison, Message
from assent.data.rows import Row
from assent.data.sources import ranked, turns
from assent.data.sources.format import Format
from assent.data.values import number

_SIDES = ("A", "B")


def comparisons(row: Row) -> list[Comparison]:
    """The two comments of a row, the preferred one (`labels` 1 = A, 0 = B) first."""
    prompt = turns.prompt(row, (Message(role="user", content=row.text("history")),))
    label = number(row.need("labels"))
    if label not in (0, 1):
        raise row.error(f"'labels' is {row.values['labels']!r}; it should be 1 (A is preferred) or 0 (B is)")
    texts = {side: row.text(f"human_ref_{side}") for side in _SIDES}
    scores = {}
    for side in _SIDES:
        value = number(row.values.get(f"score_{side}"))
        if value is not None:
            row.tally.read(f"score_{side}")
            scores[side] = {"overall": value}
    tiers = (("A",), ("B",)) if label == 1 else (("B",), ("A",))
    return [ranked.judged(row, prompt, texts, ranked.Verdict("shp", tiers, scores=scores))]


FORMAT = Format(
    name="shp",
    columns="history, human_ref_A, human_ref_B, labels",
    matches=lambda values: {"history", "human_ref_A", "human_ref_B", "labels"} <= values.keys(),
    comparisons=comparisons,
    owns=frozenset({"history"}),
    ignores=frozenset({"upvote_ratio", "seconds_difference", "score_ratio"})
    | {f"{name}_{side}" for name in ("c_root_id", "created_at_utc") for side in _SIDES},
)
