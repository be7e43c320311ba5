"""Demonstrations out of edits: what raters wrote that an answer should have said, as chat messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from assent.core.types import Comparison
from assent.data.losses import RANKINGS, Losses, count_unsaid
from assent.data.writers.spoken import as_messages, with_tools

Rows = list[dict[str, Any]]


def edits(comparisons: Sequence[Comparison], losses: Losses) -> Rows:
    """One row of messages per edit: the prompt and the text that a rater put in an answer's place."""
    count_unsaid(comparisons, losses, keeps=frozenset({"edits"}))
    losses.add(RANKINGS, sum(j.ranking is not None for c in comparisons for j in c.judgments))
    found = [
        (c.prompt, text)
        for c in comparisons
        for judgment in c.judgments
        for text in judgment.edits.values()
        if text.strip()
    ]
    rows = [{"messages": [*as_messages(prompt.messages), _said(text)]} for prompt, text in found]
    return with_tools(rows, [prompt for prompt, _ in found])


def _said(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}
