"""The record of a run: numbers over steps on disk and in TensorBoard, progress and calm lines for people."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from assent.core.drawing import Drawing
from assent.core.errors import DataError
from assent.core.files import disk_errors, write_text
from assent.core.progress import Bar, Screen
from assent.core.trackers import TensorBoardTracker, Tracker, TrackerName, open_tracker

METRICS = "metrics.jsonl"
SAMPLES = "samples.jsonl"


class Answered(NamedTuple):
    """What a policy answered to a prompt while it was trained. Both are untrusted text."""

    prompt: str
    answer: str


class RunLog:
    """Numbers of one stage, in `folder/metrics.jsonl`, one line per call of `record`; answers in `samples.jsonl`.

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
        told: set[str] | None = None,
    ) -> None:
        self.folder = folder
        self.title = ""
        """Of the stage; printed as a heading by `begin`, or above the first line that people see of it."""
        self.told = set() if told is None else told
        """Lines that `say_once` has said, here or in a log that shares the set, and which trackers began or failed."""
        self.quiet = quiet
        self._screen = Screen(stream or sys.stderr, quiet=quiet)
        self._wants_tensorboard = tensorboard
        self._tracker_names = tuple(trackers)
        self._trackers: list[Drawing] | None = None
        self._numbers, self._answers = _Lines(folder / METRICS), _Lines(folder / SAMPLES)
        self._is_titled = False

    def record(self, step: int, values: Mapping[str, float], *, kind: str = "train") -> None:
        """Append the values of one step."""
        numbers = {name: float(value) for name, value in values.items()}
        line = {"step": step, "kind": kind, **{n: v if math.isfinite(v) else None for n, v in numbers.items()}}
        with disk_errors(self.folder / METRICS):
            self._numbers.append([line])
            drawn = {f"{kind}/{name}": value for name, value in numbers.items()}
            for one in self._drawers():
                one.draw(lambda tracker: tracker.record(step, drawn))

    def show(self, step: int, after: int, answers: Sequence[Answered]) -> None:
        """Append what the policy answers, with the step whose numbers stand beside it and how many were `after`."""
        with disk_errors(self.folder / SAMPLES):
            self._answers.append([{"step": step, "after": after, **one._asdict()} for one in answers])
            for one in self._drawers():
                one.draw(lambda tracker: tracker.show(after, answers))

    def rewind(self, step: int) -> None:
        """Forget everything recorded after `step`: a resumed run will record it again."""
        forgot = [lines.rewind(step) for lines in (self._numbers, self._answers)]
        if any(forgot):
            for one in self._drawers():
                one.draw(lambda tracker: tracker.rewind(step))

    def take(self, folder: Path) -> None:
        """Take over all that another log recorded in `folder`, as if it had been recorded here."""
        for line in read_metrics(folder):
            self.record(line.pop("step"), line, kind=line.pop("kind"))
        for after, rows in itertools.groupby(read_shown(folder), key=lambda one: one[0]):
            self.show(max(after - 1, 0), after, [one for _, one in rows])

    def copy_to(self, output: Path) -> None:
        """Copy what was logged into a folder, but for a file that it has already."""
        for name in (METRICS, SAMPLES):
            if (self.folder / name).exists() and not (output / name).exists():
                shutil.copyfile(self.folder / name, output / name)

    @contextlib.contextmanager
    def progress(self, description: str, total: int, *, done: int = 0, is_aside: bool = False) -> Iterator[Bar]:
        """A bar whose `.advance(n, **shown)` counts; `done` and `is_aside` are as for `Screen.bar`."""
        with self._screen.bar(self._below_title(description), total, done=done, is_aside=is_aside) as bar:
            yield bar

    def begin(self, why: str = "") -> None:
        """Print the title, and why the stage runs."""
        self._is_titled = True
        self._screen.say(f"{self.title}: {why}" if why else self.title)

    def say(self, text: str) -> None:
        """Print one calm line for people. Nothing when quiet."""
        self._screen.say(self._below_title(text))

    def say_once(self, text: str) -> None:
        """Print a line that is the same in several stages, the first time."""
        if text not in self.told:
            self.told.add(text)
            self.say(text)

    def close(self) -> None:
        """Write what is pending. The log may be used again afterwards."""
        for lines in (self._numbers, self._answers):
            lines.close()
        trackers, self._trackers = self._trackers or [], None
        for one in trackers:
            one.close()

    def __enter__(self) -> RunLog:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _below_title(self, text: str) -> str:
        """The text, indented below the stage's title, which is printed first."""
        if not self.title:
            return text
        if not self._is_titled:
            self.begin()
        return f"  {text}"

    def _drawers(self) -> list[Drawing]:
        if self._trackers is None:
            begins: dict[str, Callable[[], Tracker]] = {}
            if self._wants_tensorboard:
                begins["tensorboard"] = partial(TensorBoardTracker, self.folder / "tensorboard")
            begins |= {name: partial(open_tracker, name, self.folder) for name in self._tracker_names}
            self._trackers = [Drawing(name, begin, self.told, self.say) for name, begin in begins.items()]
        return self._trackers


class _Lines:
    """A file of JSON lines, each with its step, that grows; it appears with the first line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIO | None = None

    def append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write some lines; one torn by a kill is cut off first, so that the next one starts on its own."""
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if self._path.is_file():
                lines = _lines(self._path)
                whole = _whole(lines)
                if whole != lines:
                    write_text(self._path, "".join(whole))
            self._file = self._path.open("a", encoding="utf-8", buffering=1)
        for row in rows:
            self._file.write(json.dumps(row, ensure_ascii=False) + "\n")

    def rewind(self, step: int) -> bool:
        """Take out the lines after `step`; whether there were any."""
        if not self._path.exists():
            return False
        self.close()
        lines = _lines(self._path)
        kept = [line for line in _whole(lines) if json.loads(line)["step"] <= step]
        if kept != lines:
            write_text(self._path, "".join(kept))
        return kept != lines

    def close(self) -> None:
        """Write what is pending. Lines may be written again afterwards."""
        file, self._file = self._file, None
        if file is not None:
            with disk_errors(self._path):
                file.close()


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """Every recorded line of a log folder, oldest first; [] where nothing was recorded.

    A last line torn by a kill is left out. Raises DataError for any other line that is not JSON.
    """
    rows = _read(folder / METRICS, "a line of metrics")
    return [{name: math.nan if value is None else value for name, value in row.items()} for row in rows]


def read_shown(folder: Path) -> list[tuple[int, Answered]]:
    """Answers from the way of a training, oldest first, each with the number of steps it came after; [] without any.

    Raises DataError for a line that is none of them.
    """
    path, found = folder / SAMPLES, []
    for number, row in enumerate(_read(path, "an answer from the way"), start=1):
        after, prompt, answer = row.get("after"), row.get("prompt"), row.get("answer")
        if not (isinstance(after, int) and isinstance(prompt, str) and isinstance(answer, str)):
            raise DataError("not an answer from the way of a training; delete it", path=path, line=number)
        found.append((after, Answered(prompt, answer)))
    return found


def _read(path: Path, what: str) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    lines = _lines(path)
    if lines and not lines[-1].endswith("\n"):
        lines.pop()
    records = []
    for number, line in enumerate(lines, start=1):
        record = _parse(line)
        if record is None:
            raise DataError(f"not {what}; delete it", path=path, line=number)
        records.append(record)
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
