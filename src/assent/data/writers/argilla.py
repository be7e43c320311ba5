"""Argilla records, as `dataset.records.to_json` writes them: one per task, responses by question and user.

    {"id": "t-1", "fields": {"prompt": "…", "answer-1": "…", "answer-2": "…"}, "metadata": {…}, "suggestions": {},
     "responses": {"ranking": [{"value": ["answer-2", "answer-1"], "user_id": "…"}]}, "status": "completed", …}

Argilla's rankings cannot tie, so a ranking with ties is written as ratings: one question per answer, highest = best.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from assent.core.types import Comparison
from assent.data.losses import RENAMED, Losses, count_unsaid
from assent.data.writers.ranked import Placed, placed
from assent.data.writers.spoken import as_texts, is_one_question

Rows = list[dict[str, Any]]
ANSWER = "answer-"
RANKING, STANDING, CRITIQUE = "ranking", "standing_", "critique"
_USERS = uuid.UUID("6d1f6a52-5a0b-4b7e-9a39-0d4a4a1b7c11")
"""Namespace in which raters get the UUIDs that Argilla wants for its users."""


def argilla(comparisons: Sequence[Comparison], losses: Losses) -> Rows:
    """One record per comparison, raters renamed to UUIDs that are the same in every export."""
    count_unsaid(comparisons, losses, keeps=frozenset({"raters", "critiques"}))
    records: dict[int, dict[str, Any]] = {}
    raters, ties = set(), 0
    for one in placed(comparisons, losses):
        if id(one.comparison) not in records:
            records[id(one.comparison)] = _record(one.comparison, len(records), losses)
        record = records[id(one.comparison)]
        raters.add(one.judgment.rater_id)
        ties += _has_ties(one)
        _respond(record["responses"], one)
    losses.add(RENAMED, len(raters))
    if ties:
        losses.notes.append(f"{ties} {'ranking' if ties == 1 else 'rankings'} with ties written as ratings")
    return list(records.values())


def _record(comparison: Comparison, number: int, losses: Losses) -> dict[str, Any]:
    prompt = comparison.prompt
    asked = prompt.text if is_one_question(prompt) else as_texts(prompt, losses)
    answers = {name: answer.text for name, answer in zip(_names(comparison), comparison.completions, strict=True)}
    sources = {
        f"source-{n}": answer.source for n, answer in enumerate(comparison.completions, start=1) if answer.source
    }
    return {
        "id": f"{comparison.judgments[0].task_id or comparison.prompt.id}-{number}",
        "fields": {"prompt": asked, **answers},
        "metadata": sources,
        "suggestions": {},
        "responses": {},
        "vectors": {},
        "status": "completed",
        "_server_id": None,
    }


def _respond(responses: dict[str, list[dict[str, Any]]], one: Placed) -> None:
    user = str(uuid.uuid5(_USERS, one.judgment.rater_id))
    names = dict(zip((answer.id for answer in one.comparison.completions), _names(one.comparison), strict=True))
    said: dict[str, Any] = {}
    if _has_ties(one):
        worst = len(one.ranking.tiers)
        said |= {STANDING + names[answer.id]: worst - one.place(answer) for answer in one.answers}
    else:
        said[RANKING] = [names[i] for i in one.ranking.ids]
    if one.judgment.critique:
        said[CRITIQUE] = one.judgment.critique
    for question, value in said.items():
        responses.setdefault(question, []).append({"value": value, "user_id": user})


def _names(comparison: Comparison) -> list[str]:
    return [f"{ANSWER}{number}" for number in range(1, len(comparison.completions) + 1)]


def _has_ties(one: Placed) -> bool:
    return any(len(tier) > 1 for tier in one.ranking.tiers)
