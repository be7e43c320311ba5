"""Drawing one token per row from logits: one uniform number in, token and log-probability out of the same pass."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

_BLOCK = 64  # a walk over V / 64 block sums, then over 64 tokens, instead of a running sum over V
_FEW = 128  # tokens among which a nucleus is first looked for


def draw(
    logits: Float[Tensor, "B V"],
    uniforms: Float[Tensor, " B"],
    *,
    temperature: float,
    top_p: float = 1.0,
    top_k: int | None = None,
    min_p: float = 0.0,
) -> tuple[Int[Tensor, " B"], Float[Tensor, " B"]]:
    """Draw a token per row by inverting the distribution function at `uniforms`, each in [0, 1).

    Returns tokens and their log-probabilities under softmax(logits / temperature), before anything is left out: what is
    less likely than the `top_k` most likely (ties stay), then what is outside the smallest set that holds `top_p` of
    the rest, then what is below `min_p` times the most likely. Temperature 0 takes the most likely token (the first
    among equals) and
    gives its log-probability at temperature 1. A token of probability zero is never drawn. Rows whose logits have no
    distribution (NaN, +inf) get a NaN log-probability.
    """
    logits = logits.float()
    if temperature not in (0.0, 1.0):
        logits = logits / temperature
    peak = logits.amax(-1, keepdim=True)
    weights = _weights(logits, peak)
    if temperature == 0.0:
        tokens, total = logits.argmax(-1), weights.sum((-1, -2), dtype=torch.float64)
    elif top_p < 1.0 or top_k is not None or min_p > 0.0:
        total = weights.sum((-1, -2), dtype=torch.float64)
        if top_k is not None and top_k < logits.shape[-1]:
            is_below = logits < logits.topk(top_k).values[:, -1:]
            weights.flatten(1)[:, : logits.shape[-1]].masked_fill_(is_below, 0.0)
        if top_p < 1.0:
            weights = _nucleus(weights, top_p * weights.sum((-1, -2), dtype=torch.float64))
        if min_p > 0.0:
            weights = weights.masked_fill(weights < min_p, 0.0)  # the most likely token weighs 1
        tokens, _ = _invert(weights, uniforms)
    else:
        tokens, total = _invert(weights, uniforms)
    tokens = tokens.clamp_max(logits.shape[-1] - 1)  # matters only to rows of NaN, which may point into the filling
    logps = (logits.gather(-1, tokens[:, None]) - peak)[:, 0] - total.log()
    return tokens, logps.float()


def less_repeated(logits: Float[Tensor, "B V"], seen: Int[Tensor, "B L"], penalty: float) -> Float[Tensor, "B V"]:
    """Logits with those of the tokens `seen` divided by `penalty` where positive, multiplied where negative, once each.

    Keskar et al. (2019), CTRL, arXiv:1909.05858, section 4.1; for negative logits as everyone has written it since.
    """
    logits = logits.float()
    held = logits.gather(-1, seen)
    return logits.scatter(-1, seen, torch.where(held < 0, held * penalty, held / penalty))


def _weights(logits: Float[Tensor, "B V"], peak: Float[Tensor, "B 1"]) -> Float[Tensor, "B N block"]:
    """exp(logits - peak), V filled up with zeros to whole blocks."""
    num_rows, num_tokens = logits.shape
    num_blocks = -(-num_tokens // _BLOCK)
    weights = logits.new_empty(num_rows, num_blocks * _BLOCK)
    torch.sub(logits, peak, out=weights[:, :num_tokens])
    weights[:, num_tokens:] = -torch.inf
    return weights.exp_().view(num_rows, num_blocks, _BLOCK)


def _nucleus(weights: Float[Tensor, "B N block"], mass: Float[Tensor, " B"]) -> Float[Tensor, "B N block"]:
    """Keep the heaviest tokens up to the one that brings their sum to `mass`; the others weigh zero."""
    flat = weights.flatten(1)
    width = _FEW
    while True:
        # The few heaviest nearly always hold the mass, and finding them costs a small part of sorting V.
        heaviest, order = flat.topk(min(width, flat.shape[-1]))
        sums = heaviest.double().cumsum(-1)
        if width >= flat.shape[-1] or (sums[:, -1] >= mass).all():
            break
        width *= 8
    # What is heavier than the heaviest weighs exactly 0 < mass, so no nucleus is empty.
    is_outside = sums - heaviest >= mass[:, None]
    return torch.zeros_like(flat).scatter_(-1, order, heaviest.masked_fill(is_outside, 0.0)).view_as(weights)


def _invert(
    weights: Float[Tensor, "B N block"], uniforms: Float[Tensor, " B"]
) -> tuple[Int[Tensor, " B"], Float[Tensor, " B"]]:
    """The first token whose cumulative weight exceeds uniform * total, and the total."""
    sums = weights.sum(-1).double().cumsum(-1)
    total = sums[:, -1]
    target = uniforms.double() * total
    block = _first_above(sums, target)
    rest = target - (sums.gather(-1, (block - 1).clamp_min(0)[:, None])[:, 0]).where(block > 0, 0.0)
    rows = torch.arange(len(weights), device=weights.device)
    inside = _first_above(weights[rows, block].double().cumsum(-1), rest)
    return block * _BLOCK + inside, total


def _first_above(cumulative: Float[Tensor, "B N"], target: Float[Tensor, " B"]) -> Int[Tensor, " B"]:
    """Index of the first entry above `target`, which is first pushed below the last entry.

    That index always adds weight: an entry equal to the one before it cannot be the first above anything. The push is
    needed where uniform * total rounds up to total. A row of NaN gets some index in range.
    """
    below_end = torch.nextafter(cumulative[:, -1], torch.zeros_like(target))
    found = torch.searchsorted(cumulative, torch.minimum(target, below_end)[:, None], right=True)[:, 0]
    return found.clamp_max(cumulative.shape[-1] - 1)
