"""Fixtures for trainers: a tiny policy on disk, loops, prompts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from training_toys import Toy

from assent.core.runlog import RunLog
from assent.core.types import Prompt
from assent.learner.checkpoint import Cadence
from assent.models.tiny import save_tiny
from assent.training.loop import Loop


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
