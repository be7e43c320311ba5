"""One vLLM whose layers are parted over two processes: the same answers, weights, adapters, and what a death does."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from test_vllm_engine import GREEDY, HOT, LORA, assert_samples, prompts_of
from vllm_toys import make_policy, shake

from assent.core.errors import ModelError
from assent.generation import vllm_host
from assent.generation.engine import EngineLost
from assent.generation.vllm import VllmEngine
from assent.generation.vllm_config import VllmConfig
from assent.learner.config import OptimizerConfig
from assent.pipeline.learners import policy_learner

PARTED = VllmConfig(tensor_parallel=2, cache_gib=0.1)


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    yield
    vllm_host.close_all()


def pid_of(_: object) -> int:
    return os.getpid()


def pids(engine: VllmEngine) -> list[int]:
    """Of the processes in which layers are computed."""
    return engine._ready()._llm.collective_rpc(pid_of)


@pytest.mark.slow
def test_two_processes_answer_as_one_and_take_adapters_alone() -> None:
    policy = make_policy(2, lora=LORA)
    engine = VllmEngine(policy, PARTED)
    assert_samples(policy, engine, GREEDY)
    assert_samples(policy, engine, HOT)
    own = pids(engine)
    assert len(set(own)) == 2 and os.getpid() not in own
    shake(policy, 7)
    assert_samples(policy, engine, GREEDY)
    assert pids(engine) == own  # nothing was started anew


@pytest.mark.slow
def test_whole_weights_pass_to_all_and_a_process_that_dies_is_told_in_one_line() -> None:
    policy = make_policy(0)
    engine = VllmEngine(policy, PARTED)
    learner = policy_learner(policy, OptimizerConfig())
    engine.load_weights(learner, version=1)
    learner.load_weights(make_policy(1).parameters())
    assert_samples(make_policy(0), engine, GREEDY)
    engine.load_weights(learner, version=2)
    assert_samples(make_policy(1), engine, GREEDY)
    os.kill(pids(engine)[1], signal.SIGKILL)
    with pytest.raises(EngineLost, match="vLLM failed in one of its 2 processes .*the same command goes on") as error:
        assert_samples(make_policy(1), engine, GREEDY)
    assert "\n" not in str(error.value)
    assert_samples(make_policy(1), engine, GREEDY)  # by a new one


def test_what_cannot_be_parted_so_is_refused_in_one_line() -> None:
    with pytest.raises(ModelError, match="heads.*compute.vllm") as error:
        VllmEngine(make_policy(0), VllmConfig(tensor_parallel=3)).generate(
            prompts_of(1), num_samples=1, sampling=GREEDY, seed=0
        )
    assert "\n" not in str(error.value)


def test_weights_pass_through_memory_only_where_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    for free, there in ((10**9, True), (10**5, False)):
        usage = type("Usage", (), {"free": free})
        monkeypatch.setattr(vllm_host.shutil, "disk_usage", lambda _, usage=usage: usage)
        with vllm_host._passage(10**6) as folder:
            assert folder.is_relative_to("/dev/shm") == there and folder.is_dir()
        assert not folder.exists()
