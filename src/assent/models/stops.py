"""Tokens that end an answer: those of a model, and where plain transformers looks for them."""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PreTrainedModel, PreTrainedTokenizerFast


def stop_tokens(hf: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> tuple[int, ...]:
    """Tokens that end an answer: the tokenizer's EOS and all that the generation config lists, also one that pads."""
    listed = getattr(getattr(hf, "generation_config", None), "eos_token_id", None)
    return tuple(dict.fromkeys([tokenizer.eos_token_id, *_as_list(listed)]))


def write_stop_tokens(hf: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, ends: Sequence[int]) -> None:
    """Write into a model's configs which tokens end an answer and which one pads, as plain transformers reads them."""
    generation = getattr(hf, "generation_config", None)
    if generation is not None:
        generation.eos_token_id = list(ends) if len(ends) > 1 else ends[0]
        generation.pad_token_id = tokenizer.pad_token_id
    for part in (hf.config, hf.config.get_text_config()):
        if not set(_as_list(getattr(part, "eos_token_id", None))) & set(ends):
            part.eos_token_id = tokenizer.eos_token_id


def _as_list(ids: int | Sequence[int] | None) -> list[int]:
    return [] if ids is None else [ids] if isinstance(ids, int) else [int(token) for token in ids]
