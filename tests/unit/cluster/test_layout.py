"""What Ray sets aside for each process of a run."""

from __future__ import annotations

import pytest

from assent.pipeline.config import ComputeConfig

pytest.importorskip("ray")
from assent.cluster.driver import Layout


def test_an_engine_of_several_gpus_has_them_all_and_a_learner_has_one() -> None:
    layout = Layout(learners=2, engines=1, address=None, gpus=1, engine_gpus=4, threads=3)
    assert layout.bundles == [{"CPU": 3.0, "GPU": 1.0}, {"CPU": 3.0, "GPU": 1.0}, {"CPU": 3.0, "GPU": 4.0}]
    on_cpus = Layout(learners=1, engines=2, address=None, gpus=0, engine_gpus=0, threads=1)
    assert on_cpus.bundles == [{"CPU": 1.0}] * 3


def test_only_vllm_shares_an_engine_over_gpus() -> None:
    wide = {"tensor_parallel": 4}
    assert ComputeConfig.model_validate({"engine": "vllm", "vllm": wide}).gpus_per_engine == 4
    assert ComputeConfig.model_validate({"engine": "local", "vllm": wide}).gpus_per_engine == 1
