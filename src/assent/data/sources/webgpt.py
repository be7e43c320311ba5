"""WebGPT comparisons (Nakano et al. 2021): a question, two answers with the quotes they cite, and their scores."""

from __future__ import annotations

from collections.abc import Mapping

from assent.core.types import Comparison, Message
from assent.data.rows import Row
from assent.data.sources import ranked, turns
from assent.data.sources.format import Format
from assent.data.values import number

_SIDES = ("0", "1")


def comparisons(row: Row) -> list[Comparison]:
    """The two answers of a row, the one with the higher score first; equal scores tie."""
    question = row.need("question")
    asked = question.get("full_text") if isinstance(question, Mapping) else question
    prompt = turns.prompt(row, (Message(role="user", content=row.spoken(asked, "question.full_text")),))
    texts = {side: row.text(f"answer_{side}") for side in _SIDES}
    scores = {}
    for side in _SIDES:
        value = number(row.need(f"score_{side}"))
        if value is None:
            raise row.error(f"'score_{side}' is {row.values[f'score_{side}']!r}; it should be a number")
        scores[side] = value
    tiers = [[side for side in _SIDES if scores[side] == level] for level in sorted(set(scores.values()), reverse=True)]
    verdict = ranked.Verdict("webgpt", tiers, scores={side: {"overall": score} for side, score in scores.items()})
    return [ranked.judged(row, prompt, texts, verdict)]


FORMAT = Format(
    name="webgpt",
    columns="question, answer_0, answer_1, score_0, score_1",
    matches=lambda values: {"question", "answer_0", "answer_1", "score_0", "score_1"} <= values.keys(),
    comparisons=comparisons,
    ignores=frozenset(f"{name}_{side}" for name in ("quotes", "tokens") for side in _SIDES),
)
