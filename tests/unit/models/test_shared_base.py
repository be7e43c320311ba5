"""Models that stand on the base of one policy: what is in memory once, what each may change, and their numbers."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, GraniteConfig

from assent.algorithms.objective import loss_of
from assent.core.errors import ModelError
from assent.core.group import Group
from assent.learner.config import OptimizerConfig
from assent.models import shared_base
from assent.models.config import LoraConfig, ModelConfig
from assent.models.groups import GroupBatch, pack
from assent.models.policy import PolicyModel
from assent.models.scalar import ScalarModel
from assent.models.tiny import tiny_tokenizer
from assent.pipeline.learners import policy_learner, value_learner

Folder = Callable[[str], Path]
CONFIG = ModelConfig(lora=LoraConfig(rank=4, alpha=8))
TEXT = [1, 5, 17, 9, 31, 8]
FAST = OptimizerConfig(learning_rate=1e-2, schedule="constant", warmup=0.0)


def batch() -> GroupBatch:
    return packed(([1, 5, 17], [[9, 31, 8], [40, 2]]), ([1, 7], [[3, 4, 6, 2]]))


def packed(*groups: tuple[list[int], list[list[int]]]) -> GroupBatch:
    asked = [Group(np.array(prompt), tuple(np.array(one) for one in answers)) for prompt, answers in groups]
    return pack(asked, budget=512)[0]


def headless(folder: Path) -> Path:
    """A model that transformers has no sequence classifier of."""
    tokenizer = tiny_tokenizer()
    config = GraniteConfig(
        vocab_size=len(tokenizer), pad_token_id=0, bos_token_id=1, eos_token_id=2, hidden_size=32,
        intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=128,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        AutoModelForCausalLM.from_config(config).save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
    return folder


def trained_reward(base: Path, folder: Path, *criteria: str) -> ScalarModel:
    """A reward model moved away from its start, saved as an adapter and merged."""
    model = ScalarModel.from_policy(base, config=CONFIG, seed=2, also=criteria)
    draw = torch.Generator().manual_seed(1)
    for parameter in model.parameters().values():
        parameter.data.add_(0.05 * torch.randn(parameter.shape, generator=draw))
    model.score_mean, model.score_std, model.trained_length = 0.25, 2.0, 77
    model.save(folder / "adapter")
    model.save(folder / "merged", merged=True)
    return model


def storages(models: Iterable[PolicyModel | ScalarModel]) -> dict[int, int]:
    """Address -> bytes of all the memory that weights lie in."""
    found = (p.untyped_storage() for m in models for p in m.hf.parameters())
    return {one.data_ptr(): one.nbytes() for one in found}


def copies(weights: Iterable[Tensor]) -> list[Tensor]:
    return [one.detach().clone() for one in weights]


@pytest.mark.parametrize("family", ["llama", "gpt2", "granite"])
def test_scores_are_those_of_the_models_apart(family: str, tiny_folder: Folder, tmp_path: Path) -> None:
    base = headless(tmp_path / "base") if family == "granite" else tiny_folder(family)
    apart = trained_reward(base, tmp_path)
    policy = PolicyModel.load(base, config=CONFIG, trainable=True)
    alone = PolicyModel.load(base, config=CONFIG, trainable=True)
    reward = shared_base.reward_on(policy, tmp_path / "adapter", config=CONFIG)
    assert torch.equal(reward.at_last(batch()), apart.at_last(batch())), "the same adapter on a copy of the base"
    assert (reward.score_mean, reward.score_std, reward.trained_length) == (0.25, 2.0, 77)
    assert not reward.parameters()

    value = shared_base.value_from_reward(reward, config=CONFIG)
    merged = ScalarModel.load(tmp_path / "merged", config=CONFIG, trainable=True)
    fresh, fresh_alone = (
        shared_base.value_on(policy, base, config=CONFIG, seed=3),
        ScalarModel.from_policy(base, config=CONFIG, seed=3),
    )
    torch.testing.assert_close(value.at_scored(batch()), merged.at_scored(batch()), atol=1e-5, rtol=1e-5)
    assert torch.equal(fresh.at_scored(batch()), fresh_alone.at_scored(batch()))
    for ours, theirs in ((value, merged), (fresh, fresh_alone)):
        assert ours.parameters().keys() == theirs.parameters().keys(), "a checkpoint of one is one of the other"
        assert all(torch.equal(p, theirs.parameters()[n]) for n, p in ours.parameters().items())
    assert torch.equal(policy.logps(batch()).logps, alone.logps(batch()).logps)


def test_heads_of_criteria_come_along(tiny_folder: Folder, tmp_path: Path) -> None:
    base = tiny_folder("llama")
    apart = ScalarModel.from_policy(base, config=CONFIG, seed=2, also=("clear", "kind"))
    assert apart.core.config.num_labels == 3
    apart.save(tmp_path / "adapter")
    policy = PolicyModel.load(base, config=CONFIG, trainable=True)
    reward = shared_base.reward_on(policy, tmp_path / "adapter", config=CONFIG)
    assert reward.core.config.num_labels == 3 and reward.criteria == apart.criteria
    for ours, theirs in zip(reward.at_last_with_criteria(batch()), apart.at_last_with_criteria(batch()), strict=True):
        assert torch.equal(ours, theirs)


@torch.no_grad()
def test_scores_are_those_that_plain_peft_gives(tiny_folder: Folder, tmp_path: Path) -> None:
    base = tiny_folder("llama")
    trained_reward(base, tmp_path)
    policy = PolicyModel.load(base, config=CONFIG, trainable=True)
    reward = shared_base.reward_on(policy, tmp_path / "adapter", config=CONFIG)
    plain: Any = AutoModelForSequenceClassification.from_pretrained(base, num_labels=1)
    plain = peft.PeftModel.from_pretrained(plain, str(tmp_path / "adapter"))
    plain.config.pad_token_id = 0
    wanted = plain(torch.tensor([TEXT])).logits[0]
    found = reward.at_last(packed((TEXT[:2], [TEXT[2:]])))
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("criteria", [("honest",), ("honest", "harmless")])
def test_a_reward_model_with_heads_of_criteria_keeps_them_on_the_base(
    criteria: tuple[str, ...], tiny_folder: Folder, tmp_path: Path
) -> None:
    base = tiny_folder("llama")
    apart = trained_reward(base, tmp_path, *criteria)
    policy = PolicyModel.load(base, config=CONFIG, trainable=True)
    reward = shared_base.reward_on(policy, tmp_path / "adapter", config=CONFIG)
    assert reward.criteria == apart.criteria and len(reward.criteria) == len(criteria)
    assert torch.equal(reward.at_last(batch()), apart.at_last(batch()))
    assert torch.equal(reward.core.score.weight, apart.core.score.weight)


def test_the_base_is_in_memory_once(tiny_folder: Folder, tmp_path: Path) -> None:
    base = tiny_folder("llama")
    apart = trained_reward(base, tmp_path)
    policy = PolicyModel.load(base, config=CONFIG, trainable=True)
    reward = shared_base.reward_on(policy, tmp_path / "adapter", config=CONFIG)
    value = shared_base.value_from_reward(reward, config=CONFIG)
    frozen = {p.data_ptr() for p in policy.hf.parameters() if not p.requires_grad}
    body = {n: p for n, p in value.core.model.named_parameters() if ".lora_" not in n}
    assert len(body) > 10 and all(p.data_ptr() in frozen for p in body.values())

    def bytes_of(parts: Iterable[nn.Parameter]) -> int:
        return sum(p.numel() * p.element_size() for p in parts)

    whole = bytes_of(PolicyModel.load(base, config=ModelConfig(), trainable=False).hf.parameters())
    own = [bytes_of(m.parameters().values()) for m in (policy, apart, value)]
    head = bytes_of([reward.core.score.weight])
    assert sum(storages([policy, reward, value]).values()) == whole + sum(own)
    assert own[0] + head == own[1] == own[2], "an adapter each, and a head for those that score"


def squares(values: Tensor, batch: GroupBatch) -> Any:
    return loss_of((values - 1.0) ** 2, metrics={})


def test_each_model_trains_its_own_weights_and_moves_no_other(tiny_folder: Folder, tmp_path: Path) -> None:
    base = tiny_folder("llama")
    trained_reward(base, tmp_path)
    policy = PolicyModel.load(base, config=CONFIG, trainable=True)
    reward = shared_base.reward_on(policy, tmp_path / "adapter", config=CONFIG)
    value = shared_base.value_from_reward(reward, config=CONFIG)
    said = [policy.logps(batch()).logps, reward.at_last(batch()), value.at_scored(batch())]
    frozen = copies(p for p in policy.hf.parameters() if not p.requires_grad)

    learner = value_learner(value, FAST)
    learner.forward_backward([batch()], squares, weight=1.0)
    learner.step(learning_rate=1e-2)
    assert torch.equal(policy.logps(batch()).logps, said[0])
    assert torch.equal(reward.at_last(batch()), said[1])
    moved = value.at_scored(batch())
    assert (moved - said[2]).abs().max() > 1e-3

    mover = policy_learner(policy, FAST)
    mover.forward_backward([batch()], lambda scores, _: loss_of(-scores.logps, metrics={}), weight=1.0)
    mover.step(learning_rate=1e-2)
    assert (policy.logps(batch()).logps - said[0]).abs().max() > 1e-3
    assert torch.equal(value.at_scored(batch()), moved) and torch.equal(reward.at_last(batch()), said[1])
    with policy.reference():
        assert torch.equal(policy.logps(batch()).logps, said[0])
    still = [p for p in policy.hf.parameters() if not p.requires_grad]
    assert all(torch.equal(a, b) for a, b in zip(still, frozen, strict=True))

    kept = {name.partition("/")[2] for name in learner.tensors()}
    assert kept == set(value.parameters())
    assert all(".default." in name and (".lora_" in name or ".score." in name) for name in kept)


def test_what_does_not_fit_is_refused_in_a_line(tiny_folder: Folder, tmp_path: Path) -> None:
    base = tiny_folder("llama")
    trained_reward(base, tmp_path)
    full = PolicyModel.load(base, config=ModelConfig(), trainable=True)
    with pytest.raises(ModelError, match=r"all weights of the policy are trained.*set model\.lora"):
        shared_base.reward_on(full, tmp_path / "adapter", config=ModelConfig())
    policy = PolicyModel.load(base, config=CONFIG, trainable=True)
    table = policy.core.get_input_embeddings().weight
    before, broken = table.detach().clone(), shutil.copytree(tmp_path / "adapter", tmp_path / "more")
    weights = load_file(broken / "adapter_model.safetensors")
    weights["base_model.model.model.embed_tokens.weight"] = torch.zeros_like(table)
    save_file(weights, broken / "adapter_model.safetensors")
    with pytest.raises(ModelError, match=r"brings weights of its own.*embed_tokens") as caught:
        shared_base.reward_on(policy, broken, config=CONFIG)
    assert "\n" not in str(caught.value)
    assert torch.equal(table, before)
