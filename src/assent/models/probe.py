"""Random rows that show how a model mixes tokens: long and short, alone and with siblings, in one batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedModel

from assent.core import seeds
from assent.core.group import Group
from assent.models.groups import GroupBatch, pack
from assent.models.load import context_window

SHORT = 32
"""Longest row that a model of any size is asked about."""


def short_groups(hf: PreTrainedModel) -> GroupBatch:
    """A prompt with three answers, two of them of one length, and a prompt with one: at most `SHORT` tokens a row."""
    longest = min(SHORT, context_window(hf))
    half, sixth = 3 * longest // 8, max(1, longest // 6)
    return _batch(hf, [(half, (longest - half, longest - half, sixth)), (sixth, (longest - sixth,))])


def long_groups(hf: PreTrainedModel, *, context: int) -> GroupBatch:
    """Rows of one to 70 tokens, cut to the context."""
    shapes = [(40, (20, 1, 30)), (3, (5,)), (22, (11,)), (2, (1, 60))]
    return _batch(hf, [_cut(prompt, answers, context) for prompt, answers in shapes])


def random_tokens(hf: PreTrainedModel, length: int, *, name: str) -> NDArray[np.int64]:
    """Tokens that are neither padding nor the beginning of a text, equal at each call with this name."""
    settings = hf.config.get_text_config()
    special = {getattr(settings, f"{kind}_token_id", None) for kind in ("pad", "bos")}
    words = np.array([t for t in range(min(settings.vocab_size, 4096)) if t not in special], dtype=np.int64)
    return seeds.stream(0, "probe", name).choice(words, size=length)


def _cut(prompt: int, answers: Sequence[int], context: int) -> tuple[int, tuple[int, ...]]:
    prompt = min(prompt, max(1, context // 2))
    return prompt, tuple(min(answer, context - prompt) for answer in answers)


def _batch(hf: PreTrainedModel, shapes: Sequence[tuple[int, Sequence[int]]]) -> GroupBatch:
    groups = [
        Group(
            random_tokens(hf, prompt, name=f"prompt {n}"),
            tuple(random_tokens(hf, answer, name=f"answer {n} {k}") for k, answer in enumerate(answers)),
        )
        for n, (prompt, answers) in enumerate(shapes)
    ]
    return pack(groups, budget=10**6)[0].to(hf.device)
