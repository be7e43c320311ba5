"""A user's own model and data: a local folder with its own template, TRL-format preferences, full and LoRA."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from assent.models.tiny import tiny_model, tiny_tokenizer

TEMPLATE = (
    "{% for m in messages %}<<{{ m.role }}>> {{ m.content }}"
    "{% if m.role == 'assistant' %}{{ eos_token }}{% endif %}\n{% endfor %}"
    "{% if add_generation_prompt %}<<assistant>> {% endif %}"
)
FAST = {"learning_rate": 0.002, "tokens_per_microbatch": 512}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project folder: model/, pairs.jsonl in TRL's conversational form, answers.jsonl, assent.yaml."""
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = TEMPLATE
    tiny_model("qwen2", tokenizer=tokenizer).save_pretrained(str(tmp_path / "model"))
    tokenizer.save_pretrained(str(tmp_path / "model"))
    pairs, answers = [], []
    for n in range(40):
        question = f"Where is order {n}?"
        good, bad = f"I have sent order {n}.", "No."
        user = [{"role": "user", "content": question}]
        pairs.append(
            {
                "prompt": user,
                "chosen": [{"role": "assistant", "content": good}],
                "rejected": [{"role": "assistant", "content": bad}],
            }
        )
        answers.append({"messages": [*user, {"role": "assistant", "content": good}]})
    for name, rows in {"pairs": pairs, "answers": answers}.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = {
        "name": "own",
        "base": {"kind": "pretrained", "path": "model"},
        "data": {
            "kind": "files",
            "demonstrations": [{"path": "answers.jsonl"}],
            "comparisons": [{"path": "pairs.jsonl", "format": "trl"}],
            "eval_share": 0.3,
        },
        "sft": {"epochs": 2, "batch_size": 8, "eval_share": 0.2, "optimizer": FAST},
        "reward": {"epochs": 2, "batch_size": 8, "eval_share": 0.5, "optimizer": FAST},
        "optimize": {
            "kind": "ppo",
            "steps": 3,
            "prompts_per_step": 8,
            "samples_per_prompt": 2,
            "epochs": 2,
            "critic_warmup": 1,
            "sampling": {"max_new_tokens": 12},
            "optimizer": FAST,
            "value_optimizer": FAST,
        },
        "evaluate": {"prompts": 8, "sampling": {"max_new_tokens": 12}},
        "compute": {"threads": 1},
        "log": {"tensorboard": False},
    }
    (tmp_path / "assent.yaml").write_text(yaml.safe_dump(config))
    return tmp_path


def assent(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "assent.cli", *arguments], cwd=folder, capture_output=True, text=True, timeout=300
    )


@pytest.mark.slow
@pytest.mark.parametrize("lora", [False, True])
@pytest.mark.parametrize("method", ["ppo", "dpo"])
def test_run_export_and_reload(project: Path, lora: bool, method: str) -> None:
    settings = ["--set", "model.lora={rank: 4}"] if lora else []
    if method == "dpo":
        settings += ["--set", "optimize={kind: dpo, epochs: 2, batch_size: 8, optimizer: {learning_rate: 0.002}}"]
    done = assent(project, "run", "--quiet", *settings)
    assert done.returncode == 0, done.stderr
    result = json.loads((project / "runs/own/result.json").read_text())
    assert 0 <= result["rounds"][0]["reward"]["heldout_accuracy"]["estimate"] <= 1
    exported = assent(project, "export", "runs/own/round-1", "--to", "out")
    assert exported.returncode == 0, exported.stderr

    # What was exported is a plain model: transformers alone loads it and gives the same numbers as the artifact.
    policy = AutoModelForCausalLM.from_pretrained(project / "out")
    tokenizer = AutoTokenizer.from_pretrained(project / "out")
    artifacts = {k: project / "runs/artifacts" / name for k, name in result["rounds"][0]["artifacts"].items()}
    artifact = AutoModelForCausalLM.from_pretrained(artifacts["optimize"] / "policy")
    ids = tokenizer("Where is order 3?", return_tensors="pt").input_ids
    assert torch.equal(policy(ids).logits, artifact(ids).logits)
    base = AutoModelForCausalLM.from_pretrained(project / "model")
    assert not torch.allclose(policy(ids).logits, base(ids).logits, atol=1e-3), "nothing was learned"
    assert tokenizer.chat_template == TEMPLATE
    reward = AutoModelForSequenceClassification.from_pretrained(artifacts["reward"] / "reward")
    assert reward(ids).logits.shape == (1, 1)

    again = assent(project, "run", "--plan", *settings)
    assert "would run" not in again.stdout


def test_a_misspelt_key_is_named_with_its_nearest(project: Path) -> None:
    done = assent(project, "run", "--set", "reward.epoch=2")
    assert done.returncode == 2
    assert "did you mean 'epochs'" in done.stderr
    assert not (project / "runs").exists()


def test_a_misspelt_column_names_file_line_and_column(project: Path) -> None:
    (project / "pairs.jsonl").write_text('{"prompt": "a", "chozen": "b", "rejected": "c"}\n')
    done = assent(project, "run", "--quiet")
    assert done.returncode == 2
    assert "pairs.jsonl:1" in done.stderr and "chosen" in done.stderr
