"""Plain text as tokens, without a chat template: a text and what may come after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from assent.core.errors import DataError, ModelError
from assent.core.group import Group


def plain_group(tokenizer: Any, text: str, options: Sequence[str]) -> Group:
    """A text and the continuations whose tokens are scored after it; an empty text: from the beginning of a text.

    Text and continuation are encoded together, as the model would read them, and parted where their tokens agree with
    those of the text alone: a token over the border belongs to the continuation, and then the whole group begins
    before it. Special tokens that stand in the text are letters. Raises DataError for an empty continuation.
    """
    start = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    if start is None:
        raise ModelError("the tokenizer has neither bos_token nor eos_token to begin plain text with; set one")
    if not options or any(not one for one in options):
        raise DataError("a continuation without any text has no likelihood; leave it out")
    before = _ids(tokenizer, text)
    both = [_ids(tokenizer, text + one) for one in options]
    shared = min(_common(before, one) for one in both)
    prompt = np.array([start, *before[:shared]], dtype=np.int64)
    return Group(prompt, tuple(np.array(one[shared:], dtype=np.int64) for one in both))


def _common(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens both begin with; the second keeps one at least."""
    number = 0
    while number < min(len(first), len(second) - 1) and first[number] == second[number]:
        number += 1
    return number


def _ids(tokenizer: Any, text: str) -> list[int]:
    if not text:
        return []
    found = tokenizer(text, add_special_tokens=False, split_special_tokens=True, verbose=False)["input_ids"]
    return list(found)
