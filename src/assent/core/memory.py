"""How much memory a run may use: of the machine with the limits of its control groups, or of a GPU."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Device = Literal["cpu", "cuda"]
GIB = float(2**30)
_NO_LIMIT = 2**60
_GROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Memory:
    """What there is, in bytes."""

    device: Device
    total: float
    """All that this process could ever have."""
    free: float
    """What is free of it now."""

    @property
    def said(self) -> str:
        """In words."""
        where = "this GPU has" if self.device == "cuda" else "this machine has"
        return f"{where} {size(self.total)}, {size(self.free)} of it free"

    def at_most(self, num_bytes: float | None) -> Memory:
        """The same with a limit of one's own."""
        if num_bytes is None:
            return self
        return Memory(self.device, num_bytes, num_bytes)


def size(num_bytes: float) -> str:
    """1.2 GB, 35 MB."""
    return f"{num_bytes / 1e9:.1f} GB" if num_bytes >= 1e8 else f"{num_bytes / 1e6:.0f} MB"


def memory_of(device: Literal["auto", "cpu", "cuda"]) -> Memory | None:
    """Of the first GPU that a process sees, for `cuda`, and for `auto` where there is one; else of the machine.

    None where it cannot be known.
    """
    if device != "cpu" and (found := _of_gpu()) is not None:
        return found
    return None if device == "cuda" else of_machine()


def of_machine(meminfo: Path = Path("/proc/meminfo"), groups: Path = _GROUPS) -> Memory | None:
    """RAM, or the tightest limit of the control groups that this process may be in, and what is free of it."""
    try:
        lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line)
        total, free = (float(lines[name].split()[0]) * 1024 for name in ("MemTotal", "MemAvailable"))
    except (OSError, KeyError, ValueError, IndexError):
        return None
    for limit, used in _limits(groups):
        total, free = min(total, limit), min(free, max(limit - used, 0.0))
    return Memory("cpu", total, free)


def _limits(groups: Path) -> Iterator[tuple[float, float]]:
    """Limit and use of each control group in force, of version 2 and 1, at the mount and where this process is."""
    places = [groups, groups / "memory"]
    try:
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, kinds, where = line.split(":", 2)
            own = groups / "memory" if kinds == "memory" else groups
            if kinds in ("", "memory"):
                places.append(own / where.lstrip("/"))
    except (OSError, ValueError):
        pass
    for place in dict.fromkeys(places):
        for limit_name, used_name in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            limit, used = _number(place / limit_name), _number(place / used_name)
            if limit is not None and limit < _NO_LIMIT:
                yield limit, (used or 0.0) - _cached(place)


def _cached(place: Path) -> float:
    """Bytes of a group that hold files and would be given back."""
    try:
        lines = dict(line.split(" ", 1) for line in (place / "memory.stat").read_text().splitlines())
        return float(lines.get("total_inactive_file", lines.get("inactive_file", 0)))
    except (OSError, ValueError):
        return 0.0


def _number(file: Path) -> float | None:
    try:
        return float(file.read_text())
    except (OSError, ValueError):
        return None


def _of_gpu() -> Memory | None:
    """Asked of the driver's own program: torch would take seconds to load."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0].strip()
    if chosen == "-1" or shutil.which("nvidia-smi") is None:
        return None
    asked = ["nvidia-smi", "--query-gpu=memory.total,memory.free", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(
            [*asked, *(["-i", chosen] if chosen else [])], capture_output=True, text=True, timeout=10, check=True
        )
        total, free = (float(part) * 2**20 for part in done.stdout.splitlines()[0].split(","))
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None
    return Memory("cuda", total, free)
