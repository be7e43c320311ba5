"""Assent: the whole of RLHF as one program that a team can run and trust."""

from importlib import import_module as _import_module
from typing import Any as _Any

__version__ = "0.1.0"
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
    "__version__",
    "run",
    "train",
]
"""What Python programs use (docs/how-to/python-api.md); all of it is loaded from `assent.api` once it is asked for."""


def __getattr__(name: str) -> _Any:
    # Modules of the package import this one for its version: nothing may be imported here by a statement.
    if name not in __all__:
        raise AttributeError(f"module 'assent' has no attribute {name!r}")
    return getattr(_import_module("assent.api"), name)
