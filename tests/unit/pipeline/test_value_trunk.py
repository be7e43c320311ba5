"""PPO with `optimize.value: shared_trunk` in a run: what is made, kept and planned, and what is refused in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from safetensors.torch import load_file
from small_shape import FACTS
from transformers import AutoModelForCausalLM, MambaConfig, MambaForCausalLM

from assent.core.errors import ConfigError
from assent.core.memory import Memory
from assent.core.runlog import read_metrics
from assent.models.flops import Tokens, forward, training
from assent.models.shape import of_config
from assent.models.tiny import tiny_tokenizer
from assent.pipeline.commands.project import make_project
from assent.pipeline.config import RunConfig
from assent.pipeline.doctor.cluster import plan
from assent.pipeline.doctor.examine import examine
from assent.pipeline.doctor.known import check_known
from assent.pipeline.memory_plan import MemoryPlan
from assent.pipeline.run import run_project
from assent.pipeline.time_needs import Known, works
from assent.training.on_policy_config import PPOConfig
from assent.training.reward_terms import PythonRewardConfig

LAB: dict[str, Any] = {
    "name": "trunk",
    "rounds": 2,
    "base": {
        "kind": "scratch",
        "vocab_size": 400,
        "shape": {"hidden": 16, "layers": 1, "heads": 1, "context": 128},
        "pretrain": {"epochs": 1},
    },
    "data": {"kind": "lab", "corpus": 30, "demonstrations": 20, "prompts": 32},
    "sft": None,
    "sample": {"prompts": 8, "answers": 2, "sampling": {"max_new_tokens": 6}},
    "collect": {"raters": {"kind": "simulated"}, "overlap_share": 0.0},
    "reward": {"batch_size": 4, "eval_share": 0.3},
    "optimize": {
        "kind": "ppo",
        "value": "shared_trunk",
        "steps": 2,
        "prompts_per_step": 4,
        "samples_per_prompt": 2,
        "critic_warmup": 1,
        "sampling": {"max_new_tokens": 6},
        "value_optimizer": {"learning_rate": 0.01},
    },
    "evaluate": None,
    "compute": {"threads": 1, "device": "cpu"},
    "log": {"tensorboard": False},
}


def config_of(base: str = "base", **settings: Any) -> RunConfig:
    data = {"kind": "files", "comparisons": [{"path": "x.jsonl"}]}
    shared = {"optimize": {"kind": "ppo", "value": "shared_trunk"}}
    return RunConfig.parse({"base": {"kind": "pretrained", "path": base}, "data": data, **shared, **settings})


def test_two_rounds_in_the_lab_leave_policies_that_plain_transformers_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("assent.yaml").write_text(yaml.safe_dump(LAB), encoding="utf-8")
    list(run_project(Path("assent.yaml"), quiet=True))
    base, *moved = sorted(Path("runs/artifacts").glob("policy-*/metrics.jsonl"), key=_is_optimized)
    assert [_is_optimized(one) for one in (base, *moved)] == [False, True, True]
    for metrics in moved:
        rows = read_metrics(metrics.parent)
        assert [row["policy_updates"] for row in rows] == [0.0, 4.0] and rows[0]["value"] == 0.0
        assert {"explained_variance", "value_loss", "value_grad_norm", "grad_norm"} <= rows[-1].keys()
        folder = metrics.parent / "policy"
        assert (
            load_file(folder / "model.safetensors").keys()
            == load_file(base.parent / "policy" / "model.safetensors").keys()
        )
        _, told = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
        assert not any(told.values()), told
        assert not [one for one in metrics.parent.rglob("*") if "value" in one.name or "head" in one.name]


def _is_optimized(metrics: Path) -> bool:
    return "explained_variance" in metrics.read_text(encoding="utf-8")


def test_a_reward_model_that_only_the_value_model_would_start_from_is_not_wanted() -> None:
    own = (PythonRewardConfig(target="my_rewards:short"),)
    assert PPOConfig(rewards=own).wants == {"prompts", "reward"}
    assert PPOConfig(rewards=own, value="shared_trunk").wants == {"prompts"}
    assert PPOConfig(value="shared_trunk").wants == {"prompts", "reward"}


def test_the_memory_plan_has_one_model_less_and_the_time_plan_its_passes(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(FACTS))
    there = Memory("cpu", 5e10, 5e10)
    fits = {}
    for value in ("own_model", "shared_trunk"):
        config = config_of(str(tmp_path), optimize={"kind": "ppo", "value": value})
        [fits[value]] = [fit for fit in MemoryPlan.of(config, there).fits if fit.need.stage == "optimize"]
    own, shared = fits["own_model"].need, fits["shared_trunk"].need
    shape = of_config(FACTS)
    assert shape is not None
    assert shared.models == "policy, its start, reward model, value head"
    assert own.weights - shared.weights == 4 * (shape.body + shape.head)
    assert [one.key for one in shared.learning] == ["optimize.optimizer"]

    known, products = Known(prompt=12, answer=30), {}
    for value in ("own_model", "shared_trunk"):
        settings = {"kind": "ppo", "value": value, "steps": 3, "epochs": 2, "sampling": {"max_new_tokens": 25}}
        config = config_of(optimize={**settings, "prompts_per_step": 2, "samples_per_prompt": 4})
        [products[value]] = [one.products for one in works(config, shape, known) if one.stage == "optimize"]
    texts = Tokens(2 * 12 + 8 * 25, 0, 37)
    saved = forward(shape, texts) + 2 * training(shape, texts, is_lora=False)
    assert products["own_model"] - products["shared_trunk"] == pytest.approx(3 * saved)


def test_the_rate_of_a_new_head_is_not_held_against_that_of_a_model() -> None:
    def warned(value: str, rate: float) -> list[str]:
        optimize = {"kind": "ppo", "value": value, "value_optimizer": {"learning_rate": rate}}
        found = check_known(config_of(optimize=optimize), parameters=10**9, prompts=None)
        return [one.message for one in found if one.key == "optimize.value_optimizer.learning_rate"]

    assert warned("own_model", 0.01) and not warned("shared_trunk", 0.01)
    assert not warned("own_model", 5e-6)
    [said] = warned("shared_trunk", 5e-6)
    assert said == "is 5e-06, as for a value model: a value head starts at zero, and will stay near it"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"compute": {"kind": "ray", "learners": 2}, "model": {"products": "float32"}},
            r"optimize.value is shared_trunk, .* compute.kind is ray; set optimize.value: own_model, or compute.kind",
        ),
        (
            {"model": {"attention": "padded"}},
            r"optimize.value is shared_trunk, but model.attention is padded, .* own_model, or model.attention: auto",
        ),
        (
            {"optimize": {"kind": "grpo", "value": "shared_trunk"}},
            r"value is shared_trunk, but GRPO has no value model",
        ),
        (
            {"optimize": {"kind": "rloo", "value": "own_model"}},
            r"but RLOO has no value model; leave it out, or set .*ppo",
        ),
        ({"optimize": {"kind": "ppo", "value": "shared"}}, r"own_model.*shared_trunk"),
    ],
)
def test_what_it_cannot_go_with_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        config_of(**settings)
    assert config_of(model={"lora": {}}).method.shares_trunk, "adapters and one base go with it"


def test_the_doctor_names_a_base_in_padded_rows_and_the_cluster_plan_says_no(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_project(tmp_path / "p")
    monkeypatch.chdir(tmp_path / "p")
    tokenizer = tiny_tokenizer()
    config = MambaConfig(hidden_size=32, num_hidden_layers=2, state_size=8, vocab_size=len(tokenizer))
    MambaForCausalLM(config).save_pretrained("m")
    tokenizer.save_pretrained("m")
    settings = ("base={kind: pretrained, path: m}", "optimize={kind: ppo, value: shared_trunk}")
    [found] = [one for one in examine(Path("assent.yaml"), (), settings) if one.is_error]
    assert found.key == "optimize.value" and found.fix == "set it to own_model"
    assert "the states of padded rows are read by no value head: " in found.message
    last = list(plan(Path("assent.yaml"), (), ("optimize={kind: ppo, value: shared_trunk}",)))[-1]
    assert "shared_trunk, which one process computes" in last
