"""The Python API: `assent.train(...)` and `assent.run(...)`, their settings, and the run that they give back.

Everything here is a thin way to the same run that a YAML describes: the same settings, stages and artifacts.
"""

from assent.api.finished import FinishedRun
from assent.api.training import run, train
from assent.data.config import Source
from assent.evaluation.config import EvaluateConfig
from assent.models.config import ModelConfig
from assent.pipeline.config import CollectConfig, RunConfig
from assent.training.config import (
    DPOConfig,
    GRPOConfig,
    KTOConfig,
    ORPOConfig,
    PPOConfig,
    ReinforceConfig,
    RewardConfig,
    RLOOConfig,
    SFTConfig,
    SimPOConfig,
)

__all__ = [
    "CollectConfig",
    "DPOConfig",
    "EvaluateConfig",
    "FinishedRun",
    "GRPOConfig",
    "KTOConfig",
    "ModelConfig",
    "ORPOConfig",
    "PPOConfig",
    "RLOOConfig",
    "ReinforceConfig",
    "RewardConfig",
    "RunConfig",
    "SFTConfig",
    "SimPOConfig",
    "Source",
    "run",
    "train",
]
