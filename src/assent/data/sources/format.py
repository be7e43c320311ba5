"""What a foreign format is to Assent: how to know it, and how one of its rows becomes core types."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assent.core.types import Comparison, Conversation, Prompt
from assent.data.formats import Said
from assent.data.rows import BadRow, Row


@dataclass(frozen=True)
class Format:
    """One format. A reader returns the items of a row or raises `row.error(...)`; None where it holds no such items.

    Columns that a reader takes through `row.need` count as read; what is done with the others, `columns` says.
    """

    name: str
    columns: str
    """The columns it needs, in words, for error messages."""
    matches: Callable[[Mapping[str, Any]], bool]
    """Whether a row's columns, those that say something, look like this format."""
    conversations: Callable[[Row], list[Conversation]] | None = None
    comparisons: Callable[[Row], list[Comparison]] | None = None
    said: Callable[[Row], list[Said]] | None = None
    """Only for formats that hold more than comparisons for a store."""
    prompts: Callable[[Row], list[Prompt]] | None = None
    """Only for formats whose prompts are not simply those of their conversations or comparisons."""
    row_id: Callable[[Row], str | None] = lambda row: None
    """The id that must be unique inside a source, where rows have one."""
    beside: str | None = None
    """Stem of a file that lies beside the rows and is not rows itself."""
    prepare: Callable[[Path], Mapping[Any, Any]] | None = None
    """Reads the file beside, given the path of the rows."""
    regroup: Callable[[Sequence[Row]], Iterator[Row | BadRow]] | None = None
    """Makes rows that can be read one by one out of all rows of a file, where only several together mean something."""
    regrouped: tuple[str, ...] = ("comparisons",)
    """For which of demonstrations, prompts and comparisons that is needed."""
    ignores: frozenset[str] = frozenset()
    """Columns that belong to the format and do not change what is read."""
    owns: frozenset[str] = frozenset()
    """Columns that mean the same in other formats and something else here."""
    is_closed: bool = False
    """Whether the reader itself answers for every column of a row."""
    gives_prompts: bool = True
    """Whether prompts are read by it; if not, its rows are read as prompts alone and its other columns become meta."""

    def read_said(self, row: Row) -> list[Said]:
        """Everything in a row that a store takes in."""
        if self.said is not None:
            return self.said(row)
        return list(self.comparisons(row)) if self.comparisons is not None else []

    def read_prompts(self, row: Row) -> list[Prompt]:
        """The prompts of a row, taken from whatever it holds."""
        if self.prompts is not None:
            return self.prompts(row)
        if self.conversations is not None:
            return [conversation.prompt for conversation in self.conversations(row)]
        return [comparison.prompt for comparison in self.comparisons(row)] if self.comparisons is not None else []
