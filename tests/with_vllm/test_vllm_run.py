"""A whole run whose answers vLLM draws, in one process and in engines on Ray: rollouts, and the mismatch in its log."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from vllm_toys import make_policy

from assent.pipeline.run import run_project

ON_RAY = {"kind": "ray", "learners": 2, "engines": 2}


def config(compute: dict[str, object]) -> dict[str, object]:
    return {
        "name": "long",
        "base": {"kind": "pretrained", "path": "base"},
        "data": {"kind": "files", "prompts": [{"path": "prompts.jsonl"}]},
        "sft": None,
        "reward": None,
        "optimize": {
            "kind": "grpo",
            "steps": 3,
            "prompts_per_step": 4,
            "samples_per_prompt": 4,
            "sampling": {"max_new_tokens": 8},
            "rewards": [{"kind": "python", "target": "long_ones:score"}],
            "reward_clip": None,
            "optimizer": {"learning_rate": 0.001, "schedule": "constant", "warmup": 0.0},
        },
        "evaluate": None,
        "compute": {"threads": 1, "device": "cpu", "engine": "vllm", **compute},
        "log": {"tensorboard": False},
    }


@pytest.mark.parametrize(
    "compute",
    [
        pytest.param({}, id="one process"),
        pytest.param(ON_RAY, id="two learners and two engines on Ray", marks=pytest.mark.slow),
    ],
)
def test_grpo_learns_with_vllm_as_its_engine_and_logs_how_far_it_is_from_the_learner(
    compute: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if compute:
        pytest.importorskip("ray")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    make_policy().save("base")
    Path("long_ones.py").write_text(
        "def score(prompts, completions):\n    return [float(len(text)) for text in completions]\n"
    )
    Path("prompts.jsonl").write_text("".join(json.dumps({"prompt": f"Say {n}."}) + "\n" for n in range(30)))
    Path("assent.yaml").write_text(yaml.safe_dump(config(compute)))
    list(run_project(Path("assent.yaml"), (), (), quiet=True))
    [log] = Path("runs/long").rglob("metrics.jsonl")
    steps = [json.loads(line) for line in log.read_text().splitlines()]
    assert len(steps) == 3
    for step in steps:
        assert 0 < step["sampler_gap_mean"] < 1e-4, "vLLM computes otherwise, and nearly the same"
        assert step["sampler_gap_max"] < 1e-3
        assert step["correction_weight"] == pytest.approx(1.0, abs=1e-3)
        assert step["correction_truncated"] == 0.0
        assert step["correction_ess"] == pytest.approx(1.0, abs=1e-3)
    assert steps[-1]["kl_per_token"] != 0, "the policy moved, and its engines with it"
