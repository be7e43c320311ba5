"""Rewards of several terms in a run: checks on a user's own rows, a judge by a rubric, and what is wrong said early."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from assent.core.errors import ConfigError, DataError
from assent.core.runlog import read_metrics
from assent.models.config import ModelConfig
from assent.models.scalar import ScalarModel
from assent.models.tiny import save_tiny
from assent.pipeline.doctor.examine import examine
from assent.pipeline.plan import plan_project
from assent.pipeline.run import run_project
from assent.report.run import report_of

JUDGE = {"backend": {"kind": "local", "path": "judge"}, "rubric": "caution_legal_medical"}
REWARDS = [
    {"kind": "numeric", "key": "result"},
    {"kind": "instructions", "weight": 0.5},
    {"kind": "length", "most": 2, "unit": "tokens", "name": "short"},
    {"kind": "format", "regex": ".*", "weight": 0.0},
    {"kind": "judge", "judge": JUDGE, "name": "caution"},
]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    save_tiny(Path("base"), "llama")
    save_tiny(Path("judge"), "llama", seed=3)
    settings = json.loads(Path("judge/config.json").read_text())
    Path("judge/config.json").write_text(json.dumps(settings | {"max_position_embeddings": 6000}))
    write()
    return tmp_path


def rows(*, without: int | None = None) -> list[dict[str, Any]]:
    kinds = {"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
    found = [{"prompt": f"What is {n} plus {n}?", "result": f"#### {2 * n}", **kinds} for n in range(20)]
    if without is not None:
        del found[without]["result"]
    return found


def write(*, without: int | None = None, rewards: list[dict[str, Any]] = REWARDS, **source: Any) -> None:
    Path("sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows(without=without)), encoding="utf-8")
    values = {
        "name": "toy",
        "base": {"kind": "pretrained", "path": "base"},
        "data": {"kind": "files", "prompts": [{"path": "sums.jsonl", **source}]},
        "sft": None,
        "reward": None,
        "evaluate": None,
        "optimize": {
            "kind": "grpo",
            "steps": 2,
            "prompts_per_step": 4,
            "samples_per_prompt": 2,
            "sampling": {"max_new_tokens": 5},
            "rewards": rewards,
        },
        "compute": {"threads": 1, "device": "cpu"},
        "log": {"tensorboard": False},
    }
    Path("assent.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")


def test_a_run_on_checks_and_a_cautious_judge_logs_each_term_apart(project: Path) -> None:
    found = [one for one in examine(Path("assent.yaml")) if one.key.startswith("optimize.rewards")]
    assert [one.key for one in found] == ["optimize.rewards[4].judge"]
    assert "mean scores" in found[0].message, "it was asked a question"
    list(run_project(Path("assent.yaml"), quiet=True))
    [log] = (one.parent for one in Path("runs/artifacts").glob("policy-*/metrics.jsonl"))
    for step in read_metrics(log):
        assert {f"reward/{name}" for name in ("numeric", "instructions", "short", "format", "caution")} <= step.keys()
        assert step["reward/format"] == 1.0 and step["failed/caution"] == 0.0
        assert -1 <= step["reward/caution"] <= 1 and -1 <= step["reward/short"] <= 0
        worth = step["reward/numeric"] + 0.5 * step["reward/instructions"] + step["reward/short"]
        ended = 1 - step["eos_rate"]
        assert step["reward"] == pytest.approx(worth + step["reward/caution"] - ended, abs=1e-5)


def test_a_prompt_without_its_reference_is_named_by_file_and_line_before_anything_is_trained(project: Path) -> None:
    write(without=5)
    [found] = [one for one in examine(Path("assent.yaml")) if one.is_error]
    assert "sums.jsonl:6" in str(found) and "no 'result'" in str(found)
    with pytest.raises(DataError, match=r"sums.jsonl:6: the prompt has no 'result'.*'instruction_id_list'"):
        list(run_project(Path("assent.yaml"), quiet=True))
    assert not list(Path("runs/toy").rglob("policy-*"))


def test_with_skip_bad_it_is_left_out_and_counted_and_another_key_reads_the_rows_anew(project: Path) -> None:
    write(without=5, rewards=REWARDS[:1], skip_bad=True)
    list(run_project(Path("assent.yaml"), quiet=True))
    [data] = Path("runs/artifacts").glob("data-*")
    notes = json.loads((data / "manifest.json").read_text(encoding="utf-8"))["notes"]
    assert notes["bad_rows"] == 1 and notes["reads"] == [["numeric", "result"]]
    assert "done" in plan_project(Path("assent.yaml"))[0]
    write(without=5, rewards=[{"kind": "exact", "key": "prompt_id"}])
    with pytest.raises(DataError, match="sums.jsonl:1: the prompt has no 'prompt_id'"):
        list(run_project(Path("assent.yaml"), quiet=True))


def test_the_doctor_says_what_the_lab_does_not_have_and_that_a_judge_is_missing(project: Path) -> None:
    lab = ("data={kind: lab, corpus: 10, demonstrations: 10, prompts: 10}", "optimize.rewards=[{kind: numeric}]")
    [found] = [one for one in examine(Path("assent.yaml"), (), lab) if one.key == "optimize" and one.is_error]
    assert found.is_error and "no 'answer'" in found.message
    missing = "optimize.rewards=[{kind: judge, judge: {backend: {kind: local, path: ./nowhere}}}]"
    [found] = [one for one in examine(Path("assent.yaml"), (), (missing,)) if one.key.startswith("optimize.rewards")]
    assert found.is_error and "no such folder" in found.message


LAB = """
name: held
base:
  kind: scratch
  vocab_size: 400
  shape: {hidden: 16, layers: 1, heads: 1, context: 128}
  pretrain: {epochs: 1}
data: {kind: lab, corpus: 30, demonstrations: 20, prompts: 24}
sft: null
sample: {prompts: 16, answers: 3, sampling: {max_new_tokens: 6}}
collect: {raters: {kind: simulated, criteria: [fluent, harmless]}, overlap_share: 0.0}
reward: {criteria: [fluent, harmless], batch_size: 4, eval_share: 0.3}
optimize:
  kind: rloo
  steps: 3
  prompts_per_step: 4
  samples_per_prompt: 2
  sampling: {max_new_tokens: 6}
  rewards:
    - {kind: ensemble, models: [null, ./other], take: lower, name: both}
    - {kind: model, criteria: {fluent: 1.0, harmless: 0.5}, normalize: batch, weight: 0.5, name: mix}
  constraints:
    - {cost: {kind: model, criterion: harmless, weight: -1, normalize: none}, limit: -4.9, integral: 1.0}
evaluate: null
compute: {threads: 1, device: cpu}
log: {tensorboard: false}
"""


def test_the_lab_holds_a_criterion_that_people_score_with_an_ensemble_as_the_reward(project: Path) -> None:
    ScalarModel.from_policy("base", config=ModelConfig(), seed=1).save("other", merged=True)
    Path("assent.yaml").write_text(LAB, encoding="utf-8")
    list(run_project(Path("assent.yaml"), quiet=True))
    [log] = (one.parent for one in Path("runs/artifacts").glob("policy-*/metrics.jsonl") if _is_optimized(one))
    steps = read_metrics(log)
    price, summed = 0.0, 0.0
    for step in steps:
        assert step["spread/both"] > 0 and -5.5 < step["cost/harmless"] < -0.5 and step["limit/harmless"] == -4.9
        summed = max(0.0, summed + step["cost/harmless"] + 4.9)
        price = max(0.0, step["cost/harmless"] + 4.9 + summed)
        assert step["multiplier/harmless"] == pytest.approx(price)
    manifest = json.loads((log / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["notes"]["multipliers"] == [steps[-1]["multiplier/harmless"]]
    [reward] = Path("runs/artifacts").glob("reward-*/report.json")
    assert json.loads(reward.read_text(encoding="utf-8"))["criteria"]["fluent"]["pairs"] > 0
    report_of(Path("runs/held"))
    page = Path("runs/held/report.html").read_text(encoding="utf-8")
    for title in ("Accuracy per criterion", "Cost: harmless", "Price: harmless", "Reward: both"):
        assert title in page


def _is_optimized(metrics: Path) -> bool:
    return "cost/harmless" in metrics.read_text(encoding="utf-8")


def test_a_criterion_that_the_reward_model_does_not_learn_is_said_before_anything_runs(project: Path) -> None:
    Path("assent.yaml").write_text(LAB, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"asks the round's reward model for harmless.*reward.criteria"):
        plan_project(Path("assent.yaml"), (), ("reward.criteria=[fluent]",))
