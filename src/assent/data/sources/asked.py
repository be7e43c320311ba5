"""Which columns of a flat row are the prompt: `prompt`, else the one column that is named like one.

Without `prompt`, `instruction` with its `input` below it is the prompt, or the only one of `question`, `query`,
`instruction` and `input`. Two of them, or one beside `prompt`, are never guessed between.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assent.core.types import Message
from assent.data.rows import Row
from assent.data.sources import transcripts, turns
from assent.data.values import is_blank

NAMES = ("question", "query", "instruction", "input")


def names(values: Mapping[str, Any]) -> tuple[str, ...]:
    """The columns that are the prompt; none where none is named like one, several where they contradict."""
    if "prompt" in values:
        return ("prompt",)
    return tuple(name for name in NAMES if name in values and not is_blank(values[name]))


def is_clear(values: Mapping[str, Any]) -> bool:
    """Whether the columns say without doubt what the prompt is."""
    found = names(values)
    return len(found) == 1 or found == ("instruction", "input")


def prompt(row: Row) -> tuple[Message, ...]:
    """The turns of a row's prompt. Raises its error where no column, or more than one, is named like a prompt."""
    found = names(row.values)
    if len(found) > 1 and found != ("instruction", "input"):
        listed = ", ".join(map(repr, found))
        raise row.error(f"cannot tell which of {listed} is the prompt; say it with columns: {{prompt: {found[0]}}}")
    if len(found) < 2:
        name = found[0] if found else "prompt"
        value = row.need(name)
        if turns.is_messages(value):
            return turns.messages(row, value, name)
        return transcripts.asked(row, row.text(name), name)
    return transcripts.asked(row, "\n\n".join(row.text(name) for name in found), "instruction")


def refuse_repeated(row: Row, asked: tuple[Message, ...], answers: Mapping[str, str]) -> None:
    """Refuse answers that all begin with the whole prompt: they hold the prompt and the answer, not the answer."""
    whole = asked[-1].content.strip()
    if len(asked) > 1 or len(whole.split()) < 2:
        return
    rests = [text.lstrip()[len(whole) :] for text in answers.values() if text.lstrip().startswith(whole)]
    if len(rests) == len(answers) and all(not rest or rest[0].isspace() for rest in rests):
        listed = " and ".join(map(repr, answers))
        one = len(answers) == 1
        raise row.error(
            f"{listed} {'begins' if one else 'begin'} with the whole prompt; leave the prompt out of"
            f" {'it' if one else 'them'}"
        )
