"""A tokenizer from nothing but texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from assent.core.errors import ModelError
from assent.core.shown import turns_shown
from assent.core.types import Conversation
from assent.models.tokenizer import PAD

BOS, EOS = "<|bos|>", "<|eos|>"


def words_of(conversation: Conversation) -> list[str]:
    """What a tokenizer learns of a conversation: its words with the role names that the plain template writes."""
    return [f"{one.role.capitalize()}: {one.text}\n\n" for one in turns_shown(conversation.messages)]


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
