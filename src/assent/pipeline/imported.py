"""Imported judgments: tried against the base before anything is trained, since no file and line is left of them."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from assent.artifacts.identity import FromOutside, resolved
from assent.artifacts.jsonl import Records
from assent.artifacts.store import Artifact
from assent.core import files
from assent.core.errors import DataError
from assent.core.hashing import hash_json, hash_json_list
from assent.core.lazy import pick
from assent.core.types import Comparison, Marked
from assent.feedback.config import StoreConfig
from assent.feedback.opening import open_store
from assent.feedback.records.queue import Queue
from assent.models.config import ModelConfig
from assent.pipeline.config import RunConfig
from assent.pipeline.limits import RowLimit, row_limits
from assent.pipeline.row_check import RowCheck, RowReader, Template

IMPORTED = Queue(project="imported", purpose="reward")
"""Judgments that came in by `assent import`."""
MARKS = "marks.jsonl"
"""In an artifact of judgments: what was said without ranking two answers; only where the method learns from it."""
TRIED = "tried.json"
"""In a run's folder: the hash of the imported judgments that were tried last, so that they are not tried again."""


@dataclass(frozen=True)
class Tried:
    """Imported comparisons that can be used, and the others with the reason."""

    good: Sequence[Comparison]
    bad: list[tuple[Comparison, str]]

    @classmethod
    def of(cls, comparisons: Sequence[Comparison], check: RowCheck) -> Tried:
        """Try each."""
        good, bad = array("q"), []
        for place, comparison in enumerate(comparisons):
            try:
                check(comparison)
                good.append(place)
            except DataError as wrong:
                bad.append((comparison, str(wrong)))
        return cls(pick(comparisons, np.array(good, dtype=np.int64)), bad)

    def facts(self) -> dict[str, int]:
        """How many judgments there were, and tasks that cannot be used; what is none is left out."""
        judgments = count_of(self.good) + count_of(one for one, _ in self.bad)
        said = {"imported": judgments, "bad_rows": len(self.bad)}
        return {name: count for name, count in said.items() if count}

    def line(self, store: StoreConfig) -> str:
        """The first that cannot be used, by project and task, and how many there are."""
        comparison, reason = self.bad[0]
        more = f" ({len(self.bad)} of {len(self.good) + len(self.bad)} imported tasks)" if len(self.bad) > 1 else ""
        task = comparison.judgments[0].task_id
        return f"{store.shown}: task {task!r} of project {IMPORTED.project!r} cannot be used{more}: {reason}"

    def quarantined(self) -> Iterator[str]:
        """Each that cannot be used as a line of JSON."""
        for comparison, reason in self.bad:
            task = comparison.judgments[0].task_id
            row = comparison.model_dump(mode="json")
            yield json.dumps({"project": IMPORTED.project, "task": task, "reason": reason, "row": row}) + "\n"


def imported_comparisons(store: StoreConfig) -> Sequence[Comparison]:
    """What came in by `assent import`, in a file aside; nothing where there is no store yet."""
    if not store.has_content:
        return []
    with open_store(store) as opened:
        return opened.listing.with_comparisons(IMPORTED, partial(Records.aside, Comparison))


def imported_marks(store: StoreConfig) -> list[Marked]:
    """What came in of flags and scores without a ranking, tasks of a single answer among them."""
    if not store.has_content:
        return []
    with open_store(store) as opened:
        return opened.listing.marked(IMPORTED)


def imported_now(store: StoreConfig) -> FromOutside:
    """Names the imported judgments, so that importing more makes the stage run again, and says how many they are.

    Their hash is "" where nothing was imported.
    """
    found = imported_comparisons(store)
    return FromOutside({}, {}, {"imported": count_of(found)}) | {"imported": _hash_of(found)}


def count_of(comparisons: Iterable[Comparison]) -> int:
    """How many judgments they hold."""
    return sum(len(one.judgments) for one in comparisons)


def imported_marks_hash(store: StoreConfig) -> str:
    """The same of those."""
    return _hash_of(imported_marks(store))


def _hash_of(comparisons: Sequence[Comparison | Marked]) -> str:
    return hash_json_list(c.model_dump(mode="json") for c in comparisons) if comparisons else ""


def check_for(base: Artifact, model: ModelConfig, limits: Sequence[RowLimit]) -> RowCheck:
    """The check of rows for a base that is made."""
    return RowCheck(RowReader.of(Template.at(base.file("policy"), model)), limits)


def refuse_unusable(folder: Path, config: RunConfig, base: Artifact) -> None:
    """Raise DataError for the first imported comparison that the run cannot use; notes in `folder` what was tried."""
    store, model, limits = config.store, config.model, list(row_limits(config, "comparisons"))
    if store.skip_bad or not config.reads_rankings:
        return
    imported = imported_comparisons(store)
    if not imported:
        return
    now = hash_json([_hash_of(imported), base.key, resolved(model), [resolved(one) for one in limits]])
    path = folder / TRIED
    if path.is_file() and json.loads(path.read_text(encoding="utf-8")) == now:
        return
    tried = Tried.of(imported, check_for(base, model, limits))
    if tried.bad:
        raise DataError(f"{tried.line(store)}; or set store.skip_bad: true, which leaves such tasks out")
    files.write_json(path, now)
