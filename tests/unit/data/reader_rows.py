"""Rows written to files and what readers make of them, in few words, for the tests of readers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from assent.core.types import Comparison, Conversation, Prompt
from assent.data.config import Source
from assent.data.load import load_comparisons, load_conversations, load_prompts
from assent.data.load_report import LoadReport

Load = Callable[..., tuple[list[Any], LoadReport]]
D, C, P = load_conversations, load_comparisons, load_prompts
Turns = list[tuple[str, str]]


def write(path: Path, *rows: Any) -> Path:
    """Rows as JSON lines; text stands as it is."""
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def read(load: Load, path: Path, **source: Any) -> tuple[list[Any], LoadReport]:
    """What a file gives."""
    return load([Source(path=path, **source)])


def turns(item: Prompt | Conversation | Comparison) -> Turns:
    """(role, text) of every turn; of a comparison those of its prompt."""
    said = item.prompt.messages if isinstance(item, Comparison) else item.messages
    return [(turn.role, turn.content) for turn in said]


def tiers(item: Comparison) -> list[list[str]]:
    """Texts of the answers by place, best first."""
    texts = {answer.id: answer.text for answer in item.completions}
    ranking = item.judgments[0].ranking
    assert ranking is not None
    return [[texts[i] for i in tier] for tier in ranking.tiers]
