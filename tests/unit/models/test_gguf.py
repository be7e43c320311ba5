"""GGUF files as models: a tiny llama is written as llama.cpp would, and opened through the door of every base."""

from __future__ import annotations

import importlib.util
import json
import struct
from dataclasses import replace
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerFast

from assent.artifacts.outside import known, missing, outside
from assent.core.errors import ModelError
from assent.models.config import ModelConfig
from assent.models.context import read_context
from assent.models.gguf import GGUF
from assent.models.gguf_header import read_header
from assent.models.load import context_window, open_causal_lm
from assent.models.policy import PolicyModel
from assent.models.shape import read_shape
from assent.models.tiny import CONTEXT, save_tiny, tiny_model, tiny_tokenizer
from assent.models.tokenizer import load_tokenizer
from assent.pipeline.config import PretrainedBase

TEMPLATE = "{% for m in messages %}[{{ m.role }}] {{ m.content }}<|eos|>{% endfor %}"
BLOCKS = {"q_proj": "attn_q", "k_proj": "attn_k", "v_proj": "attn_v", "o_proj": "attn_output"}
BLOCKS |= {"gate_proj": "ffn_gate", "up_proj": "ffn_up", "down_proj": "ffn_down"}
NORMS = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
ENDS = {"embed_tokens": "token_embd", "norm": "output_norm", "lm_head": "output"}


def interleaved(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows of a rotary projection in llama.cpp's order: pairs side by side, where transformers has halves."""
    rows, columns = weight.shape
    half = rows // heads // 2
    return weight.reshape(heads, 2, half, columns).swapaxes(1, 2).reshape(rows, columns)


def write_gguf(
    path: Path,
    *,
    kind: gguf.GGMLQuantizationType = gguf.GGMLQuantizationType.F32,
    pre: str = "gpt-2",
    template: str | None = TEMPLATE,
) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Write a tiny llama; gives the model and the tokenizer that it was made of."""
    path.parent.mkdir(exist_ok=True)
    tokenizer = tiny_tokenizer()
    model = tiny_model("llama", tokenizer=tokenizer)
    shape = model.config
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(shape.hidden_size)
    writer.add_block_count(shape.num_hidden_layers)
    writer.add_feed_forward_length(shape.intermediate_size)
    writer.add_head_count(shape.num_attention_heads)
    writer.add_head_count_kv(shape.num_key_value_heads)
    writer.add_layer_norm_rms_eps(shape.rms_norm_eps)
    writer.add_rope_freq_base(shape.rope_parameters["rope_theta"])
    writer.add_rope_dimension_count(shape.hidden_size // shape.num_attention_heads)
    writer.add_vocab_size(len(tokenizer))
    core = json.loads(tokenizer.backend_tokenizer.to_str())
    words = [token for token, _ in sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])]
    special = {one["content"] for one in core["added_tokens"]}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(words)
    writer.add_token_merges([" ".join(pair) for pair in core["model"]["merges"]])
    writer.add_token_types([gguf.TokenType.CONTROL if word in special else gguf.TokenType.NORMAL for word in words])
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_pad_token_id(tokenizer.pad_token_id)
    if template is not None:
        writer.add_chat_template(template)
    for name, tensor in model.state_dict().items():
        *_, last, _ = name.split(".")
        weight = tensor.numpy()
        if last in ("q_proj", "k_proj"):
            weight = interleaved(weight, shape.num_attention_heads if last == "q_proj" else shape.num_key_value_heads)
        layer = name.split(".")[2] if ".layers." in name else None
        block = f"blk.{layer}.{(BLOCKS | NORMS)[last]}.weight" if layer else f"{ENDS[last]}.weight"
        is_matrix = weight.ndim == 2 and weight.shape[-1] % 32 == 0
        if kind != gguf.GGMLQuantizationType.F32 and is_matrix:
            writer.add_tensor(block, gguf.quants.quantize(weight, kind), raw_dtype=kind)
        else:
            writer.add_tensor(block, weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return model, tokenizer


def logits_of(model: torch.nn.Module, tokens: list[int]) -> torch.Tensor:
    with torch.no_grad():
        return torch.as_tensor(model(torch.tensor([tokens])).logits)


def test_a_gguf_file_is_the_model_it_was_written_from_and_is_saved_as_a_plain_folder(tmp_path: Path) -> None:
    written, words = write_gguf(tmp_path / "tiny.gguf")
    tokens = words("I would like my money back", add_special_tokens=False)["input_ids"]
    for path in (tmp_path / "tiny.gguf", tmp_path):  # the file, and the folder that holds only it
        opened = open_causal_lm(path, ModelConfig())
        assert opened.own_type == "float32" and context_window(opened.hf) == CONTEXT == read_context(path)
        torch.testing.assert_close(logits_of(opened.hf, tokens), logits_of(written, tokens), atol=1e-5, rtol=1e-5)
    PolicyModel.load(tmp_path, config=ModelConfig(), trainable=False).save(tmp_path / "plain")
    again = AutoModelForCausalLM.from_pretrained(str(tmp_path / "plain"))
    assert "quantization_config" not in json.loads((tmp_path / "plain" / "config.json").read_text())
    torch.testing.assert_close(logits_of(again, tokens), logits_of(written, tokens), atol=1e-5, rtol=1e-5)
    plain = AutoTokenizer.from_pretrained(str(tmp_path / "plain"))
    assert plain.chat_template == TEMPLATE and plain.eos_token_id == words.eos_token_id
    assert again.generation_config.eos_token_id in (words.eos_token_id, [words.eos_token_id])
    assert plain("Parcel 12, too late!")["input_ids"] == words("Parcel 12, too late!")["input_ids"]


def test_quantized_weights_are_unpacked_to_what_their_blocks_say(tmp_path: Path) -> None:
    kind = gguf.GGMLQuantizationType.Q8_0
    written, _ = write_gguf(tmp_path / "q8.gguf", kind=kind)
    opened = open_causal_lm(tmp_path / "q8.gguf", ModelConfig())
    weight = written.state_dict()["model.layers.1.mlp.down_proj.weight"].numpy()  # [48, 64]: two blocks a row
    steps = np.abs(weight.reshape(48, 2, 32)).max(axis=2, keepdims=True).repeat(32, axis=2).reshape(48, 64) / 127
    found = opened.hf.state_dict()["model.layers.1.mlp.down_proj.weight"].numpy()
    assert np.abs(found - weight).max() > 0, "it was quantized"
    assert (np.abs(found - weight) <= 0.51 * steps + 1e-3 * np.abs(weight)).all(), "within half a step of its block"
    assert opened.own_type == "float32", "quantized weights have no type of their own: that of the loading"
    assert GGUF(tmp_path / "q8.gguf").own_type is None and "Q8_0" in GGUF(tmp_path / "q8.gguf").types


def test_a_tokenizer_is_held_to_the_file_and_what_it_lacks_is_said(tmp_path: Path) -> None:
    _, words = write_gguf(tmp_path / "bare.gguf", template=None, pre="no-such-rule")
    tokenizer = load_tokenizer(tmp_path / "bare.gguf")
    said = " ".join(GGUF(tmp_path / "bare.gguf").told(tokenizer))
    assert "no chat template" in said and "'no-such-rule'" in said and "do not come back" not in said
    assert [tokenizer.bos_token_id, tokenizer.eos_token_id] == [words.bos_token_id, words.eos_token_id]
    other = tiny_tokenizer(300)
    with pytest.raises(ModelError, match=r"bare\.gguf: the tokenizer made of it is not the file's \(\d+ of 320 tokens"):
        GGUF(tmp_path / "bare.gguf").told(other)


def test_a_rule_that_parts_digits_is_followed(tmp_path: Path) -> None:
    write_gguf(tmp_path / "digits.gguf", pre="smollm")
    tokenizer = load_tokenizer(tmp_path / "digits.gguf")
    assert tokenizer.tokenize("in 2024") == [*tokenizer.tokenize("in "), "2", "0", "2", "4"]


def test_a_folder_with_several_files_is_refused_with_their_names(tmp_path: Path) -> None:
    for name in ("a.gguf", "b.gguf"):
        (tmp_path / name).write_bytes(b"GGUF")
    with pytest.raises(ModelError, match=r"holds 2 GGUF files \(a\.gguf, b\.gguf\); name one of them"):
        open_causal_lm(tmp_path, ModelConfig())


def test_safetensors_beside_a_gguf_file_come_first(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path, "qwen2")
    (folder / "other.gguf").write_bytes(b"not read")
    assert GGUF.at(folder) is None
    assert open_causal_lm(folder, ModelConfig()).hf.config.model_type == "qwen2"


def test_what_is_no_gguf_file_is_an_error_of_one_line(tmp_path: Path) -> None:
    (tmp_path / "cut.gguf").write_bytes(b"GGUF\x03\x00\x00")
    with pytest.raises(ModelError, match=r"cut\.gguf: .*") as error:
        open_causal_lm(tmp_path / "cut.gguf", ModelConfig())
    assert "\n" not in str(error.value)


def test_the_header_is_what_the_package_reads(tmp_path: Path) -> None:
    write_gguf(tmp_path / "q8.gguf", kind=gguf.GGMLQuantizationType.Q8_0)
    reader, header = gguf.GGUFReader(str(tmp_path / "q8.gguf")), read_header(tmp_path / "q8.gguf")
    said = {name: field.contents() for name, field in reader.fields.items() if not name.startswith("GGUF.")}
    assert header.metadata == said and len(said["tokenizer.ggml.tokens"]) == 320
    found = {one.name: (tuple(map(int, one.shape)), int(one.tensor_type)) for one in reader.tensors}
    assert {name: tuple(one) for name, one in header.tensors.items()} == found and len(found) > 10


def test_the_shape_of_a_file_is_that_of_its_model(tmp_path: Path) -> None:
    written, _ = write_gguf(tmp_path / "gguf" / "q8.gguf", kind=gguf.GGMLQuantizationType.Q8_0)
    written.save_pretrained(str(tmp_path / "plain"))
    for path in (tmp_path / "gguf", tmp_path / "gguf" / "q8.gguf"):
        assert read_shape(path) == replace(read_shape(tmp_path / "plain"), context=CONTEXT)


def test_a_file_that_ends_anywhere_in_its_header_is_an_error_of_one_line(tmp_path: Path) -> None:
    write_gguf(tmp_path / "whole.gguf")
    whole, cut = (tmp_path / "whole.gguf").read_bytes(), tmp_path / "cut.gguf"
    ends = gguf.GGUFReader(str(tmp_path / "whole.gguf")).data_offset - 40
    for length in [0, 3, 4, 8, 15, *range(24, ends, ends // 60)]:
        cut.write_bytes(whole[:length])
        with pytest.raises(ModelError, match=r"cut\.gguf: it cannot be read as GGUF \(.*\); fetch it again") as error:
            read_header(cut)
        assert "\n" not in str(error.value)
    for damaged in (b"GGUF" + struct.pack("<IQQ", 3, 0, 2**62), b"GGUF" + struct.pack("<IQQ", 3, 2**62, 0)):
        cut.write_bytes(damaged + struct.pack("<Q", 2**63) + whole[24:90])
        with pytest.raises(ModelError, match=r"cannot be read as GGUF"):
            read_header(cut)


def test_a_missing_package_is_named_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_gguf(tmp_path / "tiny.gguf")
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "gguf" else found(name, *a))
    with pytest.raises(ModelError, match=r"pip install 'assent\[gguf\]'"):
        load_tokenizer(tmp_path / "tiny.gguf")


def test_the_content_of_the_file_is_in_the_key_and_a_missing_one_is_said(tmp_path: Path) -> None:
    file = tmp_path / "m.gguf"
    file.write_bytes(b"GGUF one")
    base = PretrainedBase(path=str(file))
    before = known(base).content
    file.write_bytes(b"GGUF two")
    assert before and known(base).content != before
    (moved := tmp_path / "elsewhere").mkdir()
    (moved / "n.gguf").write_bytes(b"GGUF two")
    assert known(PretrainedBase(path=str(moved / "n.gguf"))).content == known(base).content, "wherever it lies"
    assert [missing(one) for one in outside(PretrainedBase(path="no/such.gguf"))] == ["no/such.gguf: no such file"]
