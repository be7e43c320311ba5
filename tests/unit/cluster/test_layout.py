"""What Ray sets aside for each process of a run, and an engine that loses a process of its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from assent.pipeline.config import ComputeConfig

pytest.importorskip("ray")
from assent.cluster.driver import Layout
from assent.cluster.engines import RETRIES, Call, EngineProcess, HandedOver
from assent.generation.engine import EngineLost


def test_an_engine_of_several_gpus_has_them_all_and_a_learner_has_one() -> None:
    layout = Layout(learners=2, engines=1, address=None, gpus=1, engine_gpus=4, threads=3)
    assert layout.bundles == [{"CPU": 3.0, "GPU": 1.0}, {"CPU": 3.0, "GPU": 1.0}, {"CPU": 3.0, "GPU": 4.0}]
    on_cpus = Layout(learners=1, engines=2, address=None, gpus=0, engine_gpus=0, threads=1)
    assert on_cpus.bundles == [{"CPU": 1.0}] * 3


def test_only_vllm_shares_an_engine_over_gpus() -> None:
    wide = {"tensor_parallel": 4}
    assert ComputeConfig.model_validate({"engine": "vllm", "vllm": wide}).gpus_per_engine == 4
    assert ComputeConfig.model_validate({"engine": "local", "vllm": wide}).gpus_per_engine == 1


class Losing:
    """An engine that loses what it draws with so many times."""

    def __init__(self, times: int) -> None:
        self.left, self.asked, self.taken = times, 0, 0

    def load_weights(self, source: object, *, version: int) -> None:
        self.taken += 1

    def generate(self, prompts: Sequence[object], **settings: object) -> list[object]:
        self.asked += 1
        self.left -= 1
        if self.left >= 0:
            raise EngineLost("vLLM failed in one of its 2 processes")
        return list(prompts)

    def facts(self) -> dict[str, float]:
        return {}


@pytest.mark.parametrize("losses", [0, 1, RETRIES, RETRIES + 1])
def test_an_engine_that_lost_a_process_is_asked_again_a_few_times(losses: int) -> None:
    engine = Losing(losses)
    call = Call("one", lambda: engine, HandedOver("w"), (np.array([1]),), (0,))  # type: ignore[arg-type, return-value]
    if losses > RETRIES:
        with pytest.raises(EngineLost):
            EngineProcess().answer(call)
    else:
        assert len(EngineProcess().answer(call)[0]) == 1
    assert (engine.asked, engine.taken) == (min(losses, RETRIES) + 1, 1)
