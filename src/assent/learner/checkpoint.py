"""Checkpoints of a learner: tensors and state at a step, whole or not at all; the last two are kept.

    checkpoint-000120/
        tensors.safetensors     weights and optimizer moments
        state.json              plain numbers: data position, counters, controller state
        checksums.json          step, and SHA-256 of the two files above

Random state is not stored: every draw comes from `core.seeds` by step (see there).
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from assent.core import files
from assent.core.errors import RunError
from assent.core.hashing import hash_file

KEPT = 2
_TENSORS, _STATE, _CHECKSUMS = "tensors.safetensors", "state.json", "checksums.json"


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on disk whose checksums were right when it was found."""

    folder: Path
    step: int
    state: dict[str, Any]

    def tensors(self, *, device: str = "cpu") -> dict[str, Tensor]:
        """The saved tensors, bit for bit."""
        return load_file(self.folder / _TENSORS, device=device)

    def part(self, name: str, like: object = None) -> dict[str, Tensor]:
        """Those of a part, whose names begin with its own; all whole, however the part would have them (`like`)."""
        prefix = f"{name}/"
        with safe_open(str(self.folder / _TENSORS), framework="pt") as saved:
            keys = [key for key in saved.keys() if key.startswith(prefix)]  # noqa: SIM118
            return {key.removeprefix(prefix): saved.get_tensor(key) for key in keys}


def save(folder: Path, *, step: int, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> Path:
    """Write checkpoint `step` into `folder`; it and the one before it are kept, all others deleted.

    Tensors may have any shape (0-dim too) and any dtype of safetensors; no two may share memory (ValueError).
    Raises RunError on a full disk; the checkpoints already there stay.
    """
    _refuse_shared(tensors)
    path = folder / f"checkpoint-{step:06d}"
    files.remove_partials(folder)
    with files.new_directory(path) as partial:
        with _os_errors():
            save_file({name: t.detach().contiguous() for name, t in tensors.items()}, partial / _TENSORS)
        files.write_json(partial / _STATE, dict(state))
        sums = {name: hash_file(partial / name) for name in (_TENSORS, _STATE)}
        files.write_json(partial / _CHECKSUMS, {"step": step, "sha256": sums})
    earlier = [(number, old) for number, old in numbered(folder) if number <= step]
    for number, old in numbered(folder):
        if (number, old) not in earlier[:KEPT]:  # a later step is of a run that was not resumed; it must not come back
            shutil.rmtree(old, ignore_errors=True)
    return path


def latest(folder: Path, *, say: Callable[[str], None]) -> Checkpoint | None:
    """The newest checkpoint in `folder` that is whole, or None.

    A damaged one is reported in one line, deleted, and the one before it is taken.
    """
    files.remove_partials(folder)
    for step, path in numbered(folder):
        problem = _problem(path, step)
        if problem is None:
            return Checkpoint(path, step, json.loads((path / _STATE).read_text(encoding="utf-8")))
        say(f"{path.name} is damaged ({problem}); going back to the one before")
        shutil.rmtree(path)
    return None


class Cadence:
    """Says when a checkpoint is due, by wall time: `seconds` after the last one was written.

    Results never depend on when checkpoints are written; only the work lost in a kill does.
    """

    def __init__(self, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._last = clock()

    def due(self) -> bool:
        """Has it been long enough?"""
        return self._clock() - self._last >= self._seconds

    def saved(self) -> None:
        """A checkpoint was just written: count from now."""
        self._last = self._clock()


def numbered(folder: Path) -> list[tuple[int, Path]]:
    """Checkpoint directories, newest first."""
    found = [(re.fullmatch(r"checkpoint-(\d{6,})", path.name), path) for path in folder.glob("checkpoint-*")]
    return sorted(((int(match[1]), path) for match, path in found if match), reverse=True)


def _problem(path: Path, step: int) -> str | None:
    """What is wrong with a checkpoint, or None."""
    try:
        known = json.loads((path / _CHECKSUMS).read_bytes())
        sums = dict(known["sha256"])
        if known["step"] != step or set(sums) != {_TENSORS, _STATE}:
            return "its checksums belong to another checkpoint"
        wrong = [name for name, digest in sums.items() if hash_file(path / name) != digest]
    except (OSError, ValueError, KeyError, TypeError):
        return "a file is missing or unreadable"
    return f"{wrong[0]} has changed since it was written" if wrong else None


def _refuse_shared(tensors: Mapping[str, Tensor]) -> None:
    owners: dict[tuple[str, int], str] = {}
    for name, tensor in tensors.items():
        if tensor.numel() == 0:
            continue
        first = owners.setdefault((str(tensor.device), tensor.data_ptr()), name)
        if first != name:
            raise ValueError(f"{first} and {name} share memory; give the tensor once")


@contextlib.contextmanager
def _os_errors() -> Iterator[None]:
    """Give back the error number that safetensors hides in its message, so that a full disk reads as one."""
    try:
        yield
    except SafetensorError as error:
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise RunError(f"cannot write the checkpoint: {error}") from error
        raise OSError(int(number[1]), os.strerror(int(number[1]))) from error
