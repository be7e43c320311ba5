"""A table for spreadsheets: one row per judgment, its order in letters, and the answers those letters stand for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from assent.core.shown import shown
from assent.core.types import Comparison, Judgment
from assent.data.losses import Losses, count_unsaid

KEEPS = frozenset(
    {"raters", "strengths", "critiques", "notes", "flags", "scores", "edits", "seconds", "orders", "details"}
)
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def table(comparisons: Sequence[Comparison], losses: Losses) -> list[dict[str, Any]]:
    """One row per judgment: who, the prompt, the order ("B > A = C"), everything else said, then the answers."""
    count_unsaid(comparisons, losses, keeps=KEEPS)
    most = max((len(c.completions) for c in comparisons), default=0)
    return [_row(comparison, judgment, most) for comparison in comparisons for judgment in comparison.judgments]


def _row(comparison: Comparison, judgment: Judgment, most: int) -> dict[str, Any]:
    letter = {c.id: _letter(n) for n, c in enumerate(comparison.completions)}
    ranking = judgment.ranking
    strengths = ranking.strengths if ranking is not None else None
    turns = [f"{one.role}: {one.text}" for one in shown(comparison.prompt)]
    answers = [c.text for c in comparison.completions] + [""] * (most - len(comparison.completions))
    notes = [{"answer": letter.get(n.completion_id, ""), "note": n.text, "quote": n.quote} for n in judgment.notes]
    flags = [f"{letter[i]}:{flag}" for i, some in judgment.flags.items() for flag in some if i in letter]
    return {
        "judgment": judgment.id,
        "task": judgment.task_id,
        "rater": judgment.rater_id,
        "prompt": comparison.prompt.messages[0].content if len(turns) == 1 else "\n\n".join(turns),
        "order": "" if ranking is None else ranking.sentence(letter),
        "strengths": "" if strengths is None else " ".join("?" if s is None else str(s) for s in strengths),
        "flags": " ".join(flags),
        "scores": _json({letter[i]: said for i, said in judgment.scores.items() if i in letter}),
        "critique": judgment.critique or "",
        "notes": _json(notes),
        "edits": _json({letter[i]: text for i, text in judgment.edits.items() if i in letter}),
        "shown": " ".join(letter[i] for i in judgment.order_shown if i in letter),
        "seconds": judgment.seconds,
        "details": _json(judgment.details),
        **{f"answer {_letter(n)}": text for n, text in enumerate(answers)},
    }


def _letter(number: int) -> str:
    return LETTERS[number] if number < len(LETTERS) else str(number + 1)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if value else ""
