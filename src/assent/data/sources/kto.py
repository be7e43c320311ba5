"""Unpaired labels, as TRL's KTO takes them: prompt, completion, and whether people liked it (`label`).

As demonstrations the liked ones are read; the others are refused, since nobody should learn to say them. As
comparisons, liked and disliked answers of the same prompt are paired, each at least once; a prompt all of whose answers
have one label gives nothing to compare and is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from assent.core.types import Comparison, Conversation, Prompt
from assent.data.rows import BadRow, Row
from assent.data.sources import asked, ranked, trl, turns
from assent.data.sources.format import Format
from assent.data.sources.groups import by_prompt
from assent.data.values import is_turn

_LABELS = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}
_RATER = "kto"


def conversations(row: Row) -> list[Conversation]:
    """The demonstration of a row whose completion people liked."""
    if not _is_liked(row):
        raise row.error("'label' is false: people disliked this completion, so it is no demonstration; remove the row")
    return trl.conversations(row)


def prompts(row: Row) -> list[Prompt]:
    """The prompt of a row, whatever became of its completion."""
    return trl.prompts(row)


def comparisons(row: Row) -> list[Comparison]:
    """Pairs of a liked and a disliked completion of one prompt, as `together` lays them side by side."""
    prompt = turns.prompt(row, asked.prompt(row))
    liked, disliked = row.need("liked"), row.need("disliked")
    count = max(len(liked), len(disliked))
    pairs = [(liked[n % len(liked)]["text"], disliked[n % len(disliked)]["text"]) for n in range(count)]
    return [ranked.preference(row, prompt, good, bad, rater=_RATER) for good, bad in pairs]


def together(rows: Sequence[Row]) -> Iterator[Row | BadRow]:
    """Rows of one completion each as one row per prompt that has liked and disliked ones."""
    for group in by_prompt(rows, _completion):
        if isinstance(group, BadRow):
            yield group
            continue
        row, answers = group
        sides = {side: [one for one in answers if one["is_liked"] is liked] for side, liked in _SIDES.items()}
        if not all(sides.values()):
            kind = "liked" if sides["liked"] else "disliked"
            reason = (
                f"its prompt has {kind} completions only, so there is nothing to compare; give one of the other kind,"
                " list liked ones under demonstrations, or skip such rows with skip_bad"
            )
            yield BadRow(row.error(reason), dict(row.raw or row.values))
            continue
        rest = {name: value for name, value in row.values.items() if name not in ("completion", "label")}
        yield row.with_values({**rest, **sides})


_SIDES = {"liked": True, "disliked": False}


def _completion(row: Row) -> dict[str, Any]:
    value = row.need("completion")
    value = [value] if is_turn(value) else value
    if turns.is_messages(value):
        said = turns.messages(row, value, "completion")
        if len(said) != 1 or said[0].role != "assistant":
            raise row.error("'completion' should be one assistant turn, or text")
        text = turns.answer(row, said[0], "completion")
    else:
        text = row.text("completion")
        asked.refuse_repeated(row, asked.prompt(row), {"completion": text})
    return {"text": text, "is_liked": _is_liked(row)}


def _is_liked(row: Row) -> bool:
    value = row.need("label")
    found = _LABELS.get(str(value).strip().lower())
    if found is None:
        raise row.error(f"'label' is {value!r}; it should be true or false")
    return found


def _matches(values: Mapping[str, Any]) -> bool:
    return asked.is_clear(values) and "completion" in values and "label" in values


FORMAT = Format(
    name="kto",
    columns="prompt, completion, label",
    matches=_matches,
    conversations=conversations,
    comparisons=comparisons,
    prompts=prompts,
    regroup=together,
)
