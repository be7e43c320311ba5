"""Engines of a cluster draw the answers of one engine alone, also after one of them was killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from assent.core.errors import UserError
from assent.generation.config import Sampling
from assent.generation.copied import CopiedEngine
from assent.generation.engine import Engine, Generation, begun
from assent.models.config import ModelConfig
from assent.models.policy import PolicyModel
from assent.models.tiny import save_tiny
from assent.pipeline.backends import Backends
from assent.pipeline.config import ComputeConfig

pytest.importorskip("ray")
from assent.cluster.driver import Cluster, Layout

COMPUTE = ComputeConfig(kind="ray", engines=2, threads=1, device="cpu")
PROMPTS = [np.arange(5, 5 + n) for n in (3, 9, 4, 6, 5)]
SAMPLING = Sampling(temperature=1.0, max_new_tokens=8)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(Layout(1, 2, None, 0, 0, 1), say=lambda line: None) as cluster, cluster.as_place():
        yield cluster


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> PolicyModel:
    folder: Path = save_tiny(tmp_path_factory.mktemp("policy") / "llama", "llama")
    return Backends(ModelConfig(), COMPUTE).policy(folder, trainable=True)


class Moved:
    """Weights that are not those on disk."""

    def __init__(self, policy: PolicyModel) -> None:
        generator = torch.Generator().manual_seed(0)
        own = policy.parameters()
        self.moved = {name: one + 0.2 * torch.randn(one.shape, generator=generator) for name, one in own.items()}

    def weights(self) -> dict[str, torch.Tensor]:
        return {name: one.detach() for name, one in self.moved.items()}


@pytest.mark.slow
def test_two_engines_draw_what_one_draws_also_when_one_was_killed(cluster: Cluster, policy: PolicyModel) -> None:
    shared = Backends(ModelConfig(), COMPUTE).engine(policy)
    alone, moved = CopiedEngine(policy), Moved(policy)

    def draw(engine: Engine) -> list[tuple[list[int], list[float], bool]]:
        return rows(engine.generate(PROMPTS, num_samples=3, sampling=SAMPLING, seed=4))

    def rows(drawn: list[list[Generation]]) -> list[tuple[list[int], list[float], bool]]:
        return [(one.tokens.tolist(), one.logps.tolist(), one.finished) for row in drawn for one in row]

    def same(one: list[tuple[list[int], list[float], bool]], other: list[tuple[list[int], list[float], bool]]) -> bool:
        tokens = [(row[0], row[2]) for row in one] == [(row[0], row[2]) for row in other]
        return tokens and all(np.allclose(a[1], b[1], atol=1e-5) for a, b in zip(one, other, strict=True))

    before = draw(alone)
    assert same(draw(shared), before)

    ahead = begun(shared, PROMPTS, {"num_samples": 3, "sampling": SAMPLING, "seed": 4})
    alone.load_weights(moved, version=7)
    shared.load_weights(moved, version=7)
    after = draw(alone)
    assert same(draw(shared), after) and same(rows(ahead()), before)  # it was begun with the weights of before
    assert shared.version == 7 and not same(after, before)
    assert same(draw(shared), after)

    os.kill(process_of(cluster.engines()[1]), signal.SIGKILL)
    assert same(draw(shared), after)  # given again to the engine that Ray started in its place, with the same weights

    with pytest.raises(UserError, match="prompt 0 is 4096 tokens long"):
        shared.generate([np.full(4096, 7)], num_samples=1, sampling=SAMPLING, seed=0)


def process_of(engine: object) -> int:
    """The process of an actor."""
    import ray

    return int(ray.get(engine.__ray_call__.remote(lambda actor: os.getpid())))  # type: ignore[attr-defined]
