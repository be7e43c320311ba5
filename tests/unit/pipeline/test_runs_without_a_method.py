"""Runs with `optimize: null`: they end with the fine-tuned policy, a reward model or judgments, and say so."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from assent.artifacts.find import find_artifact
from assent.core.errors import ConfigError
from assent.models.tiny import save_tiny
from assent.pipeline.config import RunConfig
from assent.pipeline.doctor.examine import examine
from assent.pipeline.plan import plan_project
from assent.pipeline.run import run_project
from assent.report.run import report_of

PAIRS = {"comparisons": [{"path": "pairs.jsonl"}]}
ANSWERS = {"demonstrations": [{"path": "answers.jsonl"}]}
FUNCTION = {"raters": {"kind": "function", "target": "few_words:score"}}
BEGINNING = ["data prompts", "data comparisons", "base"]


def settings(data: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "name": "toy",
        "base": {"kind": "pretrained", "path": "base"},
        "data": {"kind": "files", "eval_share": 0.25, **data},
        "optimize": None,
        "compute": {"threads": 1, "device": "cpu"},
        "log": {"tensorboard": False},
        **more,
    }


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    save_tiny(tmp_path / "base", "llama")
    score = "def score(prompts, completions):\n    return [-float(len(text)) for text in completions]\n"
    Path("few_words.py").write_text(score, encoding="utf-8")
    asked = [f"What is {n}?" for n in range(8)]
    rows = [{"prompt": q, "chosen": "Much.", "rejected": "Nothing."} for q in asked]
    Path("pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    said = [{"prompt": q, "completion": "A number."} for q in asked]
    Path("answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in said), encoding="utf-8")
    return tmp_path


def stages(values: dict[str, Any]) -> list[str]:
    Path("assent.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    return [line.split("  ")[0] for line in plan_project(Path("assent.yaml"))[:-1] if not line.startswith(" ")]


def test_only_what_is_there_to_learn_from_is_trained(project: Path) -> None:
    fine_tuning = ["data prompts", "data demonstrations", "base", "sft"]
    assert stages(settings(ANSWERS)) == fine_tuning
    assert stages(settings(PAIRS)) == [*BEGINNING, "round 1 collect", "round 1 reward"]
    assert stages(settings(PAIRS, reward=None, collect=FUNCTION)) == [*BEGINNING, "round 1 sample", "round 1 collect"]
    # Under its own key, the reward model is that of a run which goes on with a method.
    lines = [plan_project(Path("assent.yaml"))[:-1] for _ in [stages(settings(PAIRS))]]
    stages(settings(PAIRS, optimize={"kind": "ppo"}, evaluate=None))
    assert [line.split()[-1] for line in lines[0]] == [
        line.split()[-1] for line in plan_project(Path("assent.yaml"))[:5]
    ]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"evaluate": {"prompts": 4}}, "evaluate is about what a method makes .* set evaluate to null too"),
        ({"gate": {"requires": []}}, "gate"),
        ({"reward": None}, "there is nothing else to do; give data.demonstrations"),
        ({"constraints": []}, "constraints"),
    ],
)
def test_what_a_run_without_a_method_cannot_do_is_refused(more: dict[str, Any], said: str) -> None:
    values = settings(PAIRS, **more)
    with pytest.raises(ConfigError, match=said):
        RunConfig.parse(values)


def test_rounds_gather_judgments_and_the_start_stays_the_policy(project: Path) -> None:
    sample = {"prompts": 4, "answers": 2, "sampling": {"max_new_tokens": 3}}
    values = settings({**PAIRS, "eval_share": 0.0}, collect=FUNCTION, sample=sample, rounds=2)
    Path("assent.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    assert not [one for one in examine(Path("assent.yaml"), (), ()) if one.is_error]
    said = list(run_project(Path("assent.yaml"), quiet=True))
    assert [line for line in said if not line.startswith("  ")] == [
        "round 1: optimize is null: nothing moved the policy",
        "round 2: optimize is null: nothing moved the policy",
    ]
    values = json.loads(Path("runs/toy/result.json").read_text(encoding="utf-8"))
    assert [list(one["artifacts"]) for one in values["rounds"]] == [["sample", "collect", "reward"]] * 2
    assert [one["judgments"] for one in values["rounds"]] == [12, 16]
    assert values["final"] is None
    assert find_artifact("runs/toy").manifest.stage == "base"
    assert find_artifact("runs/toy/round-2/reward").kind == "reward"
    report_of(Path("runs/toy"))
    page = Path("runs/toy/report.html").read_text(encoding="utf-8")
    assert "Nothing moved the policy after fine-tuning (optimize: null), so there is nothing to compare." in page


def test_the_start_may_give_the_best_of_several_answers_and_be_compared_with_itself(project: Path) -> None:
    sample = {"prompts": 4, "answers": 2, "sampling": {"max_new_tokens": 3}}
    evaluate = {"prompts": 2, "best_of": 3, "sampling": {"max_new_tokens": 3}}
    values = settings({**PAIRS, "eval_share": 0.5}, collect=FUNCTION, sample=sample, evaluate=evaluate)
    Path("assent.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    said = list(run_project(Path("assent.yaml"), quiet=True))
    found = json.loads(Path("runs/toy/result.json").read_text(encoding="utf-8"))["rounds"][0]["policy"]
    assert found["best_of"] == {"n": 3, "kl_bound": pytest.approx(math.log(3) - 2 / 3)}
    assert found["weights_moved"] == 0 and not any("has not moved" in line for line in said)
    assert said[0].startswith("round 1: the new policy, giving the best of 3 answers, is preferred to its start in ")
    assert "  choosing the best of 3 answers adds at most 0.43 nats to that" in said
    report_of(Path("runs/toy"))
    assert "best of 3" in Path("runs/toy/report.html").read_text(encoding="utf-8")
    with pytest.raises(ConfigError, match="evaluate.best_of wants the round's reward model, but reward is null"):
        RunConfig.parse({**values, "reward": None})
