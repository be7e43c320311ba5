"""A tiny policy and what belongs to it, opened as often as a test wants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from assent.core.types import Prompt
from assent.data.render import Renderer
from assent.generation.engine import Engine
from assent.generation.local import LocalEngine
from assent.generation.writer import LocalWriter
from assent.learner.config import OptimizerConfig
from assent.models.config import ModelConfig
from assent.models.policy import PolicyModel
from assent.models.scalar import ScalarModel

FAST = OptimizerConfig(learning_rate=5e-3, schedule="constant", warmup=0.0, tokens_per_microbatch=512)


@dataclass(frozen=True)
class Toy:
    """A tiny Llama on disk, opened as often as wanted."""

    folder: Path
    config: ModelConfig = ModelConfig()

    def policy(self, *, trainable: bool = True) -> PolicyModel:
        return PolicyModel.load(self.folder, config=self.config, trainable=trainable)

    def scalar(self, seed: int = 0) -> ScalarModel:
        return ScalarModel.from_policy(self.folder, config=self.config, seed=seed)

    def renderer(self, policy: PolicyModel) -> Renderer:
        return Renderer(policy.tokenizer)

    def engine(self, policy: PolicyModel) -> LocalEngine:
        return LocalEngine(policy)

    def writer(self, policy: PolicyModel, engine: Engine | None = None) -> LocalWriter:
        return LocalWriter("toy", self.renderer(policy), engine or self.engine(policy), policy.max_length)


Scores = Callable[[Sequence[Prompt], Sequence[str]], list[float]]


def share_of_e(prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
    return [4.0 * text.count("e") / max(len(text), 1) for text in completions]


def dying(reward: Scores) -> Scores:
    """The same, and the program is interrupted when it is asked for the third time."""
    calls = 0

    def scored(prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return reward(prompts, completions)

    return scored
