"""What both sides report of themselves in the same words: seconds, processor time, peak memory. Needs only Python."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any


class Clock:
    """Time of a block by the clock, and what the processor worked meanwhile."""

    def __enter__(self) -> Clock:
        self._began = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._began[0]
        self.cpu_seconds = time.process_time() - self._began[1]


def peak_mib() -> float:
    """Most memory that this process had resident since it began."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def told(path: str, clock: Clock, **facts: Any) -> None:
    """Write the result of a command; the peak must be read before anything is measured on what was trained."""
    Path(path).write_text(json.dumps({"seconds": clock.seconds, "cpu_seconds": clock.cpu_seconds, **facts}))
