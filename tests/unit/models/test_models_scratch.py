"""A tokenizer and a model from nothing but texts and a seed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoTokenizer

from assent.core.errors import ModelError
from assent.models.byte_pairs import train_tokenizer
from assent.models.config import ModelConfig, ScratchConfig
from assent.models.policy import PolicyModel
from assent.models.scratch import new_model

TEXTS = ["the refund is on its way", "the parcel is late", "où est mon colis ?"] * 3
TOKENIZER = train_tokenizer(TEXTS, vocab_size=300, special_tokens=["<|user|>"], context=64)
SHAPE = ScratchConfig(hidden=32, layers=2, heads=4, kv_heads=2, context=64)


def test_same_texts_give_the_same_tokenizer_and_special_tokens_are_distinct() -> None:
    again = train_tokenizer(iter(TEXTS), vocab_size=300, special_tokens=["<|user|>"], context=64)
    assert again.get_vocab() == TOKENIZER.get_vocab()
    assert (TOKENIZER.pad_token_id, TOKENIZER.bos_token_id, TOKENIZER.eos_token_id) == (0, 1, 2)
    assert TOKENIZER.encode("<|user|>") == [3]
    assert len(TOKENIZER) == 300
    assert TOKENIZER.model_max_length == 64


@settings(max_examples=50, deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_every_text_survives_encoding(text: str) -> None:
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text


def test_vocabulary_without_room_for_all_bytes_is_refused() -> None:
    with pytest.raises(ModelError, match="vocab_size=200"):
        train_tokenizer(TEXTS, vocab_size=200)


def test_weights_hang_on_the_seed_alone_and_global_randomness_is_untouched() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first = new_model(TOKENIZER, SHAPE, seed=1).state_dict()
    torch.rand(5)
    same, other = new_model(TOKENIZER, SHAPE, seed=1).state_dict(), new_model(TOKENIZER, SHAPE, seed=2).state_dict()
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["model.embed_tokens.weight"], other["model.embed_tokens.weight"])
    torch.set_rng_state(before)
    new_model(TOKENIZER, SHAPE, seed=3)
    assert torch.equal(torch.get_rng_state(), before)


def test_number_of_weights_is_the_one_of_the_shape() -> None:
    # Embedding 300 · 32; per layer q and o 32 · 32, k and v 32 · 16, three 32 · 96 (8/3 of 32, rounded up), two norms.
    per_layer = 2 * 32 * 32 + 2 * 32 * 16 + 3 * 32 * 96 + 2 * 32
    assert new_model(TOKENIZER, SHAPE, seed=0).num_parameters() == 300 * 32 + 2 * per_layer + 32
    untied = new_model(TOKENIZER, SHAPE.model_copy(update={"tie_embeddings": False}), seed=0)
    assert untied.num_parameters() == 2 * 300 * 32 + 2 * per_layer + 32


def test_saved_scratch_model_opens_in_plain_transformers_and_here(tmp_path: Path) -> None:
    model = new_model(TOKENIZER, SHAPE, seed=0)
    model.save_pretrained(tmp_path)
    TOKENIZER.save_pretrained(tmp_path)
    plain = AutoModelForCausalLM.from_pretrained(tmp_path)
    ids = AutoTokenizer.from_pretrained(tmp_path)("the parcel", return_tensors="pt").input_ids
    assert torch.equal(plain(ids).logits, model(ids).logits)
    policy = PolicyModel.load(tmp_path, config=ModelConfig(attention="groups"), trainable=True)
    assert (policy.num_parameters, policy.max_length, policy.eos_ids) == (model.num_parameters(), 64, (2,))


def test_shapes_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="multiple of"):
        ScratchConfig(hidden=100, heads=3)
    with pytest.raises(ValueError, match="kv_heads"):
        ScratchConfig(hidden=64, heads=4, kv_heads=3)
