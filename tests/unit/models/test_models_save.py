"""Models on disk are plain transformers and PEFT folders that give the same numbers there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import peft
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from assent.core.errors import ModelError
from assent.core.group import Group
from assent.models.config import LoraConfig, ModelConfig
from assent.models.context import read_context
from assent.models.groups import GroupBatch, pack
from assent.models.policy import PolicyModel
from assent.models.scalar import ScalarModel
from assent.models.tiny import FAMILIES, save_tiny, tiny_model, tiny_tokenizer

TEXT = torch.tensor([[5, 17, 200, 31, 8, 90, 3]])
LORA = ModelConfig(lora=LoraConfig(rank=2, alpha=8))
Folder = Callable[[str], Path]


def batch() -> GroupBatch:
    tokens = TEXT[0].numpy()
    return pack([Group(tokens[:3], (tokens[3:], tokens[4:6]))], budget=100)[0]


def train_a_step(model: PolicyModel | ScalarModel) -> None:
    outputs = model.logps(batch()).logps if isinstance(model, PolicyModel) else model.at_last(batch())
    optimizer = torch.optim.SGD(model.parameters().values(), lr=0.5)
    outputs.square().sum().backward()
    optimizer.step()
    optimizer.zero_grad()


def first_lora_factors_moved(model: PolicyModel | ScalarModel) -> None:
    """B starts at zero, so after one step the adapter does something; A moves from the second on."""
    train_a_step(model)
    train_a_step(model)


@pytest.mark.parametrize("family", FAMILIES)
def test_saved_policy_is_bit_equal_in_plain_transformers(family: str, tiny_folder: Folder, tmp_path: Path) -> None:
    policy = PolicyModel.load(tiny_folder(family), config=ModelConfig(), trainable=True)
    train_a_step(policy)
    policy.save(tmp_path)
    plain = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert plain.config._attn_implementation != "assent"
    assert plain.dtype == torch.float32
    state = plain.state_dict()
    for name, weight in policy.hf.state_dict().items():
        assert torch.equal(state[name], weight), name
    native = AutoModelForCausalLM.from_pretrained(tiny_folder(family))
    native.load_state_dict(policy.hf.state_dict())
    assert torch.equal(plain(TEXT).logits, native(TEXT).logits)
    again = PolicyModel.load(tmp_path, config=ModelConfig(), trainable=False)
    assert torch.equal(again.logps(batch()).logps, policy.logps(batch()).logps)
    assert AutoTokenizer.from_pretrained(tmp_path).encode("refund, please") == policy.tokenizer.encode("refund, please")


def test_reward_model_keeps_head_padding_and_normalisation(tiny_folder: Folder, tmp_path: Path) -> None:
    model = ScalarModel.from_policy(tiny_folder("llama"), config=ModelConfig(), seed=5)
    assert (model.score_mean, model.score_std) == (0.0, 1.0)
    train_a_step(model)
    model.score_mean, model.score_std = -0.25, 3.5
    model.save(tmp_path)
    again = ScalarModel.load(tmp_path, config=ModelConfig(), trainable=False)
    assert (again.score_mean, again.score_std) == (-0.25, 3.5)
    assert torch.equal(again.at_last(batch()), model.at_last(batch()))
    assert not again.parameters()
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert plain.config.num_labels == 1
    assert plain.config.pad_token_id == model.tokenizer.pad_token_id != model.tokenizer.eos_token_id
    assert torch.equal(plain.score.weight, model.hf.score.weight)
    with pytest.raises(ValueError, match="positive"):
        model.score_std = 0.0


def test_head_is_drawn_from_its_seed_with_the_stated_deviation(tiny_folder: Folder) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first, same, other = (
        ScalarModel.from_policy(tiny_folder("llama"), config=ModelConfig(), seed=s).hf.score.weight for s in (1, 1, 2)
    )
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    assert first.std().item() == pytest.approx((48 + 1) ** -0.5, rel=0.35)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2"])
def test_lora_policy_reloads_as_adapter_and_merged(family: str, tiny_folder: Folder, tmp_path: Path) -> None:
    start = PolicyModel.load(tiny_folder(family), config=ModelConfig(), trainable=False)
    policy = PolicyModel.load(tiny_folder(family), config=LORA, trainable=True)
    assert all(".lora_" in name for name in policy.parameters())
    assert torch.equal(policy.logps(batch()).logps, start.logps(batch()).logps)
    first_lora_factors_moved(policy)
    moved = policy.logps(batch()).logps
    assert (moved - start.logps(batch()).logps).abs().max() > 1e-3
    with policy.reference():
        assert torch.equal(policy.logps(batch()).logps, start.logps(batch()).logps)
    assert torch.equal(policy.logps(batch()).logps, moved)

    policy.save(tmp_path / "adapter")
    policy.save(tmp_path / "merged", merged=True)
    assert torch.equal(policy.logps(batch()).logps, moved), "saving must not disturb the weights"
    assert not (tmp_path / "adapter" / "model.safetensors").exists()
    for folder in ("adapter", "merged"):
        again = PolicyModel.load(tmp_path / folder, config=ModelConfig(), trainable=False)
        torch.testing.assert_close(again.logps(batch()).logps, moved, atol=1e-4, rtol=0)
    by_peft = peft.AutoPeftModelForCausalLM.from_pretrained(tmp_path / "adapter", attn_implementation="eager")
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", attn_implementation="eager")
    torch.testing.assert_close(plain(TEXT).logits, by_peft(TEXT).logits, atol=1e-4, rtol=0)


def test_lora_reward_head_survives_save_reload_and_merge(tiny_folder: Folder, tmp_path: Path) -> None:
    model = ScalarModel.from_policy(tiny_folder("llama"), config=LORA, seed=2)
    head = model.core.score.weight.detach().clone()
    first_lora_factors_moved(model)
    assert not torch.equal(model.core.score.weight, head), "the head is trained in full"
    scores = model.at_last(batch())
    model.score_mean, model.score_std = 0.5, 2.0
    model.save(tmp_path / "adapter")
    model.save(tmp_path / "merged", merged=True)
    for folder in ("adapter", "merged"):
        again = ScalarModel.load(tmp_path / folder, config=ModelConfig(), trainable=False)
        torch.testing.assert_close(again.at_last(batch()), scores, atol=1e-4, rtol=1e-5)
        assert (again.score_mean, again.score_std) == (0.5, 2.0)
    full, short = TEXT, torch.cat([TEXT[:, :3], TEXT[:, 4:6], torch.full((1, 2), model.tokenizer.pad_token_id)], dim=1)
    rows = torch.cat([full, short])
    for plain in (
        AutoModelForSequenceClassification.from_pretrained(tmp_path / "merged"),
        peft.AutoPeftModelForSequenceClassification.from_pretrained(tmp_path / "adapter", num_labels=1),
    ):
        plain.config.pad_token_id = model.tokenizer.pad_token_id
        mask = (rows != model.tokenizer.pad_token_id).long()
        torch.testing.assert_close(plain(rows, attention_mask=mask).logits[:, 0], scores, atol=1e-4, rtol=1e-5)


def test_second_adapter_starts_from_the_first_and_lies_on_it_bit_for_bit(tiny_folder: Folder, tmp_path: Path) -> None:
    first = PolicyModel.load(tiny_folder("llama"), config=LORA, trainable=True)
    first_lora_factors_moved(first)
    first.save(tmp_path / "first")
    second = PolicyModel.load(tmp_path / "first", config=LORA, trainable=True)
    start = second.logps(batch()).logps.detach()
    torch.testing.assert_close(start, first.logps(batch()).logps, atol=1e-4, rtol=0)
    first_lora_factors_moved(second)
    with second.reference():
        assert torch.equal(second.logps(batch()).logps, start)
    second.save(tmp_path / "second")
    second.save(tmp_path / "merged", merged=True)
    assert not (tmp_path / "second" / "model.safetensors").exists()
    again, merged = (
        PolicyModel.load(tmp_path / name, config=ModelConfig(), trainable=False) for name in ("second", "merged")
    )
    assert all(torch.equal(merged.hf.state_dict()[n], weight) for n, weight in again.hf.state_dict().items())
    torch.testing.assert_close(again.logps(batch()).logps, second.logps(batch()).logps, atol=1e-4, rtol=0)
    assert read_context(tmp_path / "second") == read_context(tiny_folder("llama"))


def test_reward_model_grows_from_an_adapter(tiny_folder: Folder, tmp_path: Path) -> None:
    policy = PolicyModel.load(tiny_folder("llama"), config=LORA, trainable=True)
    first_lora_factors_moved(policy)
    policy.save(tmp_path / "adapter")
    policy.save(tmp_path / "merged", merged=True)
    scores = [
        ScalarModel.from_policy(tmp_path / f, config=ModelConfig(), seed=9).at_last(batch())
        for f in ("adapter", "merged")
    ]
    torch.testing.assert_close(scores[0], scores[1], atol=1e-4, rtol=1e-5)


def test_reference_of_a_full_model_is_refused(tiny_folder: Folder) -> None:
    policy = PolicyModel.load(tiny_folder("llama"), config=ModelConfig(), trainable=True)
    with pytest.raises(ModelError, match="no adapter"), policy.reference():
        pass


def test_padding_token_is_added_with_a_row_nobody_prefers(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    size = len(tokenizer)
    model = tiny_model("gpt2", tokenizer=tokenizer)
    model.save_pretrained(tmp_path / "start")
    tokenizer.save_pretrained(tmp_path / "start")
    config = ModelConfig(pad_token="<|filler|>")
    policy = PolicyModel.load(tmp_path / "start", config=config, trainable=True)
    assert policy.tokenizer.pad_token_id == size
    assert policy.hf.get_input_embeddings().num_embeddings == size + 1
    policy.save(tmp_path / "saved")
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "saved")
    assert plain.config.pad_token_id == size
    assert plain(TEXT).logits.softmax(-1)[..., size].max() <= 1 / size
    reward = ScalarModel.from_policy(tmp_path / "saved", config=ModelConfig(), seed=0)
    assert reward.tokenizer.pad_token == "<|filler|>"
    lora_policy = PolicyModel.load(
        tmp_path / "start", config=config.model_copy(update={"lora": LORA.lora}), trainable=True
    )
    first_lora_factors_moved(lora_policy)
    lora_policy.save(tmp_path / "adapter")
    again = PolicyModel.load(tmp_path / "adapter", config=ModelConfig(), trainable=False)
    torch.testing.assert_close(again.logps(batch()).logps, lora_policy.logps(batch()).logps, atol=1e-4, rtol=0)


def test_dropout_is_off_in_training_mode_too(tmp_path: Path) -> None:
    save_tiny(tmp_path, "gpt2")  # GPT-2's default is 0.1 everywhere
    policy = PolicyModel.load(tmp_path, config=ModelConfig(), trainable=True)
    expected = policy.logps(batch()).logps
    policy.hf.train()
    assert torch.equal(policy.logps(batch()).logps, expected)
    assert policy.hf.config.attn_pdrop == policy.hf.config.resid_pdrop == policy.hf.config.embd_pdrop == 0
