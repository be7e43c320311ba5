"""A model that cannot be used is refused in one line that says what is wrong and what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForMaskedLM, GPTJConfig, GPTJForCausalLM, T5Config, T5ForConditionalGeneration

from assent.core.errors import ModelError
from assent.core.group import Group
from assent.models.config import LoraConfig, ModelConfig
from assent.models.groups import pack
from assent.models.policy import PolicyModel
from assent.models.scalar import ScalarModel
from assent.models.tiny import save_tiny, tiny_model, tiny_tokenizer

Folder = Callable[[str], Path]


def open_policy(folder: Path | str, **settings: Any) -> PolicyModel:
    return PolicyModel.load(folder, config=ModelConfig(**settings), trainable=False)


def refusal(folder: Path | str, **settings: Any) -> str:
    with pytest.raises(ModelError) as caught:
        open_policy(folder, **settings)
    message = str(caught.value)
    assert "\n" not in message
    assert str(folder) in message
    return message


def edit(file: Path, **changes: Any) -> None:
    values = json.loads(file.read_text())
    for key, value in changes.items():
        values.pop(key, None)
        if value is not None:
            values[key] = value
    file.write_text(json.dumps(values))


def save_other(folder: Path, model: Any) -> Path:
    model.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture
def llama(tmp_path: Path) -> Path:
    return save_tiny(tmp_path / "llama", "llama")


def test_nothing_there(tmp_path: Path) -> None:
    assert "no such folder" in refusal(tmp_path / "missing")


def test_encoder(tmp_path: Path) -> None:
    config = BertConfig(
        vocab_size=320, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
    )
    message = refusal(save_other(tmp_path, BertForMaskedLM(config)))
    assert "BertForMaskedLM" in message
    assert "causal language model" in message


def test_encoder_decoder(tmp_path: Path) -> None:
    config = T5Config(vocab_size=320, d_model=32, d_ff=32, d_kv=16, num_layers=1, num_heads=2, decoder_start_token_id=0)
    assert "encoder-decoder" in refusal(save_other(tmp_path, T5ForConditionalGeneration(config)))


def test_tokenizer_missing(llama: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (llama / name).unlink()
    assert "put tokenizer.json" in refusal(llama)


def test_tokenizer_is_not_fast(llama: Path) -> None:
    (llama / "tokenizer.json").unlink()
    (llama / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "CanineTokenizer"}))
    assert "not a fast tokenizer" in refusal(llama)


def test_end_token_missing(llama: Path) -> None:
    edit(llama / "tokenizer_config.json", eos_token=None)
    assert "no EOS token" in refusal(llama)


def test_naming_the_end_token_to_pad_with_is_refused(llama: Path) -> None:
    assert "begins or ends" in refusal(llama, pad_token="<|eos|>")
    assert open_policy(llama, pad_token="<|pad|>").tokenizer.pad_token_id == 0


def test_missing_padding_token_is_chosen_among_the_special_ones(llama: Path) -> None:
    edit(llama / "tokenizer_config.json", pad_token=None)
    policy = open_policy(llama)
    assert policy.tokenizer.pad_token == "<|pad|>"
    assert policy.hf.config.pad_token_id == 0
    assert policy.hf.get_input_embeddings().num_embeddings == 320


def test_tokenizer_of_another_model(llama: Path) -> None:
    tiny_tokenizer(400).save_pretrained(llama)
    message = refusal(llama)
    assert "320" in message
    assert "do not belong together" in message


def test_pickled_weights(llama: Path) -> None:
    torch.save(tiny_model("llama").state_dict(), llama / "pytorch_model.bin")
    (llama / "model.safetensors").unlink()
    assert "save them once as safetensors" in refusal(llama)


def test_broken_weights(llama: Path) -> None:
    weights = llama / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    assert "cannot be loaded" in refusal(llama)


def test_reward_model_is_not_a_policy_nor_the_other_way_round(llama: Path, tmp_path: Path) -> None:
    ScalarModel.from_policy(llama, config=ModelConfig(), seed=0).save(tmp_path / "reward")
    assert "LlamaForSequenceClassification" in refusal(tmp_path / "reward")
    with pytest.raises(ModelError, match="LlamaForCausalLM"):
        ScalarModel.load(llama, config=ModelConfig(), trainable=False)


def test_checkpoint_without_a_head(llama: Path) -> None:
    edit(llama / "config.json", architectures=["LlamaForCausalLM"], num_hidden_layers=3)
    assert "missing" in refusal(llama)


def test_classifier_of_several_labels(llama: Path, tmp_path: Path) -> None:
    model = ScalarModel.from_policy(llama, config=ModelConfig(), seed=0)
    model.hf.score = torch.nn.Linear(48, 3, bias=False)
    model.hf.config.num_labels = 3
    model.save(tmp_path / "three")
    with pytest.raises(ModelError, match="one label"):
        ScalarModel.load(tmp_path / "three", config=ModelConfig(), trainable=False)


def test_code_that_comes_with_a_model_is_not_run_unasked(llama: Path) -> None:
    (llama / "modeling_evil.py").write_text("raise SystemExit('ran')\n")
    edit(llama / "config.json", model_type="evil", auto_map={"AutoConfig": "modeling_evil.Evil"})
    assert "model.trust_remote_code=true" in refusal(llama)


def test_attention_that_cannot_be_told_what_to_see_is_padded_or_refused(tmp_path: Path) -> None:
    config = GPTJConfig(vocab_size=320, n_embd=32, n_layer=1, n_head=2, rotary_dim=8, n_positions=64)
    folder = save_other(tmp_path, GPTJForCausalLM(config))
    policy = open_policy(folder)
    assert policy.mode == "padded"
    assert "do not use the attention interface" in policy.mode_reason
    assert "set model.attention=auto" in refusal(folder, attention="groups")


def test_layer_that_hides_its_window_is_padded(tiny_folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    # Short check rows would not show it: the window is what the config says, the layer does not pass it on.
    from transformers.models.gemma3 import modeling_gemma3

    forward = modeling_gemma3.Gemma3Attention.forward

    def hiding(self: Any, *args: Any, **kwargs: Any) -> Any:
        self.sliding_window = None
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(modeling_gemma3.Gemma3Attention, "forward", hiding)
    monkeypatch.setattr("assent.models.parity._verdicts", {})  # what was found out before is of another model
    policy = open_policy(tiny_folder("gemma3"))
    assert policy.mode == "padded"
    assert "window" in policy.mode_reason


def test_generation_settings_that_could_not_be_saved_are_mended_or_refused_on_loading(llama: Path) -> None:
    edit(llama / "generation_config.json", temperature=0.6, do_sample=False)
    policy = open_policy(llama)
    policy.save(llama.parent / "saved")
    assert policy.hf.generation_config.do_sample
    edit(llama / "generation_config.json", num_return_sequences=4, num_beams=1, do_sample=False, temperature=None)
    assert "num_return_sequences" in refusal(llama)


def test_full_training_in_half_precision_is_refused(llama: Path) -> None:
    with pytest.raises(ModelError, match="set model.dtype=float32"):
        PolicyModel.load(llama, config=ModelConfig(dtype="bfloat16"), trainable=True)
    frozen = open_policy(llama, dtype="bfloat16")
    assert (frozen.hf.dtype, frozen.mode) == (torch.bfloat16, "groups")
    adapted = PolicyModel.load(llama, config=ModelConfig(dtype="bfloat16", lora=LoraConfig(rank=2)), trainable=True)
    assert {p.dtype for p in adapted.parameters().values()} == {torch.float32}
    (batch,) = pack([Group(np.array([5, 6]), (np.array([7, 8]),))], budget=9)
    assert torch.equal(adapted.logps(batch).logps, frozen.logps(batch).logps)
