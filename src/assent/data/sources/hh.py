"""HH-RLHF transcripts (Bai et al. 2022): two whole dialogues as text that differ in the last assistant reply.

chosen:   "\\n\\nHuman: Hi\\n\\nAssistant: Hello!"        rejected: "\\n\\nHuman: Hi\\n\\nAssistant: What?"
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assent.core.types import Comparison, Message
from assent.data.rows import Row
from assent.data.sources import ranked, transcripts, turns
from assent.data.sources.format import Format


def comparisons(row: Row) -> list[Comparison]:
    """The two last replies to the dialogue that both transcripts share."""
    chosen, rejected = transcript(row, "chosen"), transcript(row, "rejected")
    if chosen[:-1] != rejected[:-1]:
        same = next(i for i, pair in enumerate([*zip(chosen, rejected, strict=False), (0, 1)]) if pair[0] != pair[1])
        raise row.error(
            f"the two dialogues part at turn {same + 1}, before their last reply; no shared prompt to compare on"
        )
    prompt = turns.prompt(row, chosen[:-1])
    who = ranked.rater_of(row, "hh")
    return [ranked.preference(row, prompt, chosen[-1].content, rejected[-1].content, rater=who)]


def transcript(row: Row, name: str) -> list[Message]:
    """The turns of a transcript that ends in the reply that was judged."""
    said = transcripts.parse(row, row.text(name), name)
    if said[-1].role != "assistant":
        raise row.error(f"{name!r} ends in a Human turn; it must end in the reply that was judged")
    return said


def _matches(values: Mapping[str, Any]) -> bool:
    sides = [values.get("chosen"), values.get("rejected")]
    return "prompt" not in values and any(
        isinstance(side, str) and transcripts.MARK.search("\n\n" + side.lstrip()) for side in sides
    )


FORMAT = Format(
    name="hh",
    columns="chosen, rejected",
    matches=_matches,
    comparisons=comparisons,
)
