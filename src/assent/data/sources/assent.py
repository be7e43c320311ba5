"""Assent's own rows, as written by `data.formats`."""

from __future__ import annotations

import json

from assent.core.types import Comparison, Conversation, Prompt, Rater
from assent.data import aside
from assent.data.formats import Item, Said, from_row
from assent.data.rows import HALF, Row
from assent.data.sources.format import Format
from assent.data.task_records import Guideline, TaskRecord

_BESIDE = frozenset({"rater", "guideline"})
"""Kinds of the rows about raters and what they were told: nothing to learn from."""


def conversations(row: Row) -> list[Conversation]:
    """The conversation of a row."""
    if row.values.get("kind") in _BESIDE:
        return []
    item = _item(row)
    if not isinstance(item, Conversation):
        raise _other(row, "demonstrations")
    return [item]


def comparisons(row: Row) -> list[Comparison]:
    """The comparison of a row to learn from; what is said in rows of tasks is none, and is counted."""
    if row.values.get("kind") in _BESIDE:
        return []
    item = _item(row)
    if isinstance(item, TaskRecord):
        _pass_over(row, item)
        return []
    if not isinstance(item, Comparison):
        raise _other(row, "comparisons")
    found, skips = _to_learn_from(row, item)
    _drop(row, "skips left out", skips)
    return [found]


def said(row: Row) -> list[Said]:
    """Everything that a row says to bring into a store, which may hold an answer without words."""
    item = _item(row, is_spoken=False)
    if isinstance(item, Prompt | Conversation):
        raise _other(row, "judgments")
    if isinstance(item, Comparison):
        _to_learn_from(row, item)
    return [item]


def prompts(row: Row) -> list[Prompt]:
    """The prompt of a row of any kind."""
    if row.values.get("kind") in _BESIDE:
        return []
    item = _item(row)
    match item:
        case Prompt():
            return [item]
        case TaskRecord():
            return [item.task.prompt]
        case Conversation() | Comparison():
            return [item.prompt]
    return []


def _to_learn_from(row: Row, item: Comparison) -> tuple[Comparison, int]:
    try:
        return aside.to_learn_from(item)
    except ValueError as error:
        raise row.error(str(error)) from None


def _pass_over(row: Row, record: TaskRecord) -> None:
    """Count what a row of a task says that is no vote on several answers."""
    if not record.holding:
        _drop(row, "tasks that nobody judged left out", 1)
    elif record.is_repeat:
        _drop(row, "judgments of tasks that were asked again left out", len(record.holding))
    else:
        _drop(row, "skips left out", len(record.holding) - len(record.said))
        _drop(row, "judgments of single answers left out", len(record.said))


def _drop(row: Row, what: str, count: int) -> None:
    for _ in range(count):
        row.tally.drop(what)


def _item(row: Row, *, is_spoken: bool = True) -> Item:
    row.need("assent"), row.need("kind"), row.need("record")
    try:
        item = from_row(row.values)
    except ValueError as error:
        raise row.error(str(error)) from None
    if is_spoken and not isinstance(item, Rater | Guideline | TaskRecord):
        for place, text in _spoken(item):
            row.spoken(text, place)
    elif HALF.search(json.dumps(row.values, ensure_ascii=False)):
        raise row.error("a text holds half a character (a lone surrogate); save it anew")
    return item


def _spoken(item: Prompt | Conversation | Comparison) -> list[tuple[str, str]]:
    """Every text of an item, and its calls and tools as one; a turn that calls tools may say nothing besides."""
    holder = item.prompt if isinstance(item, Comparison) else item
    texts = [
        (f"messages[{number}].content", turn.content)
        for number, turn in enumerate(holder.messages)
        if turn.content or not turn.tool_calls
    ]
    rest = [turn.model_dump(exclude={"content"}) for turn in holder.messages if not turn.is_plain]
    if rest or holder.tools:
        texts.append(("calls and tools", json.dumps([*rest, *holder.tools], ensure_ascii=False)))
    answers = item.completions if isinstance(item, Comparison) else ()
    return texts + [(f"completions[{number}].text", answer.text) for number, answer in enumerate(answers)]


def _other(row: Row, wanted: str) -> Exception:
    return row.error(f"a row of kind {row.values['kind']!r} cannot be read as {wanted}; move it to a file of its own")


def _row_id(row: Row) -> str | None:
    record = row.values.get("record")
    if row.values.get("kind") not in ("prompt", "conversation") or not isinstance(record, dict):
        return None
    identity = record.get("id")
    return identity if isinstance(identity, str) else None


FORMAT = Format(
    name="assent",
    columns="assent, kind, record",
    matches=lambda values: "assent" in values and "record" in values,
    conversations=conversations,
    comparisons=comparisons,
    prompts=prompts,
    said=said,
    row_id=_row_id,
    is_closed=True,
)
