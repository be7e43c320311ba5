"""A tiny policy, its renderer and a loop, for trainers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from assent.core.runlog import RunLog
from assent.core.types import Prompt
from assent.data.render import Renderer
from assent.generation.local import LocalEngine
from assent.learner.checkpoint import Cadence
from assent.learner.config import OptimizerConfig
from assent.models.config import ModelConfig
from assent.models.policy import PolicyModel
from assent.models.scalar import ScalarModel
from assent.models.tiny import save_tiny
from assent.training.loop import Loop

FAST = OptimizerConfig(learning_rate=5e-3, schedule="constant", warmup=0.0, tokens_per_microbatch=512)


@dataclass(frozen=True)
class Toy:
    """A tiny Llama on disk, opened as often as wanted."""

    folder: Path

    def policy(self, *, trainable: bool = True) -> PolicyModel:
        return PolicyModel.load(self.folder, config=ModelConfig(), trainable=trainable)

    def scalar(self, seed: int = 0) -> ScalarModel:
        return ScalarModel.from_policy(self.folder, config=ModelConfig(), seed=seed)

    def renderer(self, policy: PolicyModel) -> Renderer:
        return Renderer(policy.tokenizer)

    def engine(self, policy: PolicyModel) -> LocalEngine:
        return LocalEngine(policy)


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    return Toy(save_tiny(tmp_path_factory.mktemp("toy") / "llama", "llama"))


@pytest.fixture
def new_loop(tmp_path: Path) -> Callable[..., Loop]:
    """Loops that keep their checkpoints and metrics under the test's folder."""

    def make(name: str = "run", *, seed: int = 0, seconds: float = 1e9) -> Loop:
        log = RunLog(tmp_path / name, quiet=True, tensorboard=False)
        return Loop(tmp_path / name / "checkpoints", log, seed, Cadence(seconds))

    return make


@pytest.fixture
def prompts() -> list[Prompt]:
    texts = ("How late is my order?", "I want a refund.", "Where is the parcel?", "Please help me with my password.")
    return [Prompt.of(f"{text} {n}") for n, text in enumerate(texts * 4)]
