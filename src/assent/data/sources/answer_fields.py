"""Which columns of an annotation tool's record are the answers, and which hold the prompt, where only names tell.

Tools name answers as their users like (reply-1, response_a, "text1") and the options of a ranking likewise.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from assent.core.types import Message, Prompt
from assent.data.rows import Row
from assent.data.sources import columns, turns

PROMPT_NAMES = ("prompt", "instruction", "question", "query", "context", "input", "messages", "conversation", "text")
_TAIL = re.compile(r"(?:^|[^a-z0-9])([a-z]|\d+)$|(\d+)$")


def pick(row: Row, options: Iterable[str], fields: Collection[str]) -> dict[str, str]:
    """The field that each option of a question means: of the same name, else of the same number or letter at its end.

    Raises the row's error where an option fits no field, or two the same one.
    """
    found: dict[str, str] = {}
    for option in options:
        fitting = [option] if option in fields else [f for f in fields if _tail(f) and _tail(f) == _tail(option)]
        if len(fitting) != 1 or fitting[0] in found.values():
            raise row.error(
                f"option {option!r} does not say which of the fields {', '.join(sorted(fields))} it means;"
                " name options like fields"
            )
        found[option] = fitting[0]
    return found


def prompt(row: Row, fields: Mapping[str, Any], answers: Collection[str], **meta: Any) -> Prompt:
    """The prompt among the fields that are not answers: by its usual names, else the only one that is left."""
    left = {name: value for name, value in fields.items() if name not in answers and value not in (None, "")}
    name = next((known for known in PROMPT_NAMES if known in left), None)
    if name is None and len(left) == 1:
        name = next(iter(left))
    if name is None:
        raise row.error(
            f"cannot tell which field is the prompt: {', '.join(left) or 'none is left'}; name it {PROMPT_NAMES[0]!r}"
        )
    value = left[name]
    own = replace(row, values=left, shared=columns.SHARED - {name})
    if turns.is_messages(value):
        found = turns.prompt(own, turns.messages(row, value, name), **meta)
    else:
        found = turns.prompt(own, (Message(role="user", content=row.spoken(value, name)),), **meta)
    said = {turn.content.strip() for turn in found.messages}
    rest = {
        n: v
        for n, v in left.items()
        if n != name and n not in row.tally.used and not (isinstance(v, str) and v.strip() in said)
    }
    refused = [n for n, v in rest.items() if columns.changes_meaning(n, v, "comparisons")]
    if refused:
        raise row.error(columns.unread(refused))
    row.tally.ignore(*rest)
    return found


def _tail(name: str) -> str | None:
    match = _TAIL.search(name.lower())
    return (match[1] or match[2]) if match else None
