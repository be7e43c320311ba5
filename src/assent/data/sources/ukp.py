"""UKPConvArg1 (Habernal & Gurevych 2016): which of two arguments convinces more, about five votes per pair.

Every vote is one judgment with its rater, reason and seconds (the source counts seconds per HIT, which held several
pairs). The prompt is the debate's title and a question for arguments of one stance. The texts stand in
`arguments.jsonl` (or .jsonl.gz) beside the pairs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assent.core.errors import DataError
from assent.core.types import Comparison, Completion, Judgment, Prompt
from assent.data.config import Source
from assent.data.rows import BadRow, Row, read_rows
from assent.data.sources import ranked
from assent.data.sources.format import Format

ARGUMENTS = "arguments"
_TIERS = {"a1": ((0,), (1,)), "a2": ((1,), (0,)), "equal": ((0, 1),)}


def comparisons(row: Row) -> list[Comparison]:
    """One pair with all its votes."""
    topic = row.text("topic")
    names = (row.text("arg1"), row.text("arg2"))
    arguments = [_argument(row, topic, name) for name in names]
    prompt = question(arguments[0])
    answers = [
        Completion(
            prompt_id=prompt.id, text=row.spoken(argument.get("text", ""), f"text of {name}"), id=name, source="ukp"
        )
        for name, argument in zip(names, arguments, strict=True)
    ]
    votes = [_judgment(row, vote, names, number) for number, vote in enumerate(row.listed("mTurkAssignments"))]
    meta = {"gold": row.values.get("goldLabel"), "in_strict": row.values.get("inStrict")}
    return [ranked.comparison(row, prompt, answers, votes, **meta)]


def question(argument: Mapping[str, Any]) -> Prompt:
    """The prompt to which an argument is an answer; both stances of a debate stay in one split."""
    title, stance = str(argument.get("debateTitle", "")).strip(), str(argument.get("stance", "")).strip()
    text = f"{title}\n\nWhat is a convincing argument for this position: {stance}"
    return Prompt.of(text, split_group=f"ukp/{title}")


def arguments_beside(path: Path) -> dict[tuple[str, str], Mapping[str, Any]]:
    """The arguments file beside the pairs, by (topic, id)."""
    files = [path.parent / f"{ARGUMENTS}{suffix}" for suffix in (".jsonl", ".jsonl.gz")]
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        raise DataError(
            f"the argument texts are missing; put {ARGUMENTS}.jsonl (or .jsonl.gz) beside this file", path=path
        )
    found = {}
    for row in read_rows(str(file), file, Source(path=file)):
        if isinstance(row, BadRow):
            raise row.error
        found[row.text("topic"), row.text("id")] = row.values
    return found


def _argument(row: Row, topic: str, name: str) -> Mapping[str, Any]:
    argument = (row.beside or {}).get((topic, name))
    if argument is None:
        raise row.error(f"argument {name!r} of topic {topic!r} is not in the arguments file; add it there")
    return argument


def _judgment(row: Row, vote: Any, names: tuple[str, str], number: int) -> Judgment:
    place = f"mTurkAssignments[{number}]"
    value = vote.get("value") if isinstance(vote, Mapping) else None
    if value not in _TIERS:
        raise row.error(f"{place}.value is {value!r}; it should be a1, a2 or equal")
    rater, seconds = row.spoken(vote.get("turkID", ""), f"{place}.turkID"), vote.get("assignmentSeconds")
    return Judgment(
        task_id=f"ukp/{row.text('topic')}/{names[0]}_{names[1]}",
        rater_id=rater,
        ranking=ranked.ranking(row, [[names[i] for i in tier] for tier in _TIERS[value]]),
        critique=str(vote.get("reason") or "").strip() or None,
        order_shown=names,
        seconds=float(seconds) if isinstance(seconds, int | float) else None,
    )


def _row_id(row: Row) -> str | None:
    return f"{row.values.get('topic')}/{row.values['id']}" if row.has("id") else None


FORMAT = Format(
    name="ukp",
    columns="topic, arg1, arg2, mTurkAssignments",
    matches=lambda values: "mTurkAssignments" in values and "arg1" in values,
    comparisons=comparisons,
    row_id=_row_id,
    is_closed=True,
    beside=ARGUMENTS,
    prepare=arguments_beside,
)
