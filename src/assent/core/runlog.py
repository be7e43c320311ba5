"""The record of a run: numbers over steps on disk and in TensorBoard, progress and calm lines for people."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from assent.core.errors import DataError
from assent.core.files import disk_errors, write_text
from assent.core.progress import Bar, Screen
from assent.core.trackers import TensorBoardTracker, Tracker, TrackerName, open_tracker

METRICS = "metrics.jsonl"


class RunLog:
    """Numbers of one stage, in `folder/metrics.jsonl`, one line per call of `record`.

    A line is `{"step": 12, "kind": "train", "loss": 2.31}`. Nothing in it depends on the clock, so a resumed run ends
    with the same file as one left alone. Non-finite values are stored as null and read back as NaN.
    Files appear with the first number; a log that only talks writes nothing.
    """

    def __init__(
        self,
        folder: Path,
        *,
        quiet: bool = False,
        tensorboard: bool = True,
        trackers: Sequence[TrackerName] = (),
        stream: TextIO | None = None,
    ) -> None:
        self.folder = folder
        self.quiet = quiet
        self._screen = Screen(stream or sys.stderr, quiet=quiet)
        self._wants_tensorboard = tensorboard
        self._tracker_names = tuple(trackers)
        self._trackers: list[Tracker] | None = None
        self._file: TextIO | None = None

    def record(self, step: int, values: Mapping[str, float], *, kind: str = "train") -> None:
        """Append the values of one step."""
        numbers = {name: float(value) for name, value in values.items()}
        line = {"step": step, "kind": kind, **{n: v if math.isfinite(v) else None for n, v in numbers.items()}}
        with disk_errors(self.folder / METRICS):
            self._metrics().write(json.dumps(line, ensure_ascii=False) + "\n")
            for tracker in self._drawers():
                tracker.record(step, {f"{kind}/{name}": value for name, value in numbers.items()})

    def rewind(self, step: int) -> None:
        """Forget everything recorded after `step`: a resumed run will record it again."""
        path = self.folder / METRICS
        if not path.exists():
            return
        self._close_metrics()
        lines = _lines(path)
        kept = [line for line in _whole(lines) if json.loads(line)["step"] <= step]
        if kept == lines:
            return
        write_text(path, "".join(kept))
        for tracker in self._drawers():
            tracker.rewind(step)

    def take(self, folder: Path) -> None:
        """Take over all that another log recorded in `folder`, as if it had been recorded here."""
        for line in read_metrics(folder):
            self.record(line.pop("step"), line, kind=line.pop("kind"))

    @contextlib.contextmanager
    def progress(self, description: str, total: int, *, done: int = 0) -> Iterator[Bar]:
        """A bar whose `.advance(n, **shown)` counts; `done` of `total` were counted before a resume."""
        with self._screen.bar(description, total, done=done) as bar:
            yield bar

    def say(self, text: str) -> None:
        """Print one calm line for people. Nothing when quiet."""
        self._screen.say(text)

    def close(self) -> None:
        """Write what is pending. The log may be used again afterwards."""
        self._close_metrics()
        for tracker in self._trackers or ():
            tracker.close()
        self._trackers = None

    def __enter__(self) -> RunLog:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _metrics(self) -> TextIO:
        """The open file; a line torn by a kill is cut off first, so that the next one starts on its own."""
        if self._file is None:
            path = self.folder / METRICS
            self.folder.mkdir(parents=True, exist_ok=True)
            if path.is_file():
                lines = _lines(path)
                whole = _whole(lines)
                if whole != lines:
                    write_text(path, "".join(whole))
            self._file = path.open("a", encoding="utf-8", buffering=1)
        return self._file

    def _close_metrics(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with disk_errors(self.folder / METRICS):
                file.close()

    def _drawers(self) -> list[Tracker]:
        if self._trackers is None:
            self._trackers = [TensorBoardTracker(self.folder / "tensorboard")] if self._wants_tensorboard else []
            self._trackers += [open_tracker(name, self.folder) for name in self._tracker_names]
        return self._trackers


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """Every recorded line of a log folder, oldest first; [] where nothing was recorded.

    A last line torn by a kill is left out. Raises DataError for any other line that is not JSON.
    """
    path = folder / METRICS
    if not path.exists():
        return []
    lines = _lines(path)
    if lines and not lines[-1].endswith("\n"):
        lines.pop()
    records = []
    for number, line in enumerate(lines, start=1):
        record = _parse(line)
        if record is None:
            raise DataError("not a line of metrics; delete it", path=path, line=number)
        records.append({name: math.nan if value is None else value for name, value in record.items()})
    return records


def _lines(path: Path) -> list[str]:
    # Only \n ends a line; str.splitlines would also split at separators that are legal inside JSON.
    with path.open(encoding="utf-8", errors="replace", newline="\n") as stream:
        return list(stream)


def _whole(lines: list[str]) -> list[str]:
    """Lines up to the first that is torn or garbled; what follows such a line cannot be placed and is dropped."""
    return list(itertools.takewhile(lambda line: line.endswith("\n") and _parse(line) is not None, lines))


def _parse(line: str) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except json.JSONDecodeError:
        return None
    return record if isinstance(record, dict) and isinstance(record.get("step"), int) else None
