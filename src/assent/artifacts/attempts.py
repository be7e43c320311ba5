"""How long a stage has been worked on, and where its log lies, over all attempts of all runs."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from assent.core import files


class Attempts:
    """Seconds spent on a stage over all its attempts, in work/<stage>/attempts.json.

    A killed attempt cannot write down its end; the last change of any of its files stands for it. Where another run
    began the work, its log is taken over, so that the curves of the run that ends it are whole.
    """

    def __init__(self, work: Path, log_folder: Path) -> None:
        self._path = work / "attempts.json"
        self._log = os.path.relpath(log_folder, work)
        self._earlier: list[float] = []
        self._start = time.time()
        if self._path.exists():
            known = json.loads(self._path.read_text(encoding="utf-8"))
            self._earlier = known["seconds"]
            logged = work / known.get("log", self._log)
            if known["started"] is not None:
                self._earlier.append(max(_last_change(work, logged) - known["started"], 0.0))
            if known.get("log", self._log) != self._log and logged.is_dir():
                shutil.rmtree(log_folder, ignore_errors=True)
                shutil.copytree(logged, log_folder)
        else:
            # Nothing of an earlier life of this key (say, of an artifact that was removed) may show in its curves.
            shutil.rmtree(log_folder, ignore_errors=True)

    @contextlib.contextmanager
    def timed(self) -> Iterator[None]:
        """Count this attempt, also one that is killed in the block."""
        self._write(self._earlier, self._start)
        try:
            yield
        finally:
            self._write(self._all(), None)

    def seconds(self) -> float:
        """Of all attempts so far."""
        return round(sum(self._all()), 3)

    def _all(self) -> list[float]:
        return [*self._earlier, time.time() - self._start]

    def _write(self, seconds: list[float], started: float | None) -> None:
        files.write_json(self._path, {"seconds": seconds, "started": started, "log": self._log})


def _last_change(*folders: Path) -> float:
    times = [0.0]
    for path in (p for folder in folders for p in folder.rglob("*")):
        with contextlib.suppress(FileNotFoundError):
            times.append(path.stat().st_mtime)
    return max(times)
