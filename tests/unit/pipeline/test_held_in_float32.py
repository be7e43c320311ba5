"""A run on a CPU without products in bfloat16: models are held in float32, plan and doctor say so, answers agree."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from assent.core import processor
from assent.core.memory import Memory
from assent.generation.config import Sampling
from assent.models.config import ModelConfig
from assent.models.tiny import save_tiny
from assent.pipeline.backends import Backends
from assent.pipeline.config import RunConfig
from assent.pipeline.doctor.examine import check_settings
from assent.pipeline.memory_plan import MemoryPlan
from assent.pipeline.round_config import ComputeConfig

HERE = ComputeConfig(device="cpu")


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "_here", lambda: False)


def config(base: Path, **model: object) -> RunConfig:
    return RunConfig.model_validate(
        {
            "base": {"kind": "pretrained", "path": str(base)},
            "data": {"kind": "files", "comparisons": [{"path": "x.jsonl"}]},
            "model": {"lora": {}, "dtype": "bfloat16", **model},
            "compute": {"device": "cpu", "rollout_dtype": "bfloat16"},
        }
    )


def test_a_policy_is_float32_and_draws_in_it(slow: None, tmp_path: Path) -> None:
    save_tiny(tmp_path / "base", "llama")
    asked = ModelConfig.model_validate({"lora": {}, "dtype": "bfloat16"})
    compute = HERE.model_copy(update={"rollout_dtype": "bfloat16"})
    policy = Backends(asked, compute).policy(tmp_path / "base", trainable=True)
    assert {weight.dtype for weight in policy.hf.parameters()} == {torch.float32}
    engine = Backends(asked, compute).engine(policy)
    assert engine.is_exact
    plain = Backends(asked.model_copy(update={"dtype": "float32"}), HERE)
    other = plain.engine(plain.policy(tmp_path / "base", trainable=True))
    prompts = [policy.tokenizer("Say one.", return_tensors="np").input_ids[0]]
    drawn = [
        one.generate(prompts, num_samples=2, sampling=Sampling(max_new_tokens=5), seed=0)[0] for one in (engine, other)
    ]
    assert [list(one.tokens) for one in drawn[0]] == [list(one.tokens) for one in drawn[1]]


def test_elsewhere_it_is_bfloat16(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(processor, "_here", lambda: True)
    save_tiny(tmp_path / "base", "llama")
    asked = ModelConfig.model_validate({"lora": {}, "dtype": "bfloat16"})
    policy = Backends(asked, HERE).policy(tmp_path / "base", trainable=True)
    assert policy.core.dtype == torch.bfloat16


def test_plan_and_doctor_say_so(slow: None, tmp_path: Path) -> None:
    save_tiny(tmp_path / "base", "llama")
    there = Memory("cpu", 5e10, 5e10)
    plan = MemoryPlan.of(config(tmp_path / "base"), there)
    wide = MemoryPlan.of(config(tmp_path / "base", dtype="float32"), there)
    assert [fit.total for fit in plan.fits] == [fit.total for fit in wide.fits]
    assert "models are held in float32" in plan.lines()[0] and "held in" not in wide.lines()[0]
    said = {one.key: one.level for one in check_settings(config(tmp_path / "base"))}
    assert said["model.dtype"] == "note" and said["compute.rollout_dtype"] == "note"
    narrow = check_settings(config(tmp_path / "base", dtype="float32", products="bfloat16"))
    assert {one.key: one.level for one in narrow}["model.products"] == "warning"
