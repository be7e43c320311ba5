"""Each option of an adapter reaches PEFT, starts as the base, and survives saving, merging and lying on another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from peft.tuners.lora import LoraLayer

from assent.algorithms.objective import Loss
from assent.core.errors import ConfigError, ModelError
from assent.core.group import Group
from assent.learner.config import OptimizerConfig
from assent.models.config import LoraConfig, ModelConfig
from assent.models.groups import GroupBatch, pack
from assent.models.policy import PolicyModel
from assent.models.scalar import ScalarModel
from assent.pipeline.learners import adapters_off, policy_learner

TEXT = torch.tensor([5, 17, 200, 31, 8, 90, 3]).numpy()
Folder = Callable[[str], Path]
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "dropout": {"dropout": 0.5},
    "rslora": {"use_rslora": True},
    "dora": {"use_dora": True},
    "gaussian": {"init": "gaussian"},
    "names": {"target": ["q_proj", "v_proj", "up_proj"], "exclude": ["layers.0.self_attn.q_proj"]},
    "patterns": {"rank_pattern": {"q_proj": 4}, "alpha_pattern": {"q_proj": 2.0}},
}


def settings(**options: Any) -> ModelConfig:
    return ModelConfig(lora=LoraConfig.parse({"rank": 2, "alpha": 8, **options}))


def batch() -> GroupBatch:
    return pack([Group(TEXT[:3], (TEXT[3:], TEXT[4:6]))], budget=100)[0]


def moved(model: PolicyModel | ScalarModel) -> Any:
    """The model after its adapters were changed in every tensor."""
    draw = torch.Generator().manual_seed(1)
    for parameter in model.parameters().values():
        parameter.data.add_(0.05 * torch.randn(parameter.shape, generator=draw))
    return model


def layers(model: PolicyModel) -> dict[str, LoraLayer]:
    return {name.rpartition("layers.")[2]: m for name, m in model.hf.named_modules() if isinstance(m, LoraLayer)}


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_starts_as_the_base_and_merges_to_what_was_trained(
    name: str, tiny_folder: Folder, tmp_path: Path
) -> None:
    config, start = settings(**OPTIONS[name]), tiny_folder("llama")
    plain = PolicyModel.load(start, config=ModelConfig(), trainable=False).logps(batch()).logps
    policy = PolicyModel.load(start, config=config, trainable=True)
    assert policy.mode == "groups"
    torch.testing.assert_close(policy.logps(batch()).logps, plain, atol=1e-5, rtol=0)
    trained = moved(policy).logps(batch()).logps.detach()
    assert (trained - plain).abs().max() > 1e-3
    [reference] = adapters_off(policy).score([batch()])
    assert torch.equal(reference.logps, plain), "adapters off are the start"
    policy.save(tmp_path / "a" / "policy")
    policy.save(tmp_path / "a" / "whole", merged=True)
    again = PolicyModel.load(tmp_path / "a" / "policy", config=ModelConfig(), trainable=False)
    whole = PolicyModel.load(tmp_path / "a" / "whole", config=ModelConfig(), trainable=False)
    assert all(torch.equal(whole.hf.state_dict()[n], weight) for n, weight in again.hf.state_dict().items())
    torch.testing.assert_close(again.logps(batch()).logps, trained, atol=2e-4, rtol=0)
    by_peft = peft.AutoPeftModelForCausalLM.from_pretrained(tmp_path / "a" / "policy").merge_and_unload()
    assert all(torch.equal(by_peft.state_dict()[n], weight) for n, weight in again.hf.state_dict().items())
    reward = moved(ScalarModel.from_policy(tmp_path / "a" / "policy", config=config, seed=2))
    scores = reward.at_last(batch()).detach()
    reward.save(tmp_path / "b")
    second = ScalarModel.load(tmp_path / "b", config=ModelConfig(), trainable=False)
    torch.testing.assert_close(second.at_last(batch()), scores, atol=1e-3, rtol=1e-4)


def test_what_is_set_is_what_peft_has(tiny_folder: Folder) -> None:
    def made(name: str) -> dict[str, LoraLayer]:
        return layers(PolicyModel.load(tiny_folder("llama"), config=settings(**OPTIONS[name]), trainable=True))

    plain = made("plain")
    assert len(plain) == 14 and {one.scaling["default"] for one in plain.values()} == {4.0}
    assert {one.scaling["default"] for one in made("rslora").values()} == {8 / 2**0.5}
    assert all("default" in one.lora_magnitude_vector for one in made("dora").values())
    assert {one.lora_dropout["default"].p for one in made("dropout").values()} == {0.5}
    assert set(made("names")) == {
        "0.self_attn.v_proj",
        "0.mlp.up_proj",
        "1.self_attn.q_proj",
        "1.self_attn.v_proj",
        "1.mlp.up_proj",
    }
    by_rank = {name: (one.r["default"], one.scaling["default"]) for name, one in made("patterns").items()}
    assert by_rank["0.self_attn.q_proj"] == (4, 0.5) and by_rank["0.self_attn.v_proj"] == (2, 4.0)
    widths = [one.lora_A["default"].weight.std().item() for one in made("gaussian").values()]
    assert sum(widths) / len(widths) == pytest.approx(0.5, rel=0.2), "1 / rank"


class Seen:
    """An objective that keeps what it was given."""

    def __init__(self) -> None:
        self.logps: list[torch.Tensor] = []

    def __call__(self, output: Any, batch: GroupBatch) -> Loss:
        self.logps.append(output.logps.detach().clone())
        return Loss(-output.logps.sum(), 1.0, {})


def test_dropout_is_there_in_training_alone_and_hangs_on_seed_step_and_batch(tiny_folder: Folder) -> None:
    policy = moved(PolicyModel.load(tiny_folder("llama"), config=settings(dropout=0.5), trainable=True))
    plain = policy.logps(batch()).logps.detach()
    before = torch.get_rng_state()

    def trained(seed: int) -> list[torch.Tensor]:
        seen = Seen()
        learner = policy_learner(policy, OptimizerConfig(weight_decay=0.0), seed=seed)
        for _ in range(2):
            learner.forward_backward([batch(), batch()], seen, weight=1.0)
            [scored] = learner.score([batch()])
            assert torch.equal(scored.logps, plain), "held-out losses and references are without"
            learner.step(learning_rate=0.0)
        return seen.logps

    first, same, other = trained(1), trained(1), trained(2)
    assert all(torch.equal(a, b) for a, b in zip(first, same, strict=True))
    everything = [*first, other[0], plain]
    assert all(not torch.equal(a, b) for n, a in enumerate(everything) for b in everything[:n])
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("target", ["lm_head", "embed_tokens"])
def test_an_adapter_that_would_do_nothing_is_refused(target: str, tiny_folder: Folder) -> None:
    with pytest.raises(ModelError, match=f"model.lora.target means {target}, an embedding or a head"):
        PolicyModel.load(tiny_folder("llama"), config=settings(target=["q_proj", target]), trainable=True)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"r": 8}, "r is called rank here"),
        ({"lora_dropout": 0.1}, "lora_dropout is called dropout here"),
        ({"bias": "all"}, "bias is not offered: it changes weights of the base"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save is not offered: embeddings and heads"),
        ({"init": "pissa"}, "init"),
        ({"rank_pattern": {"q_proj": 0}}, "rank_pattern gives q_proj rank 0"),
    ],
)
def test_what_does_not_hold_is_refused_by_name(option: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        ModelConfig.parse({"lora": option})
