"""What a foreign format is to Assent: how to know it, and how one of its rows becomes core types."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assent.core.types import Comparison, Conversation, Prompt
from assent.data.rows import Row


@dataclass(frozen=True)
class Format:
    """One format. A reader returns the items of a row or raises `row.error(...)`; None where it holds no such items."""

    name: str
    columns: str
    """The columns it needs, in words, for error messages."""
    matches: Callable[[Mapping[str, Any]], bool]
    """Whether a row's columns look like this format."""
    conversations: Callable[[Row], list[Conversation]] | None = None
    comparisons: Callable[[Row], list[Comparison]] | None = None
    prompts: Callable[[Row], list[Prompt]] | None = None
    """Only for formats whose prompts are not simply those of their conversations or comparisons."""
    row_id: Callable[[Row], str | None] = lambda row: None
    """The id that must be unique inside a source, where rows have one."""
    beside: str | None = None
    """Stem of a file that lies beside the rows and is not rows itself."""
    prepare: Callable[[Path], Mapping[Any, Any]] | None = None
    """Reads the file beside, given the path of the rows."""

    def read_prompts(self, row: Row) -> list[Prompt]:
        """The prompts of a row, taken from whatever it holds."""
        if self.prompts is not None:
            return self.prompts(row)
        if self.conversations is not None:
            return [conversation.prompt for conversation in self.conversations(row)]
        return [comparison.prompt for comparison in self.comparisons(row)] if self.comparisons is not None else []
