"""Code as the reward of a run: the doctor tries its sandbox, a row without tests is named, each step is logged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from assent.core.errors import DataError
from assent.core.runlog import read_metrics
from assent.models.tiny import save_tiny
from assent.pipeline.doctor.examine import examine
from assent.pipeline.run import run_project

TESTS = [{"call": "f(1)", "value": 2}, "assert f(0) == 1"]


def write(*, without: int | None = None) -> None:
    rows = [{"prompt": f"Write f that adds {n}.", "tests": TESTS} for n in range(8)]
    if without is not None:
        del rows[without]["tests"]
    Path("tasks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    values = {
        "name": "toy",
        "base": {"kind": "pretrained", "path": "base"},
        "data": {"kind": "files", "prompts": [{"path": "tasks.jsonl"}]},
        "sft": None,
        "reward": None,
        "evaluate": None,
        "optimize": {
            "kind": "rloo",
            "steps": 2,
            "prompts_per_step": 2,
            "samples_per_prompt": 2,
            "sampling": {"max_new_tokens": 4},
            # Whether a sandbox holds depends on the machine, and this tiny model writes nothing that could run.
            "rewards": [{"kind": "code", "isolation": "limits_only"}],
        },
        "compute": {"threads": 1, "device": "cpu"},
        "log": {"tensorboard": False},
    }
    Path("assent.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")


def test_a_run_on_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    save_tiny(Path("base"), "llama")
    write(without=5)
    with pytest.raises(DataError, match=r"tasks.jsonl:6: the prompt has no 'tests'"):
        list(run_project(Path("assent.yaml"), quiet=True))
    write()
    [found] = [one for one in examine(Path("assent.yaml")) if one.key == "optimize.rewards[0]"]
    assert found.level == "warning" and "code runs in limits_only; held:" in found.message
    list(run_project(Path("assent.yaml")))
    assert "code: 8 answers, " in capsys.readouterr().err
    [log] = (one.parent for one in Path("runs/artifacts").glob("policy-*/metrics.jsonl"))
    steps = read_metrics(log)
    assert len(steps) == 2
    assert all(0 <= step["passes/code"] <= step["parses/code"] <= 1 and step["seconds/code"] > 0 for step in steps)
