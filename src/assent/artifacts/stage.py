"""Stages: functions run once. Run again, a finished one is found and a killed one goes on from its checkpoints.

    @stage(name="sft", version=1, kind="policy")
    def run_sft(ctx: StageContext, config: SFTConfig, *, base: Artifact) -> dict[str, Any]:
        ...                             # fills ctx.output, keeps checkpoints in ctx.scratch, returns small notes

    with Runner(Path("runs/demo"), seed=0) as run:
        policy = run(run_sft, config.sft, base=base)

On disk, below the home of the run (the folder that runs share; else the run's own folder):

    artifacts/<kind>-<key>/     finished, verified, never changed
    work/<kind>-<key>/          unfinished: output/ (emptied at each attempt), scratch/ (survives a kill), attempts.json

and below the run folder:

    logs/<kind>-<key>/          metrics.jsonl and tensorboard/ of every stage: `tensorboard --logdir runs/demo/logs`
"""

from __future__ import annotations

import contextlib
import datetime
import importlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import IO, Any, Literal

from pydantic import BaseModel

import assent
from assent.artifacts.attempts import Attempts
from assent.artifacts.identity import FromOutside, Identity, resolved, source_hash
from assent.artifacts.layout import ARTIFACTS, LOGS, WORK
from assent.artifacts.locks import ENDING, lock_run, only_one, use
from assent.artifacts.mishaps import SPOILED, disk, spoiled_batch
from assent.artifacts.outside import known, placeless
from assent.artifacts.reasons import NEVER, reasons
from assent.artifacts.round import stage_name
from assent.artifacts.store import Artifact, ArtifactStore, Manifest
from assent.core import files, seeds
from assent.core.hashing import short
from assent.core.runlog import METRICS, RunLog
from assent.core.trackers import TrackerName

StageInput = Artifact | Sequence[Artifact] | None
State = Literal["done", "ran", "would run", "would resume"]
StageFunction = Callable[..., Mapping[str, Any] | None]
Since = Callable[[Artifact, Any], Mapping[str, str] | FromOutside]
Also = Callable[[BaseModel, Mapping[str, StageInput]], Mapping[str, str]]
"""Further hashes for the key of any stage, by its config and inputs."""


@dataclass(frozen=True)
class Stage:
    """A function with a name and a version. Called directly it is the plain function."""

    name: str
    version: int
    kind: str
    function: StageFunction | str
    """The function, or "package.module:function", which is loaded when it is called: a plan loads no model."""
    since: Since | None = None
    """What has changed outside since an artifact was made (name -> hash); it is then made anew under another key."""
    keys: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Its own settings -> as the user writes them, where that differs: people_seed -> seed."""

    def __call__(self, ctx: StageContext, config: BaseModel, **inputs: StageInput) -> Mapping[str, Any] | None:
        """Call the function without looking for an artifact."""
        return self.loaded(ctx, config, **inputs)

    @property
    def loaded(self) -> StageFunction:
        """The function itself."""
        if not isinstance(self.function, str):
            return self.function
        module, _, name = self.function.partition(":")
        function: StageFunction = getattr(importlib.import_module(module), name)
        return function


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
    why: tuple[str, ...] = ()
    """Why it runs, in words; empty where it is done."""

    @property
    def title(self) -> str:
        """The stage and where in the run: round 1 sample."""
        return stage_name(self.scope, self.stage)


@dataclass(frozen=True)
class LogOptions:
    """How the log of each stage is made."""

    quiet: bool = False
    tensorboard: bool = True
    trackers: tuple[TrackerName, ...] = ()
    told: set[str] = field(default_factory=set, compare=False)
    """Lines that stages of this run have said, for what is to be said once."""

    def open(self, folder: Path) -> RunLog:
        """A log that writes in `folder`."""
        return RunLog(folder, quiet=self.quiet, tensorboard=self.tensorboard, trackers=self.trackers, told=self.told)


def stage(
    *, name: str, version: int, kind: str | None = None, since: Since | None = None
) -> Callable[[StageFunction], Stage]:
    """Make a function a stage. `kind` names its artifact (default: the stage's name)."""

    def decorate(function: StageFunction) -> Stage:
        return Stage(name, version, kind or name, function, since)

    return decorate


Noted = Callable[[Sequence[Step]], None]
Call = Callable[[Stage, StageContext, BaseModel, Mapping[str, StageInput]], Mapping[str, Any] | None]
"""Runs the function of a stage, in this process or by others, and gives its notes."""


def _here(
    stage: Stage, ctx: StageContext, config: BaseModel, inputs: Mapping[str, StageInput]
) -> Mapping[str, Any] | None:
    return stage(ctx, config, **inputs)


class Runner:
    """Runs stages of one run folder, each once. Use as a context manager: it holds the folder's lock.

    With `planning` nothing is run, written or locked: `run` returns what it finds, or an artifact that is not made, and
    `steps` says which. `also` gives further hashes for the key of every stage. Runs that share a `home` share what
    they make: a stage that another process is making is waited for. `noted`, if set, is told all steps whenever one
    begins or ends; `call` runs the function of a stage. Raises UserError when another process works in that folder.
    """

    def __init__(
        self,
        root: Path,
        *,
        seed: int,
        logs: LogOptions | None = None,
        planning: bool = False,
        also: Also | None = None,
        home: Path | None = None,
    ) -> None:
        self.root, self.seed, self.planning = root, seed, planning
        self.home = home or root
        self.noted: Noted | None = None
        self.call: Call = _here
        self._also = also
        self.steps: list[Step] = []
        self.scope: tuple[str | int, ...] = ()
        self._logs = logs or LogOptions()
        self.log = self._logs.open(root / LOGS / "run")
        own = root / ARTIFACTS  # where runs of older versions kept them
        self.artifacts = ArtifactStore(self.home / ARTIFACTS, say=self.log.say, read_only=planning, also=(own,))
        self._locks: list[IO[str]] = []
        self._made: list[Manifest] | None = None
        if not planning:
            self._locks.append(lock_run(root))
            self._locks.append(use(self.home, alone=lambda: files.remove_partials(self.home / ARTIFACTS)))

    def run(
        self,
        stage: Stage,
        config: BaseModel,
        /,
        *,
        extra: Mapping[str, str] | FromOutside | None = None,
        **inputs: StageInput,
    ) -> Artifact:
        """The artifact of this stage with this config and these inputs: found, or made now.

        What the config names outside (`artifacts/outside.py`) is hashed into the key; `extra` are further hashes of
        what enters from outside (name -> hash), such as a store snapshot. Inputs that are None do not enter the key.
        """
        entering = known(config) | extra | (self._also(config, inputs) if self._also else None)
        identity = self._identity(stage, config, inputs, entering)
        artifact = self.artifacts.find(identity.key) if stage.since is not None else None
        if artifact is not None and stage.since is not None and (changes := stage.since(artifact, config)):
            entering |= changes
            identity = self._identity(stage, config, inputs, entering)
        work = self._work(stage, identity)
        if self.planning:
            step = self._planned(stage, identity, work, entering.counts)
        else:
            with only_one(work.with_name(f".{work.name}{ENDING}"), wait=partial(self._say_waiting, work.name)):
                step = self._planned(stage, identity, work, entering.counts)
                self._note(step)
                if step.state == "done":
                    self._take_over(step.artifact, work)
                else:
                    why = "goes on" if step.state == "would resume" else "; ".join(step.why)
                    made = self._make(stage, config, inputs, identity, work, why="" if why == NEVER else why)
                    step = replace(step, artifact=made, state="ran")
        self.steps.append(step)
        self._note()
        return step.artifact

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
        while self._locks:
            self._locks.pop().close()

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _identity(
        self, stage: Stage, config: BaseModel, inputs: Mapping[str, StageInput], entering: FromOutside
    ) -> Identity:
        """What decides the content: as keys held it while paths were part of them, where something is there under that.

        All that was made from such an artifact is then found as well.
        """
        seed = seeds.derive(self.seed, stage.name, *self.scope)
        said, content = (resolved(config), entering.said), (resolved(placeless(config)), entering.content)
        place = None if content == said else content
        identity = Identity(stage.name, stage.version, said[0], seed, _keys(inputs), said[1], place)
        former = identity.former
        if former is None or self._is_there(stage, identity) or not self._is_there(stage, former):
            return identity
        return former

    def _is_there(self, stage: Stage, identity: Identity) -> bool:
        return self.artifacts.find(identity.key) is not None or self._work(stage, identity).exists()

    def _work(self, stage: Stage, identity: Identity) -> Path:
        """Where it is worked on: what a run of an older version left in its own folder is gone on with there."""
        name = f"{stage.kind}-{short(identity.key)}"
        shared, own = self.home / WORK / name, self.root / WORK / name
        return own if own.is_dir() and not shared.exists() else shared

    def _planned(self, stage: Stage, identity: Identity, work: Path, counts: Mapping[str, int]) -> Step:
        """What is found, or what would be made and why."""
        found = self.artifacts.find(identity.key)
        if found is not None:
            return Step(stage.name, self.scope, found, "done")
        if self._made is None:
            self._made = [one.manifest for one in self.artifacts.all()]
        now = _manifest(stage, identity, notes=counts)
        anew = {one.artifact.key: one.title for one in self.steps if one.state != "done"}
        why = reasons(now, self._made, anew=anew, keys=stage.keys)
        planned = Artifact(self.artifacts.path_of(stage.kind, identity.key), now, is_made=False)
        return Step(stage.name, self.scope, planned, "would resume" if work.exists() else "would run", tuple(why))

    def _take_over(self, found: Artifact, work: Path) -> None:
        """What another run made, or ended, shows in this run's logs too."""
        if work.exists():
            shutil.rmtree(work)  # killed between finishing the artifact and clearing up
        log, made = self.root / LOGS / found.name, found.folder / METRICS
        if made.is_file() and _size(log / METRICS) != _size(made):
            shutil.rmtree(log, ignore_errors=True)
            with replace(self._logs, trackers=()).open(log) as copy:
                copy.take(found.folder)

    def _say_waiting(self, name: str, holder: str) -> None:
        self.log.say(f"{name} is being made by another run (process {holder}); waiting for it")

    def _note(self, begun: Step | None = None) -> None:
        if self.noted is not None:
            self.noted([*self.steps, begun] if begun is not None else self.steps)

    def _make(
        self,
        stage: Stage,
        config: BaseModel,
        inputs: Mapping[str, StageInput],
        identity: Identity,
        work: Path,
        *,
        why: str,
    ) -> Artifact:
        planned = [name for name, value in inputs.items() for a in _as_list(value) if not a.is_made]
        if planned:
            raise ValueError(f"stage {stage.name!r} got inputs that are only planned: {planned}")
        for used in (a for value in inputs.values() for a in _as_list(value)):
            self.artifacts.read(used)
        with disk(work), self._logs.open(self.root / LOGS / work.name) as log:
            log.title = stage_name(self.scope, stage.name)
            log.begin(why)
            files.remove_partials(log.folder)  # a kill amid a rewind leaves one
            attempts = Attempts(work, log.folder)
            output, scratch = _folders(work)
            ctx = StageContext(output, scratch, log, identity.seed, dict(inputs), identity.key)
            with attempts.timed(), spoiled_batch(log.folder / SPOILED):
                notes = self.call(stage, ctx, config, inputs)
            log.close()
            log.copy_to(output)
            manifest = _manifest(stage, identity, seconds=attempts.seconds(), notes=_plain(stage, notes))
            artifact = self.artifacts.commit(output, manifest)
            shutil.rmtree(work)
        return artifact


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
        notes=dict(notes or {}),
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


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else -1
