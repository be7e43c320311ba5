"""Adapters of others open as plain peft opens them, and those of a run leave as one adapter on the run's own base."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from transformers import AutoModelForCausalLM

from assent.core.errors import ModelError
from assent.models.config import LoraConfig, ModelConfig
from assent.models.join import join_adapters
from assent.models.policy import PolicyModel
from assent.models.tiny import save_tiny, tiny_tokenizer

TEXT = torch.tensor([[5, 17, 200, 31, 8, 90, 3]])
LORA = ModelConfig(lora=LoraConfig(rank=2, alpha=8))


def opened(folder: Path | str) -> PolicyModel:
    return PolicyModel.load(folder, config=ModelConfig(attention="padded"), trainable=False)


def refusal(folder: Path | str) -> str:
    with pytest.raises(ModelError) as caught:
        opened(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def say_base(folder: Path, base: Any) -> None:
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"base_model_name_or_path": base}))


@torch.no_grad()
def make_adapter(base: Path, folder: Path, *, new: tuple[str, ...] = (), tie: bool = False, **settings: Any) -> Path:
    """An adapter by plain peft, on a base grown by the tokens it brings."""
    model = AutoModelForCausalLM.from_pretrained(base)
    tokenizer = tiny_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": list(new)})
    if new:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    wrapped = peft.get_peft_model(
        model, peft.LoraConfig(r=4, task_type="CAUSAL_LM", target_modules=["q_proj"], **settings)
    )
    for name, weight in wrapped.named_parameters():
        if "lora_B" in name or "modules_to_save" in name:
            weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)) * 0.1)
    wrapped.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def llama(tmp_path: Path) -> Path:
    return save_tiny(tmp_path / "llama", "llama")


@torch.no_grad()
def assert_like_peft(folder: Path, *, text: torch.Tensor = TEXT) -> PolicyModel:
    ours = opened(folder)
    plain = peft.AutoPeftModelForCausalLM.from_pretrained(folder)
    torch.testing.assert_close(ours.hf(text).logits, plain(text).logits, atol=1e-4, rtol=1e-4)
    return ours


def test_an_adapter_that_brought_tokens_is_opened_on_a_grown_base(llama: Path, tmp_path: Path) -> None:
    new = ("<|im_start|>", "<|im_end|>")
    folder = make_adapter(llama, tmp_path / "a", new=new, modules_to_save=["embed_tokens", "lm_head"])
    ours = assert_like_peft(folder, text=torch.tensor([[5, 320, 17, 321]]))
    assert ours.hf.get_input_embeddings().num_embeddings == 322
    ours.save(tmp_path / "merged", merged=True)
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    assert torch.equal(again(TEXT).logits, ours.hf(TEXT).logits)


def test_new_tokens_without_rows_of_their_own_are_said_and_mean(
    llama: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = make_adapter(llama, tmp_path / "a")
    tokenizer = tiny_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|tool|>"]})
    tokenizer.save_pretrained(folder)
    rows = opened(folder).hf.get_input_embeddings().weight
    torch.testing.assert_close(rows[320], rows[:320].mean(dim=0))
    assert "<|tool|>" in caplog.text


@pytest.mark.parametrize("modules", [["embed_tokens"], ["lm_head"], ["embed_tokens", "lm_head"]])
def test_embeddings_that_an_adapter_trained_apart_stay_apart_when_saved(modules: list[str], tmp_path: Path) -> None:
    from assent.models.tiny import FAMILIES

    kind, shape = FAMILIES["llama"]
    tokenizer = tiny_tokenizer()
    model = AutoModelForCausalLM.from_config(kind(vocab_size=len(tokenizer), tie_word_embeddings=True, **shape))
    model.save_pretrained(tmp_path / "tied")
    tokenizer.save_pretrained(tmp_path / "tied")
    folder = make_adapter(tmp_path / "tied", tmp_path / "a", modules_to_save=modules)
    ours = assert_like_peft(folder)
    ours.save(tmp_path / "merged", merged=True)
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    assert torch.equal(again(TEXT).logits, ours.hf(TEXT).logits)


@pytest.mark.parametrize("base", ["/home/somebody/models/llama", "../models/llama", "./x", "C:\\models\\llama"])
def test_a_base_elsewhere_is_named_with_what_to_set(base: str, llama: Path, tmp_path: Path) -> None:
    folder = make_adapter(llama, tmp_path / "a")
    say_base(folder, base)
    assert f"the adapter's base {base} is not there; set base_model_name_or_path" in refusal(folder)


@pytest.mark.parametrize("base", ["", None])
def test_an_adapter_without_a_base_says_so(base: str | None, llama: Path, tmp_path: Path) -> None:
    folder = make_adapter(llama, tmp_path / "a")
    say_base(folder, base)
    assert "does not name its base" in refusal(folder)


def test_a_base_may_be_relative_to_the_current_folder_or_to_the_adapter(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_adapter(llama, tmp_path / "deep" / "a")
    monkeypatch.chdir(tmp_path)
    for base in ("llama", "../../llama"):
        say_base(folder, base)
        opened(folder)
    say_base(folder, ".")
    assert "cannot be" in refusal(folder)
    say_base(folder, str(folder))
    assert "names itself" in refusal(folder)


def test_a_hub_id_that_cannot_be_reached_is_said_to_be_the_adapters_base(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    folder = make_adapter(llama, tmp_path / "a")
    say_base(folder, "somebody/nowhere")
    assert "the adapter's base cannot be opened" in refusal(folder)


def test_pickled_or_broken_adapters_are_one_line(llama: Path, tmp_path: Path) -> None:
    folder = make_adapter(llama, tmp_path / "a")
    weights = folder / "adapter_model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    assert "cannot be read" in refusal(folder)
    torch.save({}, folder / "adapter_model.bin")
    weights.unlink()
    assert "save it as safetensors" in refusal(folder)


def test_an_index_of_weights_that_points_nowhere_is_one_line(llama: Path) -> None:
    (llama / "model.safetensors").unlink()
    index = {"metadata": {}, "weight_map": {"lm_head.weight": "../../outside.safetensors"}}
    (llama / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "cannot be loaded" in refusal(llama)
    (llama / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": {}}))
    assert "cannot be loaded" in refusal(llama)


def trained(start: Path, folder: Path, by: float) -> Path:
    policy = PolicyModel.load(start, config=LORA, trainable=True)
    for n, parameter in enumerate(policy.parameters().values()):
        parameter.data.add_(by * (1 + n % 3))
    policy.save(folder / "policy", merged=True)
    policy.save(folder / "adapter")
    return folder


@torch.no_grad()
def test_adapters_one_on_top_of_the_other_are_one_adapter_on_the_first_base(llama: Path, tmp_path: Path) -> None:
    first = trained(llama, tmp_path / "first", 0.01)
    second = trained(first / "policy", tmp_path / "second", -0.02)
    join_adapters([first / "adapter", second / "adapter"], tmp_path / "joined", base=str(llama))
    plain = peft.AutoPeftModelForCausalLM.from_pretrained(tmp_path / "joined")
    merged = AutoModelForCausalLM.from_pretrained(second / "policy")
    torch.testing.assert_close(plain(TEXT).logits, merged(TEXT).logits, atol=1e-4, rtol=1e-4)
    assert plain.peft_config["default"].r == 4
    assert not (first / "adapter" / "README.md").exists(), "peft's empty card"
    start = AutoModelForCausalLM.from_pretrained(llama)
    assert (start(TEXT).logits - merged(TEXT).logits).abs().max() > 1e-2, "the adapters do nothing"


def test_what_is_no_plain_lora_is_not_joined(llama: Path, tmp_path: Path) -> None:
    first = trained(llama, tmp_path / "first", 0.01)
    other = make_adapter(first / "policy", tmp_path / "dora", use_dora=True)
    with pytest.raises(ModelError, match="export the merged model"):
        join_adapters([first / "adapter", other], tmp_path / "joined", base=str(llama))
