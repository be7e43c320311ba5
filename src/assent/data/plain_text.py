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
    before it. Before the text stands what the tokenizer lays there by itself, which may be nothing; only where nothing
    would stand before the continuation does it begin after the tokenizer's beginning, or else its end, of text. Special
    tokens that stand in the text are letters. Raises DataError for an empty continuation.
    """
    if not options or any(not one for one in options):
        raise DataError("a continuation without any text has no likelihood; leave it out")
    before = _ids(tokenizer, text)
    both = [_ids(tokenizer, text + one) for one in options]
    shared = min(_common(before, one) for one in both)
    prompt = [*_laid_before(tokenizer, both[0], text + options[0]), *before[:shared]] or [_start(tokenizer)]
    return Group(np.array(prompt, dtype=np.int64), tuple(np.array(one[shared:], dtype=np.int64) for one in both))


def _laid_before(tokenizer: Any, ids: list[int], text: str) -> list[int]:
    """The special tokens that the tokenizer puts before a text of these ids when it is asked for the text alone."""
    whole = _ids(tokenizer, text, add_special_tokens=True)
    places = range(len(whole) - len(ids) + 1)
    return next((whole[:place] for place in places if whole[place : place + len(ids)] == ids), [])


def _start(tokenizer: Any) -> int:
    start = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    if start is None:
        raise ModelError("the tokenizer has neither bos_token nor eos_token to begin plain text with; set one")
    return int(start)


def _common(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens both begin with; the second keeps one at least."""
    number = 0
    while number < min(len(first), len(second) - 1) and first[number] == second[number]:
        number += 1
    return number


def _ids(tokenizer: Any, text: str, *, add_special_tokens: bool = False) -> list[int]:
    if not text:
        return []
    found = tokenizer(text, add_special_tokens=add_special_tokens, split_special_tokens=True, verbose=False)
    return list(found["input_ids"])
