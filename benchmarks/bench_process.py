"""Runs one timed command in a process session of its own, with priority where the system grants it, within memory."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MEMORY_LIMIT = 8 * 2**30
"""Bytes that one command may have resident; with more it is ended, and that is said."""
POLL = 0.1


@dataclass(frozen=True)
class Priority:
    """What autogroup and nice are set to; 0 leaves both alone."""

    level: int = -10

    def wrapped(self, command: list[str]) -> list[str]:
        """The command with its session's and its own priority set first.

        `nice` weighs processes within a session only, where the kernel groups by session (autogroup): so a timed
        command needs a session of its own and that session's weight.
        """
        if not self.level:
            return command
        step = self.level - os.getpriority(os.PRIO_PROCESS, 0)
        script = 'echo "$0" > /proc/self/autogroup; step=$1; shift; exec nice -n "$step" "$@"'
        return ["sh", "-c", script, str(self.level), str(step), *command]


def granted(level: int) -> Priority:
    """The priority where this user may set it, else none; which, is printed."""
    if not level:
        return Priority(0)
    probe = Priority(level).wrapped(["sh", "-c", "cat /proc/self/autogroup; nice"])
    done = subprocess.run(probe, start_new_session=True, capture_output=True, text=True)
    found = done.stdout.split()
    if done.returncode == 0 and found and found[-1] == str(level) and f"nice {level}" in done.stdout:
        return Priority(level)
    print(f"no priority {level}: this user may not raise it, so neighbours weigh as much as what is timed", flush=True)
    return Priority(0)


class Failed(Exception):
    """A command that gave no result: what it said last, or that it took too much memory."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def run(
    command: list[str],
    job: dict[str, Any],
    folder: Path,
    *,
    threads: int,
    priority: Priority,
    limit: float = math.inf,
) -> dict[str, Any]:
    """What the command writes into the file that the job names. The job is the last argument, a file of JSON.

    Raises Failed where it ends badly, passes MEMORY_LIMIT, or is not done after `limit` seconds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    out, asked = folder / "out.json", folder / "job.json"
    out.unlink(missing_ok=True)
    asked.write_text(json.dumps({**job, "out": str(out), "threads": threads}))
    began, load = time.monotonic(), os.getloadavg()[0]
    with (folder / "said.txt").open("w") as said:
        child = subprocess.Popen(
            priority.wrapped([*command, str(asked)]),
            stdout=said,
            stderr=subprocess.STDOUT,
            env=environment(threads),
            start_new_session=True,
        )
        try:
            stopped = _watch(child, began + limit)
        except BaseException:
            _end(child)
            raise
    if stopped:
        raise Failed(stopped)
    if child.returncode or not out.is_file():
        lines = [line for line in (folder / "said.txt").read_text(errors="replace").splitlines() if line.strip()]
        raise Failed(f"ended with {child.returncode}: {' | '.join(lines[-3:])[-400:]}")
    found = json.loads(out.read_text())
    return {**found, "process_seconds": time.monotonic() - began, "load": load}


def environment(threads: int) -> dict[str, str]:
    """The same for both sides: threads, how long they spin, nothing fetched, no progress bars."""
    same = {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "GOMP_SPINCOUNT": "10000",
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "TQDM_DISABLE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "TRL_EXPERIMENTAL_SILENCE": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }
    return {**os.environ, **same}


def _watch(child: subprocess.Popen[bytes], until: float) -> str:
    """Wait for the end; why it had to be ended before, if so."""
    began = time.monotonic()
    while child.poll() is None:
        reason = ""
        if resident(child.pid) > MEMORY_LIMIT:
            reason = f"passed {MEMORY_LIMIT / 2**30:.0f} GiB of memory"
        elif time.monotonic() > until:
            reason = f"was not done after {time.monotonic() - began:.0f} s"
        if reason:
            _end(child)
            return reason
        time.sleep(POLL)
    return ""


def _end(child: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        child.wait()


def resident(pid: int) -> int:
    """Bytes that a process has in memory; 0 once it is gone."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
