"""Comparisons out of foreign rows: answers with ids, and what one anonymous or named rater said about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from assent.core.hashing import hash_json, short
from assent.core.problems import first_problem
from assent.core.types import Comparison, Completion, Flag, Judgment, Prompt, Ranking
from assent.data.rows import Row
from assent.data.values import name_of

_WHO = [name + end for name in ("rater", "annotator", "labeler", "labeller", "worker") for end in ("", "_id")]


def rater_of(row: Row, unnamed: str) -> str:
    """Who judged a row, by the first column of that name that says one person; `unnamed` where none does."""
    for column in _WHO:
        if (name := name_of(row.values.get(column))) is not None:
            row.tally.read(column)
            return name
    return unnamed


def preference(
    row: Row,
    prompt: Prompt,
    chosen: str,
    rejected: str,
    *,
    rater: str,
    scores: dict[str, dict[str, float]] | None = None,
) -> Comparison:
    """Two answers of which one was preferred. `scores` is keyed "chosen" and "rejected"."""
    if chosen.strip() == rejected.strip():
        raise row.error("chosen and rejected are the same text, so no preference can be learned; remove the row")
    answers = {
        "chosen": Completion(prompt_id=prompt.id, text=chosen),
        "rejected": Completion(prompt_id=prompt.id, text=rejected),
    }
    judgment = Judgment(
        task_id=task_id(prompt, list(answers.values())),
        rater_id=rater,
        ranking=Ranking(tiers=tuple((answer.id,) for answer in answers.values())),
        scores={answers[name].id: values for name, values in (scores or {}).items()},
    )
    return comparison(row, prompt, list(answers.values()), [judgment])


@dataclass(frozen=True)
class Verdict:
    """What one rater said of answers that a row names, best first; names inside a tier are tied."""

    rater: str
    tiers: Sequence[Sequence[str]]
    strengths: Sequence[int | None] | None = None
    scores: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Name -> criterion -> score."""
    flags: Mapping[str, tuple[Flag, ...]] = field(default_factory=dict)


def judged(
    row: Row, prompt: Prompt, texts: Mapping[str, str], verdict: Verdict, sources: Mapping[str, str] | None = None
) -> Comparison:
    """Answers under the names that a row gives them, their sources, and one verdict on them."""
    if len({text.strip() for text in texts.values()}) < len(texts):
        raise row.error(f"two of {', '.join(texts)} are the same text, so no preference can be learned; remove the row")
    answers = {
        name: Completion(prompt_id=prompt.id, text=text, source=(sources or {}).get(name, ""))
        for name, text in texts.items()
    }
    ids = {name: answer.id for name, answer in answers.items()}
    judgment = Judgment(
        task_id=task_id(prompt, list(answers.values())),
        rater_id=verdict.rater,
        ranking=ranking(row, [[ids[name] for name in tier] for tier in verdict.tiers if tier], verdict.strengths),
        scores={ids[name]: dict(scores) for name, scores in verdict.scores.items() if scores},
        flags={ids[name]: flags for name, flags in verdict.flags.items() if flags},
    )
    return comparison(row, prompt, list(answers.values()), [judgment])


def comparison(
    row: Row, prompt: Prompt, completions: Sequence[Completion], judgments: Sequence[Judgment], **meta: Any
) -> Comparison:
    """A comparison, its rules turned into the row's error."""
    try:
        return Comparison(prompt=prompt, completions=tuple(completions), judgments=tuple(judgments), meta=meta)
    except ValidationError as error:
        raise row.error(f"{first_problem(error)}; correct the row") from None


def ranking(row: Row, tiers: Sequence[Sequence[str]], strengths: Sequence[int | None] | None = None) -> Ranking:
    """A ranking, its rules turned into the row's error."""
    try:
        return Ranking(tiers=tuple(map(tuple, tiers)), strengths=None if strengths is None else tuple(strengths))
    except ValidationError as error:
        raise row.error(f"{first_problem(error)}; correct the ranking") from None


def task_id(prompt: Prompt, completions: Sequence[Completion]) -> str:
    """A stable name for the question "order these answers of this prompt"."""
    return "t-" + short(hash_json([prompt.id, sorted(completion.id for completion in completions)]))
