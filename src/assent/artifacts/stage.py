"""Stages: functions run once. Run again, a finished one is found and a killed one goes on from its checkpoints.

    @stage(name="sft", version=1, kind="policy")
    def run_sft(ctx: StageContext, config: SFTConfig, *, base: Artifact) -> dict[str, Any]:
        ...                             # fills ctx.output, keeps checkpoints in ctx.scratch, returns small notes

    with Runner(Path("runs/demo"), seed=0) as run:
        policy = run(run_sft, config.sft, base=base)

On disk, below the run folder:

    artifacts/<kind>-<key>/     finished, verified, never changed
    work/<kind>-<key>/          unfinished: output/ (emptied at each attempt), scratch/ (survives a kill), attempts.json
    logs/<kind>-<key>/          metrics.jsonl and tensorboard/ of every stage: `tensorboard --logdir runs/demo/logs`
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import errno
import fcntl
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from pydantic import BaseModel
from safetensors import SafetensorError

import assent
from assent.artifacts.identity import Identity, resolved, source_hash
from assent.artifacts.outside import hashes
from assent.artifacts.round import stage_name
from assent.artifacts.store import Artifact, ArtifactStore, Manifest
from assent.core import files, seeds
from assent.core.errors import NonFiniteError, UserError
from assent.core.hashing import short
from assent.core.runlog import METRICS, RunLog
from assent.core.trackers import TrackerName

StageInput = Artifact | Sequence[Artifact] | None
State = Literal["done", "ran", "would run", "would resume"]
StageFunction = Callable[..., Mapping[str, Any] | None]
Since = Callable[[Artifact, Any], Mapping[str, str]]
Also = Callable[[BaseModel, Mapping[str, StageInput]], Mapping[str, str]]
"""Further hashes for the key of any stage, by its config and inputs."""


@dataclass(frozen=True)
class Stage:
    """A function with a name and a version. Called directly it is the plain function."""

    name: str
    version: int
    kind: str
    function: StageFunction
    since: Since | None = None
    """What has changed outside since an artifact was made (name -> hash); it is then made anew under another key."""

    def __call__(self, ctx: StageContext, config: BaseModel, **inputs: StageInput) -> Mapping[str, Any] | None:
        """Call the function without looking for an artifact."""
        return self.function(ctx, config, **inputs)


SPOILED = "nonfinite.json"
"""In a stage's log folder: the rows, as token ids, whose loss or gradient was not finite."""


@dataclass(frozen=True)
class StageContext:
    """What a stage may use beside its config and inputs."""

    output: Path
    """Folder to fill; becomes the artifact. Empty at the start of each attempt; half-written files are harmless."""
    scratch: Path
    """Folder for checkpoints: survives a kill, deleted once the artifact is there."""
    log: RunLog
    """Numbers and progress. Before the first `record`, call `log.rewind` with the checkpoint's step, or 0."""
    seed: int
    """Derived from the run's seed, the stage's name and the runner's scope; give it to `core.seeds`."""
    inputs: Mapping[str, StageInput]
    key: str


@dataclass(frozen=True)
class Step:
    """One call of a stage, as `assent run --plan` and the report show it."""

    stage: str
    scope: tuple[str | int, ...]
    artifact: Artifact
    state: State

    def __str__(self) -> str:
        return f"{stage_name(self.scope, self.stage)}: {self.state} ({self.artifact.name})"


@dataclass(frozen=True)
class LogOptions:
    """How the log of each stage is made."""

    quiet: bool = False
    tensorboard: bool = True
    trackers: tuple[TrackerName, ...] = ()
    told: set[str] = dataclasses.field(default_factory=set, compare=False)
    """Lines that stages of this run have said, for what is to be said once."""

    def open(self, folder: Path) -> RunLog:
        """A log that writes in `folder`."""
        log = RunLog(folder, quiet=self.quiet, tensorboard=self.tensorboard, trackers=self.trackers)
        log.told = self.told
        return log


def stage(
    *, name: str, version: int, kind: str | None = None, since: Since | None = None
) -> Callable[[StageFunction], Stage]:
    """Make a function a stage. `kind` names its artifact (default: the stage's name)."""

    def decorate(function: StageFunction) -> Stage:
        return Stage(name, version, kind or name, function, since)

    return decorate


class Runner:
    """Runs stages of one run folder, each once. Use as a context manager: it holds the folder's lock.

    With `planning` nothing is run, written or locked: `run` returns what it finds, or an artifact that is not made, and
    `steps` says which. `also` gives further hashes for the key of every stage. Raises UserError when another process
    works in the folder.
    """

    def __init__(
        self,
        root: Path,
        *,
        seed: int,
        logs: LogOptions | None = None,
        planning: bool = False,
        also: Also | None = None,
    ) -> None:
        self.root, self.seed, self.planning = root, seed, planning
        self._also = also
        self.steps: list[Step] = []
        self.scope: tuple[str | int, ...] = ()
        self._logs = logs or LogOptions()
        self.log = self._logs.open(root / "logs" / "run")
        self.artifacts = ArtifactStore(root / "artifacts", say=self.log.say, read_only=planning)
        self._lock: IO[str] | None = None
        if not planning:
            self._lock = _lock(root)
            files.remove_partials(root / "artifacts")

    def run(
        self, stage: Stage, config: BaseModel, /, *, extra: Mapping[str, str] | None = None, **inputs: StageInput
    ) -> Artifact:
        """The artifact of this stage with this config and these inputs: found, or made now.

        What the config names outside (`artifacts/outside.py`) is hashed into the key; `extra` are further hashes of
        what enters from outside (name -> hash), such as a store snapshot. Inputs that are None do not enter the key.
        """
        seed = seeds.derive(self.seed, stage.name, *self.scope)
        known = hashes(config) | dict(extra or {}) | dict(self._also(config, inputs) if self._also else {})
        identity = Identity(stage.name, stage.version, resolved(config), seed, _keys(inputs), known)
        work = self._work(stage, identity)
        artifact, state = self._find(identity, work)
        if artifact is not None and stage.since is not None and (changes := stage.since(artifact, config)):
            identity = dataclasses.replace(identity, extra={**known, **changes})
            work = self._work(stage, identity)
            artifact, state = self._find(identity, work)
        if artifact is None and self.planning:
            folder = self.artifacts.path_of(stage.kind, identity.key)
            artifact = Artifact(folder, _manifest(stage, identity), is_made=False)
            state = "would resume" if work.exists() else "would run"
        elif artifact is None:
            artifact = self._make(stage, config, inputs, identity, work)
            state = "ran"
        self.steps.append(Step(stage.name, self.scope, artifact, state))
        return artifact

    __call__ = run  # so that a round reads `samples = run(sample, config.sample, policy=start)`

    @contextlib.contextmanager
    def within(self, *names: str | int) -> Iterator[Runner]:
        """Give stages of the block their own random streams: `with run.within("round", 2): …`."""
        before = self.scope
        self.scope = (*before, *names)
        try:
            yield self
        finally:
            self.scope = before

    def close(self) -> None:
        """Let go of the run folder."""
        self.log.close()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _work(self, stage: Stage, identity: Identity) -> Path:
        return self.root / "work" / f"{stage.kind}-{short(identity.key)}"

    def _find(self, identity: Identity, work: Path) -> tuple[Artifact | None, State]:
        found = self.artifacts.find(identity.key)
        if found is not None and not self.planning and work.exists():
            shutil.rmtree(work)  # killed between finishing the artifact and clearing up
        return found, "done"

    def _make(
        self, stage: Stage, config: BaseModel, inputs: Mapping[str, StageInput], identity: Identity, work: Path
    ) -> Artifact:
        planned = [name for name, value in inputs.items() for a in _as_list(value) if not a.is_made]
        if planned:
            raise ValueError(f"stage {stage.name!r} got inputs that are only planned: {planned}")
        with _disk(work), self._logs.open(self.root / "logs" / work.name) as log:
            log.title = stage_name(self.scope, stage.name)
            files.remove_partials(log.folder)  # a kill amid a rewind leaves one
            attempts = _Attempts(work, log.folder)
            output, scratch = _folders(work)
            ctx = StageContext(output, scratch, log, identity.seed, dict(inputs), identity.key)
            with attempts.timed(), _spoiled_batch(log.folder / SPOILED):
                notes = stage(ctx, config, **inputs)
            log.close()
            if (log.folder / METRICS).exists() and not (output / METRICS).exists():
                shutil.copyfile(log.folder / METRICS, output / METRICS)
            manifest = _manifest(stage, identity, seconds=attempts.seconds(), notes=_plain(stage, notes))
            artifact = self.artifacts.commit(output, manifest)
            shutil.rmtree(work)
        return artifact


@contextlib.contextmanager
def _spoiled_batch(path: Path) -> Iterator[None]:
    """Keep the batch whose loss or gradient was not finite, so that somebody can look at it."""
    try:
        yield
    except NonFiniteError as error:
        if not error.batch:
            raise
        files.write_json(path, {"error": str(error), "rows": list(error.batch)})
        raise NonFiniteError(f"{error}. Its rows are in {path}", batch=error.batch) from None


class _Attempts:
    """Seconds spent on a stage over all its attempts, in work/<stage>/attempts.json.

    A killed attempt cannot write down its end; the last change of any of its files stands for it.
    """

    def __init__(self, work: Path, log_folder: Path) -> None:
        self._path = work / "attempts.json"
        self._earlier: list[float] = []
        self._start = time.time()
        if self._path.exists():
            known = json.loads(self._path.read_text(encoding="utf-8"))
            self._earlier = known["seconds"]
            if known["started"] is not None:
                self._earlier.append(max(_last_change(work, log_folder) - known["started"], 0.0))
        else:
            # Nothing of an earlier life of this key (say, of an artifact that was removed) may show in its curves.
            shutil.rmtree(log_folder, ignore_errors=True)

    @contextlib.contextmanager
    def timed(self) -> Iterator[None]:
        self._write(self._earlier, self._start)
        try:
            yield
        finally:
            self._write(self._all(), None)

    def seconds(self) -> float:
        return round(sum(self._all()), 3)

    def _all(self) -> list[float]:
        return [*self._earlier, time.time() - self._start]

    def _write(self, seconds: list[float], started: float | None) -> None:
        files.write_json(self._path, {"seconds": seconds, "started": started})


def _lock(root: Path) -> IO[str]:
    """Hold root/.lock for the life of the returned file. The kernel lets go of it when the process dies."""
    path = root / ".lock"
    with files.disk_errors(root):
        root.mkdir(parents=True, exist_ok=True)
        stream = path.open("a+", encoding="utf-8")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        stream.seek(0)
        holder = stream.read().strip() or "unknown"
        stream.close()
        raise UserError(
            f"another run (process {holder}) is working in {root}; wait for it, stop it, or choose another folder"
        ) from None
    stream.truncate(0)
    stream.write(f"{os.getpid()}\n")
    stream.flush()
    return stream


@contextlib.contextmanager
def _disk(work: Path) -> Iterator[None]:
    """One clear line for a full disk anywhere inside a stage, also where safetensors hides the error number.

    Errors other than a full disk keep their own words: the stage may have failed to read something.
    """
    try:
        yield
    except SafetensorError as error:
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise
        problem = OSError(int(number[1]), os.strerror(int(number[1])))
        with files.disk_errors(work):
            raise problem from error
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        with files.disk_errors(work):
            raise


def _manifest(stage: Stage, identity: Identity, *, seconds: float = 0.0, notes: Any = None) -> Manifest:
    return Manifest(
        kind=stage.kind,
        key=identity.key,
        stage=identity.stage,
        version=identity.version,
        config=identity.config,
        seed=identity.seed,
        inputs=dict(identity.inputs),
        extra=dict(identity.extra),
        seconds=seconds,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        package=assent.__version__,
        source=source_hash(),
        notes=notes or {},
    )


def _keys(inputs: Mapping[str, StageInput]) -> dict[str, str | tuple[str, ...]]:
    keys: dict[str, str | tuple[str, ...]] = {}
    for name, value in inputs.items():
        if isinstance(value, Artifact):
            keys[name] = value.key
        elif value is not None:
            keys[name] = tuple(artifact.key for artifact in value)
    return keys


def _as_list(value: StageInput) -> Sequence[Artifact]:
    return [value] if isinstance(value, Artifact) else value or []


def _plain(stage: Stage, notes: Mapping[str, Any] | None) -> dict[str, Any]:
    try:
        return dict(json.loads(json.dumps(dict(notes or {}), allow_nan=False)))
    except (TypeError, ValueError) as error:
        raise TypeError(f"stage {stage.name!r} returned notes that are not plain JSON: {error}") from error


def _folders(work: Path) -> tuple[Path, Path]:
    """An empty output folder, and the scratch folder as the last attempt left it."""
    output, scratch = work / "output", work / "scratch"
    with files.disk_errors(work):
        if output.exists():
            shutil.rmtree(output)
        output.mkdir(parents=True)
        scratch.mkdir(exist_ok=True)
    return output, scratch


def _last_change(*folders: Path) -> float:
    times = [0.0]
    for path in (p for folder in folders for p in folder.rglob("*")):
        with contextlib.suppress(FileNotFoundError):
            times.append(path.stat().st_mtime)
    return max(times)
