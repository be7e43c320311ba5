"""UltraFeedback (Cui et al. 2023): one instruction, K completions scored by a model; its binarized forms are TRL rows.

The order comes from `overall_score`, else `fine-grained_score`, else the mean of the aspect ratings; equal scores tie.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from assent.core.types import Comparison, Completion, Judgment, Ranking
from assent.data.rows import Row
from assent.data.sources import ranked, transcripts, turns
from assent.data.sources.format import Format
from assent.data.values import is_blank
from assent.data.values import number as number_in

_RATER = "ultrafeedback"
_TOTALS = ("overall_score", "fine-grained_score")


def comparisons(row: Row) -> list[Comparison]:
    """The K completions in the order of their scores."""
    prompt = turns.prompt(row, transcripts.asked(row, row.text("instruction"), "instruction"))
    answers: list[Completion] = []
    totals: dict[str, float] = {}
    aspects: dict[str, dict[str, float]] = {}
    for number, value in enumerate(row.listed("completions")):
        place = f"completions[{number}]"
        if not isinstance(value, Mapping):
            raise row.error(f"{place} should be an object with response and scores, got {type(value).__name__}")
        text = row.spoken(value.get("response", ""), f"{place}.response")
        answer = Completion(prompt_id=prompt.id, text=text, source=str(value.get("model") or ""))
        ratings = _ratings(value.get("annotations"))
        read = {"response", "model", "annotations", *_TOTALS}
        row.tally.ignore(
            *(f"completions.{key}" for key, said in value.items() if key not in read and not is_blank(said))
        )
        answers.append(answer)
        totals[answer.id] = _total(row, value, ratings, place)
        aspects[answer.id] = ratings
    judgment = Judgment(
        task_id=ranked.task_id(prompt, answers),
        rater_id=_RATER,
        ranking=Ranking.by_score(totals),
        scores={i: {**aspects[i], "overall": totals[i]} for i in totals},
    )
    return [ranked.comparison(row, prompt, answers, [judgment])]


def _total(row: Row, value: Mapping[str, Any], ratings: dict[str, float], place: str) -> float:
    for name in _TOTALS:
        score = number_in(value.get(name))
        if score is not None:
            return score
    if not ratings:
        raise row.error(f"{place} has no overall_score, fine-grained_score or ratings; add one of them")
    return math.fsum(ratings.values()) / len(ratings)


def _ratings(annotations: Any) -> dict[str, float]:
    """Aspect ratings; "N/A" and missing ones are left out."""
    if not isinstance(annotations, Mapping):
        return {}
    found = {}
    for aspect, value in annotations.items():
        first = value[0] if isinstance(value, list | tuple) and value else value
        rating = number_in(first.get("Rating") if isinstance(first, Mapping) else first)
        if rating is not None:
            found[str(aspect)] = rating
    return found


FORMAT = Format(
    name="ultrafeedback",
    columns="instruction, completions [{response, overall_score}]",
    matches=lambda values: "instruction" in values and isinstance(values.get("completions"), list | tuple),
    comparisons=comparisons,
    ignores=frozenset({"models", "correct_answers", "incorrect_answers"}),
)
