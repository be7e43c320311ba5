"""A question and its answer under other names than TRL's.

The question is `question`, `query`, `prompt`, `instruction` or `input`, the answer `answer`, `response`, `output` or
`completion`. Only as demonstrations: as prompts, the answer is `meta` for reward functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assent.core.types import Conversation
from assent.data.rows import Row
from assent.data.sources import asked, turns
from assent.data.sources.format import Format
from assent.data.values import is_blank

_ANSWERS = ("answer", "response", "output", "completion")


def conversations(row: Row) -> list[Conversation]:
    """The question and its answer."""
    named = [name for name in _ANSWERS if name in row.values and not is_blank(row.values[name])]
    if len(named) > 1:
        raise row.error(
            f"cannot tell which of {', '.join(map(repr, named))} is the answer; ignore or rename the others"
        )
    name = named[0] if named else "completion"
    question, answer = asked.prompt(row), row.text(name)
    asked.refuse_repeated(row, question, {name: answer})
    return [turns.exchange(row, question, answer)]


def _matches(values: Mapping[str, Any]) -> bool:
    answers = [name for name in _ANSWERS if isinstance(values.get(name), str)]
    return asked.is_clear(values) and bool(answers)


FORMAT = Format(
    name="qa",
    columns="question | query | prompt | input, answer | response | output",
    matches=_matches,
    conversations=conversations,
    gives_prompts=False,
)
