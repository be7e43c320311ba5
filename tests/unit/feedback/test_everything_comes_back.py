"""A store filled with everything it can hold leaves in our own format, and an empty store is then equal to it."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from full_store import STUDY, Filler, studies, tables
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assent.data.config import Source
from assent.data.exports import export
from assent.data.load import load_said
from assent.feedback.exporting import gather, those_who_said
from assent.feedback.records.queue import Queue
from assent.feedback.store import Store


def leave(store: Store, queue: Queue, path: Path) -> Path:
    """Write a queue in our own format."""
    export(gather(store, queue), "assent", path, raters=those_who_said(store, attributes=False))
    return path


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(studies(), st.sampled_from([".jsonl", ".parquet"]))
def test_an_empty_store_is_equal_after_the_import(empty: Path, study: dict[str, Any], ending: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for copy in ("one.db", "other.db"):
            shutil.copy(empty, folder / copy)
        queue = Queue(STUDY, study["purpose"])
        with Store.open(f"sqlite:///{folder}/one.db", seed=study["seed"]) as one:
            Filler(one, study, has_tools=True).fill()
            leave(one, queue, folder / f"left{ending}")
        with Store.open(f"sqlite:///{folder}/other.db") as other:
            said, _ = load_said([Source(path=folder / f"left{ending}")])
            first = other.import_comparisons(said, queue, now=2e9)
            again = other.import_comparisons(said, queue, now=3e9)
            assert (again.added, again.decisions, again.guidelines, again.known) == (0, 0, 0, first.added)
            leave(other, queue, folder / f"back{ending}")
        left, back = tables(folder / "one.db"), tables(folder / "other.db")
        for table, rows in left.items():
            assert back[table] == rows, table
        assert (folder / f"left{ending}").read_bytes() == (folder / f"back{ending}").read_bytes()
