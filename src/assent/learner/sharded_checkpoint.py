"""Checkpoints of several processes: each writes its shards and any number of them reads them; whole or not at all.

    checkpoint-000120/
        shards/                 safetensors of `torch.distributed.checkpoint`, one file for each process that wrote
        state.json              plain numbers: data position, counters, controller state
        checksums.json          step, and SHA-256 of all the files above

Two are kept, as by `learner.checkpoint`. The folder must be on a disk that all processes see.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed.checkpoint as dcp
from torch import Tensor
from torch.distributed.checkpoint.metadata import TensorStorageMetadata

from assent.core import files
from assent.core.errors import RunError
from assent.core.hashing import hash_file
from assent.learner import peers
from assent.learner.checkpoint import KEPT, numbered

_SHARDS, _STATE, _CHECKSUMS = "shards", "state.json", "checksums.json"
Like = Callable[[str], Tensor | None]
"""By the name of a saved tensor: an empty one that lies as the reader holds it; None: it holds it whole."""


@dataclass(frozen=True)
class ShardedCheckpoint:
    """A checkpoint on disk whose checksums were right when it was found."""

    folder: Path
    step: int
    state: dict[str, Any]

    def part(self, name: str, like: Like | None = None) -> dict[str, Tensor]:
        """The saved tensors of a part, each whole or this process's shard of it; all processes read together."""
        reader = dcp.HuggingFaceStorageReader(str(self.folder / _SHARDS))
        prefix, found = f"{name}/", {}
        for key, kept in reader.read_metadata().state_dict_metadata.items():
            if key.startswith(prefix) and isinstance(kept, TensorStorageMetadata):
                own = None if like is None else like(key.removeprefix(prefix))
                found[key] = torch.empty(kept.size, dtype=kept.properties.dtype) if own is None else own
        if found:
            dcp.load(found, storage_reader=dcp.HuggingFaceStorageReader(str(self.folder / _SHARDS)))
        return {key.removeprefix(prefix): tensor for key, tensor in found.items()}


def save(folder: Path, *, step: int, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> Path:
    """Write checkpoint `step` into the first process's `folder`; it and the one before it are kept, others deleted.

    Tensors that are not shards are the same on all processes, and written once. Raises RunError on a full disk, and
    where a process does not see the folder; the checkpoints already there stay.
    """
    folder = peers.from_first(lambda: _emptied(folder))
    path = folder / f"checkpoint-{step:06d}"
    with _made_by_first(path) as partial:
        with _said_by_all(path):
            writer = dcp.HuggingFaceStorageWriter(str(partial / _SHARDS), save_distributed=True)
            dcp.save(dict(tensors), storage_writer=writer)
        if peers.is_first():
            files.write_json(partial / _STATE, dict(state))
        sums = {name: digest for some in peers.gathered(_sums(partial)) for name, digest in some.items()}
        if peers.is_first():
            sums[_STATE] = hash_file(partial / _STATE)
            files.write_json(partial / _CHECKSUMS, {"step": step, "sha256": sums})
    if peers.is_first():
        earlier = [one for one in numbered(folder) if one[0] <= step][:KEPT]
        for one in numbered(folder):
            if one not in earlier:  # a later step is of a run that was not resumed; it must not come back
                shutil.rmtree(one[1], ignore_errors=True)
    return path


def latest(folder: Path, *, say: Callable[[str], None]) -> ShardedCheckpoint | None:
    """The newest checkpoint in the first process's `folder` that is whole, or None.

    A damaged one is reported in one line, deleted, and the one before it is taken. Every process checks its part.
    """
    folder = peers.from_first(lambda: _emptied(folder))
    for step, path in peers.from_first(lambda: numbered(folder)):
        problems = [problem for problem in peers.gathered(_problem(path, step)) if problem is not None]
        if not problems:
            return ShardedCheckpoint(path, step, json.loads((path / _STATE).read_text(encoding="utf-8")))
        if peers.is_first():
            say(f"{path.name} is damaged ({problems[0]}); going back to the one before")
            shutil.rmtree(path)
    return None


def _emptied(folder: Path) -> Path:
    """The folder, without what a kill left."""
    files.remove_partials(folder)
    return folder.absolute()


@contextlib.contextmanager
def _made_by_first(path: Path) -> Iterator[Path]:
    """A directory that the first process makes and all fill; it appears under `path` once all are done."""
    with contextlib.ExitStack() as making:
        partial = peers.from_first(lambda: making.enter_context(files.new_directory(path)))
        if peers.is_true_anywhere(not partial.is_dir()):
            raise RunError(
                f"not every learner sees {path.parent}; put the folder of the runs on a disk that all machines share"
            )
        yield partial
        peers.gathered(None)  # all have written
    peers.gathered(None)  # it is there


@contextlib.contextmanager
def _said_by_all(path: Path) -> Iterator[None]:
    """Make one line of what went wrong on any process; `dcp.save` raises it on all."""
    try:
        yield
    except dcp.CheckpointException as error:
        cause = next(iter(error.failures.values()))[0]
        with files.disk_errors(path):
            if isinstance(cause, OSError):
                raise cause from error
        raise RunError(f"cannot write the checkpoint {path}: {cause}") from error


def _sums(partial: Path) -> dict[str, str]:
    """Hashes of this process's part of the shards."""
    mine = sorted((partial / _SHARDS).glob("*.safetensors"))[peers.rank() :: peers.count()]
    return {f"{_SHARDS}/{one.name}": hash_file(one) for one in mine}


def _problem(path: Path, step: int) -> str | None:
    """What is wrong with this process's part of a checkpoint, or None."""
    try:
        known = json.loads((path / _CHECKSUMS).read_bytes())
        sums = dict(known["sha256"])
        there = {f"{_SHARDS}/{one.name}" for one in (path / _SHARDS).glob("*")} | {_STATE}
        if known["step"] != step or set(sums) != there:
            return "its checksums belong to another checkpoint"
        mine = sorted(sums)[peers.rank() :: peers.count()]
        wrong = [name for name in mine if hash_file(path / name) != sums[name]]
    except (OSError, ValueError, KeyError, TypeError):
        return "a file is missing or unreadable"
    return f"{wrong[0]} has changed since it was written" if wrong else None
