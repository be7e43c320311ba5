"""Where the stages of a run are computed: in this process, or those that train by the learners of a cluster."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pydantic import BaseModel

from assent.artifacts.stage import LogOptions, Runner, Stage, StageContext, StageInput
from assent.core.errors import ConfigError
from assent.pipeline.config import ComputeConfig, PretrainedBase
from assent.pipeline.stages import declared
from assent.pipeline.stages.settings import BaseStage

_TRAINING = (declared.run_base, declared.run_sft, declared.run_fit_reward, declared.run_optimize)
"""Stages whose functions make learners; several processes do them together."""


@contextmanager
def on_machines(compute: ComputeConfig, run: Runner, options: LogOptions) -> Iterator[None]:
    """Let stages of `run` be computed where the settings say. Raises ConfigError where Ray is not installed."""
    if compute.kind == "local":
        yield
        return
    if importlib.util.find_spec("ray") is None:
        raise ConfigError("compute.kind is ray, but Ray is not installed: pip install 'assent[cluster]'")
    from assent.cluster.driver import Cluster, Layout  # loads Ray, which only such runs have

    gpus = 0 if compute.device == "cpu" or (compute.device == "auto" and not _has_gpu()) else 1
    wide = gpus * compute.gpus_per_engine
    layout = Layout(compute.learners, compute.engines, compute.address, gpus, wide, compute.threads)
    with Cluster(layout, say=run.log.say) as cluster, cluster.as_place():

        def call(
            stage: Stage, ctx: StageContext, config: BaseModel, inputs: Mapping[str, StageInput]
        ) -> Mapping[str, Any] | None:
            if stage in _TRAINING and not _only_loads(config):
                return cluster.work(stage, ctx, config, options)
            return stage(ctx, config, **inputs)

        run.call = call
        yield


def _only_loads(config: BaseModel) -> bool:
    return isinstance(config, BaseStage) and isinstance(config.base, PretrainedBase)


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()
