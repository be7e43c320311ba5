"""The plain ranking format, the shortest way to write down what people said about K answers.

    {"prompt": "Why?", "answers": {"a": "…", "b": "…", "c": "…"}, "ranking": "b > a = c", "rater": "ann"}
    {"prompt": "Why?", "answers": ["…", "…", "…"], "ranks": [2, 1, 2]}          1 = best, equal numbers tie
    {"prompt": "Why?", "answers": ["…", "…"], "scores": [0.2, 0.9]}             highest = best

`ranking` may also be a list of ids, ties as inner lists. Answers in a list are named "1", "2", … in their order.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Mapping
from typing import Any

from assent.core.types import Comparison, Completion, Judgment, Prompt, Ranking
from assent.data.rows import Row
from assent.data.sources import asked, ranked, turns
from assent.data.sources.format import Format
from assent.data.values import is_blank, is_said, name_of, number

_RATER = "unknown"


def comparisons(row: Row) -> list[Comparison]:
    """The answers of a row and its one judgment."""
    prompt = turns.prompt(row, asked.prompt(row))
    answers = _answers(row, prompt)
    own = _row_id(row)
    judgment = Judgment(
        task_id=ranked.task_id(prompt, list(answers.values())) if own is None else f"ranking/{own}",
        rater_id=_rater(row),
        ranking=_ranking(row, answers),
        critique=row.optional_text("critique") or None,
        seconds=_seconds(row),
    )
    return [ranked.comparison(row, prompt, list(answers.values()), [judgment])]


def _rater(row: Row) -> str:
    if not row.has("rater"):
        return ranked.rater_of(row, _RATER)
    value = row.need("rater")
    return name_of(value) or (row.text("rater") if not isinstance(value, str) else _RATER)


def _seconds(row: Row) -> float | None:
    if not row.has("seconds"):
        return None
    value = row.need("seconds")
    found = number(value)
    if found is None and not is_blank(value):
        raise row.error(f"'seconds' is {value!r}; it should be a number")
    return found


def _answers(row: Row, prompt: Prompt) -> dict[str, Completion]:
    """Answers under the names the row uses for them; their own ids hold the prompt, so that files can be mixed."""
    value = row.need("answers")
    if isinstance(value, Mapping):
        # Parquet fills the names that other rows use with nulls.
        named = {str(name): text for name, text in value.items() if is_said(text)}
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
    place = {name: number for number, tier in enumerate(tiers) for name in tier}
    for name, other in itertools.combinations(place, 2):
        if place[name] != place[other] and answers[name].text.strip() == answers[other].text.strip():
            raise row.error(f"answers {name!r} and {other!r} are the same text, and one is ranked above the other")
    return ranked.ranking(row, [[answers[name].id for name in tier] for tier in tiers], _strengths(row))


def _strengths(row: Row) -> list[int | None] | None:
    if not row.has("strengths"):
        return None
    value = row.need("strengths")
    if not isinstance(value, list | tuple):
        raise row.error(f"'strengths' should be a list of one number 1 to 4 between neighbouring tiers, got {value!r}")
    found = [number(one) if is_said(one) else None for one in value]
    if any(said is None and is_said(one) for said, one in zip(found, value, strict=True)) or any(
        said is not None and not said.is_integer() for said in found
    ):
        raise row.error(f"'strengths' should be whole numbers from 1 to 4, got {value!r}")
    return [None if said is None else int(said) for said in found]


def _tiers(row: Row, value: Any) -> list[list[str]]:
    if isinstance(value, str):
        return [[name.strip() for name in tier.split("=")] for tier in value.split(">")]
    tiers = row.listed("ranking")
    return [[str(name) for name in tier] if isinstance(tier, list | tuple) else [str(tier)] for tier in tiers]


def _tiers_by_number(row: Row, answers: Mapping[str, Completion]) -> list[list[str]]:
    column, sign = ("ranks", -1.0) if row.has("ranks") or not row.has("scores") else ("scores", 1.0)
    value = row.need(column)
    numbers = dict(value) if isinstance(value, Mapping) else dict(zip(answers, row.listed(column), strict=False))
    if isinstance(value, Mapping):
        # Parquet fills the names that other rows use with nulls.
        numbers = {name: said for name, said in numbers.items() if is_said(said) or name in answers}
    count = len(numbers) if isinstance(value, Mapping) else len(value)
    if count != len(answers):
        raise row.error(f"{column!r} holds {count} numbers for {len(answers)} answers; give one for each")
    places: dict[str, float] = {}
    for name, said in numbers.items():
        place = number(said)
        if place is None:
            raise row.error(f"{column!r} gives {said!r} for answer {name!r}; it should be a number")
        places[str(name)] = sign * place
    return [list(tier) for tier in Ranking.by_score(places).tiers]


def _row_id(row: Row) -> str | None:
    return name_of(row.values.get("id"))


FORMAT = Format(
    name="ranking",
    columns="prompt, answers, ranking | ranks | scores",
    matches=lambda values: "answers" in values and bool({"ranking", "ranks", "scores"} & set(values)),
    ignores=frozenset({"id"}),
    comparisons=comparisons,
    row_id=_row_id,
)
