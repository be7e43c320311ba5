"""What files say of tasks, read for a store: tried row by row, laid in a file aside, unnamed raters told apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import RootModel

from assent.artifacts.jsonl import Records
from assent.core.lazy import Mapped
from assent.data.config import Source
from assent.data.formats import Said
from assent.data.identity import Apart, Numbering
from assent.data.load import lay_said
from assent.data.load_report import LoadReport
from assent.feedback.queue.imports import refuse_unusable


class _Line(RootModel[Said]):
    """An item of any kind as a line of a file; fields that each kind refuses tell which it is."""


def read_said(sources: Sequence[Source], *, quarantine: Path | None = None) -> tuple[Apart[Said], LoadReport]:
    """Everything that files say, in order, of which what is asked for is held.

    Raises DataError for the first row that a store cannot take, or puts it in quarantine.
    """
    numbering = Numbering()

    def aside(_: int, items: Iterable[Said]) -> Sequence[Said]:
        return Mapped(_said, Records.aside(_Line, (_Line(numbering(item)) for item in items)))

    items, report = lay_said(sources, aside, quarantine=quarantine, check=refuse_unusable)
    return Apart(items, numbering.again), report


def _said(line: _Line) -> Said:
    return line.root
