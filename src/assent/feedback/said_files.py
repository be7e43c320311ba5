"""What files say of tasks, read for a store: tried row by row, laid in a file aside, unnamed raters told apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import RootModel

from assent.artifacts.jsonl import Records
from assent.core.lazy import Mapped
from assent.data.config import Source
from assent.data.formats import Said
from assent.data.identity import Numbering, again_line
from assent.data.load import lay_said
from assent.data.load_report import LoadReport
from assent.feedback.queue.imports import refuse_unusable


class _Line(RootModel[Said]):
    """An item of any kind as a line of a file; fields that each kind refuses tell which it is."""


@dataclass(frozen=True)
class SaidFiles:
    """Everything that files say, in order, of which what is asked for is held."""

    items: Sequence[Said]
    report: LoadReport
    again: int
    """Votes of unnamed raters on answers on which one had voted before."""

    @classmethod
    def read(cls, sources: Sequence[Source], *, quarantine: Path | None = None) -> SaidFiles:
        """Read all files. Raises DataError for the first row that a store cannot take, or puts it in quarantine."""
        numbering = Numbering()

        def aside(_: int, items: Iterable[Said]) -> Sequence[Said]:
            return Mapped(_said, Records.aside(_Line, (_Line(numbering(item)) for item in items)))

        items, report = lay_said(sources, aside, quarantine=quarantine, check=refuse_unusable)
        return cls(items, report, numbering.again)

    def lines(self) -> list[str]:
        """What was read, and what was told apart, in words."""
        return [*self.report.lines(), *again_line(self.again)]


def _said(line: _Line) -> Said:
    return line.root
