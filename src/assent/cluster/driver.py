"""The cluster of one run, as the command that drives it sees it: started when something wants it, gone at its end."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import ray
from pydantic import BaseModel
from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from assent.artifacts.stage import LogOptions, Stage, StageContext
from assent.cluster import place
from assent.cluster.engines import RETRIES, EngineProcess
from assent.cluster.learners import LearnerProcess, Work, work_together
from assent.core.errors import RunError

_START_SECONDS = 600.0


@dataclass(frozen=True)
class Layout:
    """How many processes there are, and what each of them takes."""

    learners: int
    engines: int
    address: str | None
    """Of a Ray cluster that is there; None: that of this job (RAY_ADDRESS), or one on this machine for this run."""
    gpus: int
    """Of each learner."""
    engine_gpus: int
    """Of each engine."""
    threads: int | None
    """Of each process; None: its share of this machine's."""

    @property
    def processes(self) -> int:
        """All of them."""
        return self.learners + self.engines

    @property
    def cpus(self) -> int:
        """CPU cores that each process is given."""
        return self.threads or max(1, (os.cpu_count() or 1) // self.processes)

    @property
    def bundles(self) -> list[dict[str, float]]:
        """What Ray sets aside for each process, learners first."""
        each = [self.gpus] * self.learners + [self.engine_gpus] * self.engines
        return [{"CPU": float(self.cpus), **({"GPU": float(gpus)} if gpus else {})} for gpus in each]


class Cluster:
    """Learners and engines of one run. Use as a context manager; at its end all processes end."""

    def __init__(self, layout: Layout, *, say: Callable[[str], None]) -> None:
        self._layout, self._say = layout, say
        self._group: PlacementGroup | None = None
        self._engines: tuple[Any, ...] = ()
        self._learners: tuple[Any, ...] = ()

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *exception: object) -> None:
        self._dismiss()
        if self._group is not None:
            for engine in self._engines:
                ray.kill(engine)
            remove_placement_group(self._group)
            ray.shutdown()
        self._group, self._engines = None, ()

    def engines(self) -> tuple[Any, ...]:
        """Handles of the engines."""
        if not self._engines:
            actor = ray.remote(max_restarts=-1, max_task_retries=RETRIES)(EngineProcess)
            first = self._layout.learners
            self._engines = tuple(actor.options(**self._place(first + n)).remote() for n in range(self._layout.engines))
        return self._engines

    def work(self, stage: Stage, ctx: StageContext, config: BaseModel, options: LogOptions) -> Mapping[str, Any]:
        """Let the learners do a stage together; its notes. Raises what they raise, and then they are dismissed."""
        learners = self._ready()
        try:
            return work_together(learners, Work.of(stage, ctx, config, options), sys.stderr)
        except BaseException:
            self._dismiss()  # those that did not fail wait for the others
            raise

    @contextlib.contextmanager
    def as_place(self) -> Iterator[None]:
        """Let answers be drawn by the engines inside this block."""
        with place.belonging(self.engines):
            yield

    def _ready(self) -> tuple[Any, ...]:
        """Learners that have joined one group."""
        if not self._learners:
            count, engines = self._layout.learners, self.engines()
            actor = ray.remote(max_concurrency=2)(LearnerProcess)
            self._learners = tuple(actor.options(**self._place(n)).remote(n, count, engines) for n in range(count))
            meeting_point = ray.get(self._learners[0].meeting_point.remote())
            ray.get([one.join.remote(meeting_point) for one in self._learners])
        return self._learners

    def _dismiss(self) -> None:
        for learner in self._learners:
            ray.kill(learner)
        self._learners = ()

    def _place(self, bundle: int) -> dict[str, Any]:
        """What an actor takes, and where."""
        strategy = PlacementGroupSchedulingStrategy(self._placed(), placement_group_bundle_index=bundle)
        taken = self._layout.bundles[bundle]
        return {"num_cpus": taken["CPU"], "num_gpus": taken.get("GPU", 0), "scheduling_strategy": strategy}

    def _placed(self) -> PlacementGroup:
        """Room for all processes, together where that can be had. Raises RunError where there is none."""
        if self._group is None:
            layout = self._layout
            _start(layout)
            self._group = placement_group(layout.bundles, strategy="PACK")
            if not self._group.wait(timeout_seconds=_START_SECONDS):
                raise RunError(
                    f"the cluster has no room for {layout.learners} learners with {layout.gpus} GPUs and"
                    f" {layout.engines} engines with {layout.engine_gpus}, and {layout.cpus} CPU cores each (it has"
                    f" {ray.cluster_resources()}); lower compute.learners, compute.engines, compute.threads or"
                    " compute.vllm.tensor_parallel, or add machines: a process has all its GPUs on one"
                )
            self._say(f"cluster: {layout.learners} learners and {layout.engines} engines on {_nodes()}")
        return self._group


def _start(layout: Layout) -> None:
    """Join the Ray cluster of the settings or of this job, or start one on this machine."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent to anybody
    os.environ.setdefault("RAY_worker_niceness", "0")  # they are the work, and not beside it
    quiet = {"log_to_driver": False, "include_dashboard": False, "configure_logging": False}
    address = layout.address or os.environ.get("RAY_ADDRESS")
    try:
        if address is not None:
            ray.init(address=address, log_to_driver=False, configure_logging=False)
        else:
            cores = max(layout.processes * layout.cpus, os.cpu_count() or 1)
            ray.init(num_cpus=cores, **quiet)
    except Exception as error:  # a machine on which it does not come up in time raises a plain one
        said = " ".join(str(error).split()) or type(error).__name__
        raise RunError(f"Ray cannot be reached or started at {address or 'this machine'}: {said}") from error


def _nodes() -> str:
    count = sum(bool(node["Alive"]) for node in ray.nodes())
    return "1 machine" if count == 1 else f"{count} machines"
