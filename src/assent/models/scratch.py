"""A tokenizer and a small model from nothing but texts and a seed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from assent.core import seeds
from assent.core.errors import ModelError
from assent.models.config import ScratchConfig
from assent.models.tokenizer import PAD

BOS, EOS = "<|bos|>", "<|eos|>"


def train_tokenizer(
    texts: Iterable[str], *, vocab_size: int, special_tokens: Sequence[str] = (), context: int = 1024
) -> PreTrainedTokenizerFast:
    """Train byte-level BPE. Any text can be encoded and decodes to itself; padding, BOS and EOS are distinct tokens.

    `special_tokens` are further tokens that are never split, such as the role marks of a chat template. The same texts
    in the same order give the same tokenizer. Raises ModelError where `vocab_size` has no room for all bytes.
    """
    special = [PAD, BOS, EOS, *special_tokens]
    if vocab_size < 256 + len(special):
        raise ModelError(
            f"vocab_size={vocab_size} has no room for 256 bytes and {len(special)} special tokens; raise it"
        )
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=special,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    core.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        additional_special_tokens=list(special_tokens),
        model_max_length=context,
        clean_up_tokenization_spaces=False,
    )


def new_model(tokenizer: PreTrainedTokenizerFast, shape: ScratchConfig, *, seed: int) -> LlamaForCausalLM:
    """A decoder with random weights from the seed; torch's global generator is left as it was."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=shape.hidden,
        intermediate_size=shape.ffn_width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads or shape.heads,
        max_position_embeddings=shape.context,
        tie_word_embeddings=shape.tie_embeddings,
        # Small init (Nguyen & Salazar 2019, section 2.2). The usual 0.02 is for wide models: a narrow one that starts
        # with it is so flat that it hardly learns to attend, and does not come to copy words within a short run.
        initializer_range=(2 / (5 * shape.hidden)) ** 0.5,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.derive(seed, "new model"))
        return LlamaForCausalLM(config).eval()
