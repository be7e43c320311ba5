"""HH-RLHF transcripts (Bai et al. 2022): two whole dialogues as text that differ in the last assistant reply.

chosen:   "\\n\\nHuman: Hi\\n\\nAssistant: Hello!"        rejected: "\\n\\nHuman: Hi\\n\\nAssistant: What?"
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from assent.core.types import Comparison, Message, Role
from assent.data.rows import Row
from assent.data.sources import ranked, turns
from assent.data.sources.format import Format

MARK = re.compile(r"\n\n(Human|Assistant):")
"""What begins a turn of a transcript."""
_ROLES: dict[str, Role] = {"Human": "user", "Assistant": "assistant"}


def comparisons(row: Row) -> list[Comparison]:
    """The two last replies to the dialogue that both transcripts share."""
    chosen, rejected = transcript(row, "chosen"), transcript(row, "rejected")
    if chosen[:-1] != rejected[:-1]:
        same = next(i for i, pair in enumerate([*zip(chosen, rejected, strict=False), (0, 1)]) if pair[0] != pair[1])
        raise row.error(
            f"the two dialogues part at turn {same + 1}, before their last reply; no shared prompt to compare on"
        )
    prompt = turns.prompt(row, chosen[:-1])
    return [ranked.preference(row, prompt, chosen[-1].content, rejected[-1].content, rater="hh")]


def transcript(row: Row, name: str) -> list[Message]:
    """The turns of a transcript; two turns in a row by the same speaker are one."""
    text = "\n\n" + row.text(name).lstrip()
    before, *marked = MARK.split(text)
    if before.strip() or not marked:
        raise row.error(
            f"{name!r} should begin with 'Human:' or 'Assistant:' after two newlines, got {text.strip()[:30]!r}"
        )
    said: list[Message] = []
    for number, (mark, content) in enumerate(zip(marked[::2], marked[1::2], strict=True), start=1):
        spoken = row.spoken(content, f"{name}, turn {number} ({mark})").strip()
        if said and said[-1].role == _ROLES[mark]:
            spoken = said.pop().content + "\n\n" + spoken
        said.append(Message(role=_ROLES[mark], content=spoken))
    if said[-1].role != "assistant":
        raise row.error(f"{name!r} ends in a Human turn; it must end in the reply that was judged")
    return said


def _matches(values: Mapping[str, Any]) -> bool:
    sides = [values.get("chosen"), values.get("rejected")]
    return "prompt" not in values and all(
        isinstance(side, str) and MARK.search("\n\n" + side.lstrip()) for side in sides
    )


FORMAT = Format(
    name="hh",
    columns="chosen, rejected",
    matches=_matches,
    comparisons=comparisons,
)
