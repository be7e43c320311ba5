"""Writing what people said for other programs, with a report of what each format could not hold.

report = export(comparisons, "trl", Path("pairs.jsonl"))
report.lines()      ["wrote 246 pairs as trl", "212 ties dropped", "41 rankings became 458 pairs, ties included", …]
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assent.core.errors import DataError
from assent.core.files import write_bytes
from assent.core.types import Comparison, Rater
from assent.data import aside, cells, formats
from assent.data.anonymity import suppressed
from assent.data.formats import json_lines, parquet_bytes
from assent.data.losses import KINDS, NO_ATTRIBUTES, TEXTS, Losses, LossReport
from assent.data.task_records import Guideline, TaskRecord
from assent.data.writers.argilla import argilla
from assent.data.writers.edits import edits
from assent.data.writers.label_studio import label_studio
from assent.data.writers.oasst import oasst
from assent.data.writers.pairs import hh, trl, trl_implicit, trl_plain
from assent.data.writers.table import table
from assent.data.writers.ultrafeedback import ultrafeedback

_LINES = (".jsonl", ".jsonl.gz")
_TABLES = (*_LINES, ".parquet")
_LISTS = (".json", *_LINES)


@dataclass(frozen=True)
class ExportFormat:
    """A format that can be written."""

    name: str
    about: str
    unit: str
    """What a row is."""
    endings: tuple[str, ...]
    """File endings it can be written to, the usual one first."""
    write: Callable[[Sequence[Comparison], Losses], list[dict[str, Any]]]

    @property
    def ending(self) -> str:
        """The usual ending."""
        return self.endings[0]


OWN = "assent"
Leaving = Comparison | TaskRecord | Guideline
"""What can be written: comparisons as they are, or tasks with everything known about them, and what raters were told.
"""


def _own(comparisons: Sequence[Comparison], _losses: Losses) -> list[dict[str, Any]]:
    return [_own_row(comparison) for comparison in comparisons]


EXPORTS = {
    form.name: form
    for form in (
        ExportFormat(OWN, "our own rows, which keep everything", "tasks", _TABLES, _own),
        ExportFormat("trl", "prompt, chosen, rejected as messages", "pairs", _TABLES, trl),
        ExportFormat("trl_implicit", "chosen, rejected as whole conversations", "pairs", _TABLES, trl_implicit),
        ExportFormat("trl_plain", "prompt, chosen, rejected as text", "pairs", _TABLES, trl_plain),
        ExportFormat("hh", "HH-RLHF transcripts", "pairs", _TABLES, hh),
        ExportFormat("ultrafeedback", "an instruction and scored completions", "rankings", _TABLES, ultrafeedback),
        ExportFormat("oasst", "OpenAssistant trees with ranks", "trees", _LINES, oasst),
        ExportFormat("argilla", "Argilla records with responses", "records", _LISTS, argilla),
        ExportFormat("label_studio", "Label Studio tasks with annotations", "tasks", _LISTS, label_studio),
        ExportFormat("csv", "a table for spreadsheets", "judgments", (".csv",), table),
        ExportFormat("edits", "demonstrations out of raters' edits", "demonstrations", _TABLES, edits),
    )
}


def export(items: Iterable[Leaving], format: str, path: Path, *, raters: Iterable[Rater] = ()) -> LossReport:
    """Write what was said in a format to `path`, atomically; the ending says how. Returns what was lost.

    `raters` with attributes are written by our own format only, without what fewer than five people share. Raises
    DataError for an unknown format or ending, or where the format can hold nothing of it.
    """
    content, report = encode(items, format, path.name, raters=raters)
    write_bytes(path, content)
    return report


def encode(
    items: Iterable[Leaving], format: str, name: str, *, raters: Iterable[Rater] = ()
) -> tuple[bytes, LossReport]:
    """The bytes of the file `name` and the report of what was lost; nothing is written."""
    form = export_format(format)
    ending = next((ending for ending in sorted(form.endings, key=len, reverse=True) if name.endswith(ending)), None)
    if ending is None:
        endings = ", ".join(form.endings)
        raise DataError(f"{form.name} cannot be written to it; choose a name ending in {endings}", path=name)
    losses, given = Losses(), list(items)
    tasks = [item for item in given if not isinstance(item, Guideline)]
    told = [item for item in given if isinstance(item, Guideline)]
    said = {rater_id for item in tasks for rater_id in _who(item)}
    if form.name == OWN:
        rows = [_own_row(item) for item in tasks]
    else:
        losses.add(TEXTS, len(told))
        rows = form.write(aside.without(tasks, losses), losses)
    if not rows:
        lost = "; ".join(losses.report(form.name, 0, form.unit).lines()[1:]) or "there are no judgments"
        raise DataError(f"nothing to write as {form.name}: {lost}", path=name)
    written = len(rows)
    if form.name == OWN:
        rows += [formats.to_row(guideline) for guideline in told]
    rows += _about_raters(form, [rater for rater in raters if rater.id in said], losses)
    return _content(form, ending, name, rows), losses.report(form.name, written, form.unit)


def _who(item: Comparison | TaskRecord) -> set[str]:
    found = {judgment.rater_id for judgment in item.judgments}
    return found | {decision.adjudicator for decision in item.decisions} if isinstance(item, TaskRecord) else found


def _own_row(item: Comparison | TaskRecord) -> dict[str, Any]:
    """A task that can be learned from as a comparison, every other in a row of its own."""
    if isinstance(item, TaskRecord) and item.is_comparison:
        item = aside.as_comparison(item)
    return formats.to_row(item)


def export_format(name: str) -> ExportFormat:
    """The format of that name. Raises DataError with the nearest one."""
    if name not in EXPORTS:
        near = difflib.get_close_matches(name, EXPORTS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(EXPORTS)}"
        raise DataError(f"format {name!r} cannot be written; {hint}")
    return EXPORTS[name]


def _about_raters(form: ExportFormat, raters: Iterable[Rater], losses: Losses) -> list[dict[str, Any]]:
    """Rows about those who are not simply people, or have told something about themselves."""
    given = list(raters)
    if form.name != OWN:
        losses.add(NO_ATTRIBUTES, sum(len(rater.attributes) for rater in given))
        losses.add(KINDS, sum(rater.kind != "person" for rater in given))
        return []
    kept = suppressed(given, losses)
    return [formats.to_row(rater) for rater in kept if rater.attributes or rater.kind != "person"]


def _content(form: ExportFormat, ending: str, name: str, rows: list[dict[str, Any]]) -> bytes:
    try:
        if ending == ".csv":
            return cells.table(list(rows[0]), [list(row.values()) for row in rows])
        if ending == ".json":
            return (json.dumps(rows, ensure_ascii=False, indent=1, allow_nan=False) + "\n").encode()
        if ending == ".parquet" and form.name != "assent" and any(_holds_calls(row) for row in rows):
            raise DataError("a table cannot hold tools and calls as they are; choose .jsonl", path=name)
        if ending == ".parquet":
            return formats.record_table(rows) if form.name == OWN else parquet_bytes(_columns(rows))
        return json_lines(Path(name), rows)[0]
    except (ValueError, TypeError) as error:
        raise DataError(f"a judgment's meta or scores hold what JSON cannot: {error}; remove it", path=name) from None


def _holds_calls(row: Mapping[str, Any]) -> bool:
    turns = [turn for value in row.values() if isinstance(value, list) for turn in value if isinstance(turn, Mapping)]
    return bool(row.get("tools")) or any("tool_calls" in turn for turn in turns)


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]}
