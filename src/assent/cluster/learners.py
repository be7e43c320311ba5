"""Learners in processes of their own, which work on one stage together: each runs its function on the same inputs.

The first writes the artifact, the log and the notes; the others write into folders that are thrown away.
"""

from __future__ import annotations

import io
import os
import socket
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import ray
import torch
from pydantic import BaseModel

from assent.artifacts.locks import only_one
from assent.artifacts.stage import LogOptions, Stage, StageContext, StageInput
from assent.cluster import place
from assent.core.errors import AssentError, RunError
from assent.core.runlog import RunLog
from assent.learner import peers

_BACKENDS = {"cpu": "gloo", "cuda": "cpu:gloo,cuda:nccl"}
_PATIENCE = 0.2
"""Seconds between looks at what the first learner says."""


@dataclass(frozen=True)
class Work:
    """A stage to be done, as it is sent to the learners. Paths are as seen from `folder`, which all machines have."""

    folder: Path
    stage: Stage
    config: BaseModel
    inputs: Mapping[str, StageInput]
    output: Path
    scratch: Path
    log: Path
    title: str
    quiet: bool
    options: LogOptions
    seed: int
    key: str

    @classmethod
    def of(cls, stage: Stage, ctx: StageContext, config: BaseModel, options: LogOptions) -> Work:
        """A stage that is to be run within `ctx`."""
        log = ctx.log
        places = (ctx.output, ctx.scratch, log.folder, log.title)
        return cls(Path.cwd(), stage, config, ctx.inputs, *places, log.quiet, options, ctx.seed, ctx.key)


class LearnerProcess:
    """The actor: one learner of several."""

    def __init__(self, rank: int, count: int, engines: Sequence[Any]) -> None:
        self._rank, self._count, self._engines = rank, count, tuple(engines)
        self._said = io.StringIO()
        self._told = 0

    def meeting_point(self) -> str:
        """An address at which the others can meet this learner."""
        with socket.socket() as free:
            free.bind(("", 0))
            return f"tcp://{ray.util.get_node_ip_address()}:{free.getsockname()[1]}"

    def join(self, meeting_point: str) -> None:
        """Become one of the group."""
        backend = _BACKENDS["cuda" if torch.cuda.is_available() else "cpu"]
        peers.join(backend, meeting_point, rank=self._rank, count=self._count)

    def work(self, work: Work) -> tuple[Mapping[str, Any], set[str]] | None:
        """Run the stage; what the first gives back is the stage's."""
        os.chdir(work.folder)
        if str(work.folder) not in sys.path:  # a project's own functions
            sys.path.insert(0, str(work.folder))
        with place.belonging(lambda: self._engines):
            if self._rank == 0:
                # A learner that outlived its driver may still be writing there.
                with only_one(work.scratch / ".learners.lock", wait=lambda holder: None):
                    return self._run(work, work.output, work.scratch, work.log, self._said)
            with tempfile.TemporaryDirectory(prefix="assent-learner-") as own:
                output, scratch, log = (Path(own) / name for name in ("output", "scratch", "log"))
                for one in (output, scratch, log):
                    one.mkdir()
                self._run(work, output, scratch, log, None)
                return None

    def said(self) -> str:
        """What was said to people since this was asked last."""
        text = self._said.getvalue()[self._told :]  # another thread may be writing: nothing is taken out
        self._told += len(text)
        return text

    def _run(
        self, work: Work, output: Path, scratch: Path, log: Path, stream: TextIO | None
    ) -> tuple[Mapping[str, Any], set[str]]:
        options, is_first = work.options, stream is not None
        told = set(options.told)
        with RunLog(
            log,
            quiet=work.quiet or not is_first,
            tensorboard=options.tensorboard and is_first,
            trackers=options.trackers if is_first else (),
            stream=stream,
            told=told,
        ) as opened:
            opened.title = work.title
            ctx = StageContext(output, scratch, opened, work.seed, work.inputs, work.key)
            return work.stage(ctx, work.config, **work.inputs) or {}, told


def work_together(learners: Sequence[Any], work: Work, stream: TextIO) -> Mapping[str, Any]:
    """Let the learners do a stage; the notes of the first.

    Raises what one of them raised, and RunError where one died.
    """
    waiting = [one.work.remote(work) for one in learners]
    first, notes = waiting[0], None
    while waiting:
        done, waiting = ray.wait(waiting, num_returns=1, timeout=_PATIENCE)
        for reference in done:
            found = _got(reference)
            if reference == first:
                notes = found
        _relay(learners[0], stream)
    assert notes is not None
    work.options.told.update(notes[1])
    return notes[0]


def _relay(first: Any, stream: TextIO) -> None:
    """Print what the first learner has said."""
    try:
        text = ray.get(first.said.remote())
    except ray.exceptions.RayError:
        return  # it died; whoever waits for its work says so
    stream.write(text)
    stream.flush()


def _got(reference: Any) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, AssentError | OSError):
            raise error.cause from None
        raise
    except ray.exceptions.RayError as error:
        raise RunError(
            f"a learner died ({str(error).splitlines()[0]}); run the same command again: it goes on from its last"
            " checkpoint"
        ) from error
