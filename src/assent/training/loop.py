"""The loop under every trainer: count steps, resume where a killed run stopped, checkpoint by the clock.

    for step in loop.steps(total, {"policy": learner}):
        ...

Everything random in a step is drawn from `stream(seed, name, step)`, so weights, optimizer moments and the parts'
small state are all that a checkpoint holds, and when it is written changes nothing.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from assent.core.runlog import Answered, RunLog
from assent.learner import checkpoint, peers
from assent.training.kept import Kept


@runtime_checkable
class Resumable(Protocol):
    """Anything whose state a checkpoint must carry."""

    def tensors(self) -> Mapping[str, Tensor]:
        """Tensors, by name."""
        ...

    def state(self) -> Mapping[str, Any]:
        """JSON-able values."""
        ...

    def restore(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Go back to what `tensors` and `state` returned."""
        ...


@runtime_checkable
class Beside(Protocol):
    """What looks at a training from beside it, see `training/looks.py`."""

    def begin(self) -> None:
        """Before the first step, also after a resume."""
        ...

    def after(self, taken: int, total: int) -> None:
        """After so many steps of `total`."""
        ...


@dataclass
class Loop:
    """Where a trainer keeps its checkpoints and log, and the seed its streams hang on."""

    folder: Path
    log: RunLog
    seed: int
    cadence: checkpoint.Cadence = field(default_factory=lambda: checkpoint.Cadence(30.0))
    shown: dict[str, float] = field(default_factory=dict)
    """The two numbers that the progress bar shows."""
    done: int = 0
    """Steps that were taken, those before a resume included."""
    ended: str | None = None
    """Why the loop ended before its last step; None where it did not."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What the trainer has to say of the run beside its metrics, as plain JSON, for the notes of the stage."""
    kept: Kept | None = None
    """Keeps models from the way; None: none."""
    answers: Callable[[int], Sequence[Answered]] | None = None
    """What the policy answers to a few held-out prompts after so many steps, where there are such prompts."""

    def end(self, why: str) -> None:
        """Let the step that is being done be the last one."""
        self.ended = why

    def steps(
        self, total: int, parts: Mapping[str, Resumable], *, description: str, looks: Beside | None = None
    ) -> Iterator[int]:
        """Yield the steps still to do. A `break` or `end` ends the loop for good; a kill does not."""
        start = self.done = self._resume(parts)
        with self.log.progress(description, total, done=start) as bar:
            for step in range(start, total):
                if looks is not None:
                    looks.begin()
                yield step
                self.done = step + 1
                if looks is not None:
                    looks.after(self.done, total)
                if self.kept is not None:
                    self.kept.after(self.done)
                bar.advance(1, **self.shown)
                if self.ended is not None:
                    break
                if step + 1 < total and peers.from_first(self.cadence.due):
                    self._save(step + 1, parts)

    def _resume(self, parts: Mapping[str, Resumable]) -> int:
        saved = _checkpoints().latest(self.folder, say=self.log.say)
        if saved is None:
            self.log.rewind(-1)
            return 0
        for name, part in parts.items():
            if name not in saved.state:  # a setting that changes no result was changed between a kill and now
                continue
            part.restore(saved.part(name, getattr(part, "like", None)), saved.state[name])
        self.log.rewind(saved.step - 1)
        self.log.say(f"resumed at step {saved.step}")
        return saved.step

    def _save(self, step: int, parts: Mapping[str, Resumable]) -> None:
        tensors = {f"{name}/{key}": t for name, part in parts.items() for key, t in part.tensors().items()}
        state = {name: dict(part.state()) for name, part in parts.items()}
        _checkpoints().save(self.folder, step=step, tensors=tensors, state=state)
        self.cadence.saved()


@runtime_checkable
class _Found(Protocol):
    """A checkpoint that is whole."""

    @property
    def step(self) -> int: ...

    @property
    def state(self) -> dict[str, Any]: ...

    def part(self, name: str, like: Any = None) -> dict[str, Tensor]: ...


@runtime_checkable
class _Checkpoints(Protocol):
    """How they are kept: by one process, or by several together."""

    def save(self, folder: Path, *, step: int, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> Path: ...

    def latest(self, folder: Path, *, say: Callable[[str], None]) -> _Found | None: ...


def _checkpoints() -> _Checkpoints:
    if not peers.is_joined():
        return checkpoint
    return importlib.import_module("assent.learner.sharded_checkpoint")  # loaded by whom it serves
