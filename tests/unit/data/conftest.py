"""Tiny tokenizers in the style of well-known families, and the place of public data, for the tests of data."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

SPECIAL = ["<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|start|>", "<|stop|>", "<|eot|>"]
CORPUS = [
    "Hello there, how are you today? I am very well, thank you.",
    "Where is my order? It was sent on Monday and will arrive soon.",
    "user assistant system model The answer is simple: no. Yes! [INST] [/INST]",
] * 3


@pytest.fixture(scope="session")
def byte_level() -> PreTrainedTokenizerFast:
    """A byte-level BPE like GPT-2's or Llama 3's, without a beginning-of-text token of its own accord."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    core.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(vocab_size=420, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False),
    )
    return PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<s>", eos_token="</s>")


@pytest.fixture(scope="session")
def metaspace() -> PreTrainedTokenizerFast:
    """A BPE like Llama 2's: a space is laid before the first word, and a beginning-of-text token before all."""
    core = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
    core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    core.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    size = [*SPECIAL, "<unk>", *(f"<0x{byte:02X}>" for byte in range(256))]
    core.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=460, special_tokens=size, show_progress=False))
    core.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    fast = PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    assert fast("a")["input_ids"][0] == fast.bos_token_id
    return fast


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """Path of a public data set, or a skip that says where it was looked for."""
    folder = Path(os.environ.get("ASSENT_DATA", Path(__file__).parents[4] / "shared" / "data"))

    def find(name: str) -> Path:
        path = folder / name
        if not path.exists():
            pytest.skip(f"public data set {name} is not in {folder}; set ASSENT_DATA to its folder")
        return path

    return find
