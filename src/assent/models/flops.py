"""What work costs in floating-point operations, by the shape of a decoder alone: the floor that a run is held against.

A product of [m, k] and [k, n] is 2mkn operations. Per real token the layers cost twice their weights forward and four
times backward; a frozen layer passes its gradient through and needs none of its own, so backward is twice. The head is
paid for scored tokens only. Attention is causal: a token at place t sees t keys, half its row on the mean.
"""

from __future__ import annotations

from dataclasses import dataclass

from assent.models.shape import DecoderShape


@dataclass(frozen=True)
class Tokens:
    """How much text a pass goes over."""

    real: float
    """Tokens, prompts that are shared counted once."""
    scored: float
    """Tokens whose log-probability is asked for; 0 for models that score rows."""
    row: float
    """Mean length of a row with its prompt, which attention depends on."""


def forward(shape: DecoderShape, tokens: Tokens) -> float:
    """A pass without gradient: 2 Nb and attention for each token, 2 Vd for each scored one."""
    return _layers(shape, tokens) + 2 * shape.head * tokens.scored


def training(shape: DecoderShape, tokens: Tokens, *, is_lora: bool, is_checkpointed: bool = False) -> float:
    """Forward and backward; layers that are computed again in backward cost one forward more."""
    once = _layers(shape, tokens)
    backward = once if is_lora else 2 * once
    head = (4 if is_lora else 6) * shape.head * tokens.scored
    return once + backward + head + (once if is_checkpointed else 0)


def decoding(shape: DecoderShape, *, prompts: float, answers: float, row: float) -> float:
    """Sampling: every prompt token once, and every token of an answer through layers and head."""
    return _layers(shape, Tokens(prompts + answers, 0, row)) + 2 * shape.head * answers


def decode_step_floor(
    shape: DecoderShape, *, rows: int, context: float, product_rate: float, read_rate: float, width: int
) -> float:
    """Seconds that one decode step takes at least: the larger of its products and of the bytes it must read.

    max(2 N B / F, (N b + B · context · kv) / W), with F operations and W bytes a second, b = `width` bytes a number.
    """
    weights = shape.body + shape.head
    products = 2 * weights * rows / product_rate
    cache = rows * context * 2 * shape.layers * shape.kv_width * width
    return max(products, (weights * width + cache) / read_rate)


def _layers(shape: DecoderShape, tokens: Tokens) -> float:
    attention = 2 * shape.layers * shape.query_width * tokens.row
    return tokens.real * (2 * shape.body + attention)
