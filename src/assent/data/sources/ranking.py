"""The plain ranking format, the shortest way to write down what people said about K answers.

    {"prompt": "Why?", "answers": {"a": "…", "b": "…", "c": "…"}, "ranking": "b > a = c", "rater": "ann"}
    {"prompt": "Why?", "answers": ["…", "…", "…"], "ranks": [2, 1, 2]}          1 = best, equal numbers tie
    {"prompt": "Why?", "answers": ["…", "…"], "scores": [0.2, 0.9]}             highest = best

`ranking` may also be a list of ids, ties as inner lists. Answers in a list are named "1", "2", … in their order.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from assent.core.types import Comparison, Completion, Judgment, Message, Prompt, Ranking
from assent.data.rows import Row
from assent.data.sources import ranked, turns
from assent.data.sources.format import Format

_RATER = "unknown"


def comparisons(row: Row) -> list[Comparison]:
    """The answers of a row and its one judgment."""
    value = row.need("prompt")
    asked = turns.messages(row, value, "prompt") if turns.is_messages(value) else (_user(row.text("prompt")),)
    prompt = turns.prompt(row, asked)
    answers = _answers(row, prompt)
    seconds = row.values.get("seconds")
    judgment = Judgment(
        task_id=f"ranking/{row.values['id']}" if row.has("id") else ranked.task_id(prompt, list(answers.values())),
        rater_id=row.optional_text("rater") or _RATER,
        ranking=_ranking(row, answers),
        critique=row.optional_text("critique") or None,
        seconds=float(seconds) if isinstance(seconds, int | float) else None,
    )
    return [ranked.comparison(row, prompt, list(answers.values()), [judgment])]


def _user(text: str) -> Message:
    return Message(role="user", content=text)


def _answers(row: Row, prompt: Prompt) -> dict[str, Completion]:
    """Answers under the names the row uses for them; their own ids hold the prompt, so that files can be mixed."""
    value = row.need("answers")
    if isinstance(value, Mapping):
        # Parquet fills the names that other rows use with nulls.
        named = {str(name): text for name, text in value.items() if text is not None}
    else:
        named = {str(number): text for number, text in enumerate(row.listed("answers"), start=1)}
    if len(named) < 2:
        raise row.error(f"'answers' holds {len(named)} answer; a ranking needs at least two")
    return {
        name: Completion(
            prompt_id=prompt.id, text=row.spoken(text, f"answers[{name}]"), id=f"{prompt.id}/{name}/{_of(text)}"
        )
        for name, text in named.items()
    }


def _of(text: str) -> str:
    """A short name of a text, so that two rows that call different answers "1" do not clash."""
    return Completion(prompt_id="", text=text).id.removeprefix("c-")[:6]


def _ranking(row: Row, answers: Mapping[str, Completion]) -> Ranking:
    tiers = _tiers(row, row.need("ranking")) if row.has("ranking") else _tiers_by_number(row, answers)
    for name in (name for tier in tiers for name in tier):
        if name not in answers:
            near = difflib.get_close_matches(name, answers, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"answers are named {', '.join(answers)}"
            raise row.error(f"the ranking names the unknown answer {name!r}; {hint}")
    strengths = row.values.get("strengths")
    if strengths is not None and not isinstance(strengths, list | tuple):
        raise row.error(
            f"'strengths' should be a list of one number 1 to 4 between neighbouring tiers, got {strengths!r}"
        )
    return ranked.ranking(row, [[answers[name].id for name in tier] for tier in tiers], strengths)


def _tiers(row: Row, value: Any) -> list[list[str]]:
    if isinstance(value, str):
        return [[name.strip() for name in tier.split("=")] for tier in value.split(">")]
    tiers = row.listed("ranking")
    return [[str(name) for name in tier] if isinstance(tier, list | tuple) else [str(tier)] for tier in tiers]


def _tiers_by_number(row: Row, answers: Mapping[str, Completion]) -> list[list[str]]:
    column, sign = ("ranks", -1.0) if row.has("ranks") or not row.has("scores") else ("scores", 1.0)
    value = row.need(column)
    numbers = dict(value) if isinstance(value, Mapping) else dict(zip(answers, row.listed(column), strict=False))
    count = len(numbers) if isinstance(value, Mapping) else len(value)
    if count != len(answers):
        raise row.error(f"{column!r} holds {count} numbers for {len(answers)} answers; give one for each")
    for name, number in numbers.items():
        if not isinstance(number, int | float) or number != number:
            raise row.error(f"{column!r} gives {number!r} for answer {name!r}; it should be a number")
    return [list(tier) for tier in Ranking.by_score({str(n): sign * number for n, number in numbers.items()}).tiers]


def _row_id(row: Row) -> str | None:
    return str(row.values["id"]) if row.has("id") else None


FORMAT = Format(
    name="ranking",
    columns="prompt, answers, ranking | ranks | scores",
    matches=lambda values: "answers" in values and bool({"ranking", "ranks", "scores"} & set(values)),
    comparisons=comparisons,
    row_id=_row_id,
)
