"""Bytes that a model takes in memory, by its shape: weights, gradients, moments, activations, keys and values.

Everything here is arithmetic on shapes: nothing is loaded, so that a plan is quick. What a layer keeps for backward is
counted from the code that computes it, per real token: d states, q all queries, v all keys (and values), f inside the
feed-forward layer.

    two norms      their input, that input scaled, and what the next matrices read         6 d   (LoRA: 4 d)
    attention      queries, keys, values, and its output before and after it is put back   3 q + 2 v
    feed-forward   gate, its activation, up, their product                                 4 f
    adapters       the thin product of each of seven matrices                              7 r
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from assent.models.shape import DecoderShape

Stored = Literal["float32", "bfloat16", "int8", "nf4"]
"""How weights lie in memory."""
Computed = Literal["float32", "bfloat16"]
BYTES: dict[Stored, float] = {"float32": 4.0, "bfloat16": 2.0, "int8": 1.0 + 4 / 4096, "nf4": 0.5 + 4 / 64}
"""Of one weight, the scales of blocks included: one a row for int8, one in 64 for nf4."""
KEPT_LOGITS = 64 * 2**20
"""Elements of derivatives by logits that a trained head keeps (`algorithms.logprobs.KEEP_LIMIT`)."""
HEAD_BLOCK = {"cpu": 256, "cuda": 4096}
"""Scored tokens whose logits exist at once (`models.policy`)."""
PROCESS = {"cpu": 430e6, "cuda": 600e6}
"""Bytes of a process that has loaded everything, or of its context on a GPU, before any model."""
SLACK = {"cpu": 1.45, "cuda": 1.1}
"""What allocators keep beside what is in use, as a factor on activations: glibc leaves holes between tensors of a few
megabytes, measured between 1.0 and 1.85 (benchmarks/memory_plan.py); that of CUDA is an assumption, not measured."""
ADAPTER_HOLES = {"cpu": 0.65e9, "cuda": 0.0}
"""Bytes of such holes that adapters leave besides, at most, measured on models of 34M and 135M: what passes through
them is short-lived and of many sizes, and it was as much where layers are computed again as where they are not."""
PADDING = 1.15
"""Queries, keys and values of one bucket are padded to its longest row; a bucket wastes at most a quarter."""


@dataclass(frozen=True)
class Weights:
    """How a model lies in memory, and what of it is trained."""

    dtype: Computed = "float32"
    """Of the weights, and of what layers hand on."""
    rank: int | None = None
    """Of LoRA adapters, which are float32; None: all weights are trained, or nothing is."""
    is_scalar: bool = False
    """A number for each state in place of a head over words."""
    quantize: Literal["nf4", "int8"] | None = None
    """How the layers lie in memory in place of `dtype`; embeddings and heads keep it."""
    has_copies: bool = False
    """Layers are computed through bfloat16 copies of their float32 weights (`model.products`)."""

    def size(self, shape: DecoderShape) -> float:
        """Bytes of the frozen or trained weights, adapters not counted."""
        outer = shape.parameters - shape.body
        if self.is_scalar:
            outer = min(outer, shape.head)
        copies = BYTES["bfloat16"] * shape.body if self.has_copies else 0.0
        return BYTES[self.quantize or self.dtype] * shape.body + BYTES[self.dtype] * outer + copies

    def trained(self, shape: DecoderShape) -> float:
        """Numbers that an optimizer moves."""
        if self.rank is not None:
            return shape.adapter(self.rank)
        return shape.scored if self.is_scalar else shape.parameters

    @property
    def activation(self) -> int:
        """Bytes of one number that a layer hands to the next."""
        return 4 if self.dtype == "float32" else 2


@dataclass(frozen=True)
class Pass:
    """One micro-batch of training: how many real tokens, and whether layers are computed again in backward."""

    tokens: int
    is_checkpointed: bool


def activations(shape: DecoderShape, weights: Weights, one: Pass, device: str) -> float:
    """Bytes that exist at once between forward and backward of a micro-batch, its head included."""
    layer = _layer(shape, weights)
    between = shape.hidden * weights.activation
    states = 3 * shape.hidden * weights.activation
    kept = between * shape.layers + layer if one.is_checkpointed else layer * shape.layers
    backward = (3 * shape.ffn + 4 * shape.hidden) * weights.activation
    head = 0.0 if weights.is_scalar else _head(shape, weights, one.tokens, device)
    holes = 0.0 if weights.rank is None else min(ADAPTER_HOLES[device], 0.6 * one.tokens * layer * shape.layers)
    return SLACK[device] * (one.tokens * (kept + states) + max(one.tokens * backward, head)) + holes


def laid_out(shape: DecoderShape, weights: Weights, drawn_in: Computed, device: str) -> float:
    """Bytes of the copy of layers and head that answers are drawn from: on a CPU laid out for its products, on a GPU
    only where it differs from the live weights, by its type or by adapters that are added to it."""
    is_merged = weights.rank is not None and weights.dtype == "float32"
    if weights.quantize is not None or (device != "cpu" and drawn_in == weights.dtype and not is_merged):
        return 0.0
    return BYTES[drawn_in] * (shape.body + shape.head)


def cache(shape: DecoderShape, weights: Weights, *, rows: int, length: int, prompt: int) -> float:
    """Keys and values of so many answers with their prompts, the logits of one step, and what computing a prompt for
    each of them takes before: its keys and values once more, and one layer at a time."""
    token = 2 * shape.layers * shape.kv_width * weights.activation
    passing = (3 * shape.ffn + 5 * shape.hidden) * weights.activation
    return rows * (length * token + prompt * (token + passing) + 4 * shape.vocabulary * 4)


def _layer(shape: DecoderShape, weights: Weights) -> float:
    """Bytes that one layer keeps of one token."""
    d, q, v, f = shape.hidden, shape.query_width, shape.kv_width, shape.ffn
    inner = PADDING * (2 * q + 2 * v) + q
    if weights.rank is None:
        return weights.activation * (6 * d + inner + 4 * f)
    thin = 7 * weights.rank * 4
    if weights.activation == 4:
        return 4 * (4 * d + inner + 4 * f) + thin
    # Norms are computed in float32, and every adapter reads a float32 copy of its matrix's input.
    copies = 4 * (2 * d + 5 * d + q + f)
    return copies + 2 * (inner + 3 * f) + thin


def _head(shape: DecoderShape, weights: Weights, tokens: int, device: str) -> float:
    """Logits in blocks; a trained head keeps derivatives while they are few, and has a gradient to add."""
    block = 2 * min(tokens, HEAD_BLOCK[device]) * shape.vocabulary * 4
    if weights.rank is not None:
        return block
    elements = tokens * shape.vocabulary
    return block + 4 * shape.head + (4 * elements if elements <= KEPT_LOGITS else 0)
