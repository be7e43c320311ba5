"""Log-probability and entropy of the next token, from logits or, without ever building them all, from hidden states.

`token_logps` is the definition. `scored_logps` is the same number for a language model's head: it multiplies a block of
hidden states by the head, takes what it needs from the block, and goes on. Its backward rests on one fact: the
derivative of a token's log-probability by its logits, D [S, V] = onehot(target) - p, does not depend on the loss. So

    d loss / d hidden = g * (D @ weight)      d loss / d weight = D^T @ (g * hidden)      g = d loss / d logps [S]

A frozen head (LoRA) needs only D @ weight [S, d], formed in forward: nothing of size V is kept and nothing is computed
twice. A trained head keeps D if it has at most `keep_limit` elements, else computes it again block by block.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

KEEP_LIMIT = 64 * 2**20
"""Elements of D [S, V] that forward may keep for backward: 256 MiB in float32."""


class ScoredLogps(NamedTuple):
    """What the head says about each scored token. Entropy carries no gradient; None where not asked for."""

    logps: Float[Tensor, " S"]
    entropy: Float[Tensor, " S"] | None


def token_logps(logits: Float[Tensor, "S V"], targets: Int[Tensor, " S"]) -> Float[Tensor, " S"]:
    """Natural log-probability of each target under softmax(logits)."""
    return logits.log_softmax(-1).gather(-1, targets[:, None]).squeeze(-1)


def token_entropy(logits: Float[Tensor, "S V"]) -> Float[Tensor, " S"]:
    """Entropy of softmax(logits) in nats, between 0 and log V."""
    logps = logits.log_softmax(-1)
    # A word that cannot come adds nothing; 0 * -inf would be NaN.
    return -(logps.exp() * logps.clamp_min(torch.finfo(logps.dtype).min)).sum(-1)


def scored_logps(
    hidden: Float[Tensor, "S d"],
    weight: Float[Tensor, "V d"],
    targets: Int[Tensor, " S"],
    *,
    bias: Float[Tensor, " V"] | None = None,
    temperature: float,
    softcap: float | None = None,
    block: int,
    with_entropy: bool,
    keep_limit: int = KEEP_LIMIT,
    rounded: Float[Tensor, "V d"] | None = None,
) -> ScoredLogps:
    """Log-probability of each target under softmax(cap(hidden @ weight^T + bias) / temperature), by blocks of tokens.

    `cap(x) = softcap * tanh(x / softcap)` (Gemma 2) is the model's and comes first; temperature divides what the model
    says. `block` tokens are worked on at a time (about 128 on a CPU). Softmax and results are in at least float32.
    Differentiable once by hidden, weight and bias; whatever needs no gradient costs none. With `rounded`, a copy of the
    weight in a narrower type, the products of backward are in that type; what is said is the same to the bit.
    """
    if temperature <= 0 or block < 1:
        raise ValueError(f"scored_logps wants temperature > 0 and block >= 1, got {temperature} and {block}")
    needs_grad = torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in (hidden, weight, bias))
    head = _Head(temperature=temperature, softcap=softcap, block=block)
    plan = _Plan(needs_grad=needs_grad, with_entropy=with_entropy, keep_limit=keep_limit, rounded=rounded)
    logps, entropy = _ScoredLogps.apply(hidden, weight, bias, targets, head, plan)
    return ScoredLogps(logps, entropy if with_entropy else None)


@dataclass(frozen=True)
class _Plan:
    """What one call has to deliver."""

    needs_grad: bool
    with_entropy: bool
    keep_limit: int
    rounded: Tensor | None


@dataclass(frozen=True)
class _Head:
    """How logits follow from hidden states, and how many at a time."""

    temperature: float
    softcap: float | None
    block: int

    def parts(self, num_scored: int) -> Iterator[slice]:
        """The blocks of the scored tokens, in order."""
        return (slice(at, min(at + self.block, num_scored)) for at in range(0, num_scored, self.block))

    def logits(self, hidden: Tensor, weight: Tensor, bias: Tensor | None, *, out: Tensor) -> Tensor:
        """Write the logits of one block into `out` [block, V] (float32 or wider) and return it."""
        # The scale rides on the matrix product: no pass over V of its own, and one rounding in half precision.
        scale = 1 / self.temperature if self.softcap is None else 1 / self.softcap
        product = out if out.dtype == hidden.dtype else hidden.new_empty(out.shape)
        if bias is None:
            product.addmm_(hidden, weight.t(), beta=0, alpha=scale)
        else:
            torch.addmm(bias, hidden, weight.t(), beta=scale, alpha=scale, out=product)
        if product is not out:
            out.copy_(product)
        if self.softcap is not None:
            out.tanh_().mul_(self.softcap / self.temperature)
        return out

    def derivative_(self, probs: Tensor, logits: Tensor, targets: Tensor) -> Tensor:
        """Turn `probs` of one block in place into D; with a softcap, D includes its slope. Spends `logits`."""
        probs.neg_()
        probs[torch.arange(len(targets), device=targets.device), targets] += 1
        if self.softcap is not None:
            # d cap(x) / dx = 1 - tanh(x / c)^2
            tanh = logits.mul_(self.temperature / self.softcap)
            probs.mul_(tanh.square_().neg_().add_(1))
        return probs


class _ScoredLogps(torch.autograd.Function):
    """Forward and backward of `scored_logps`; the module's docstring says how they share D."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, head: _Head, plan: _Plan
    ) -> tuple[Tensor, Tensor]:
        num_scored, num_words = len(hidden), len(weight)
        wide = torch.promote_types(hidden.dtype, torch.float32)
        trains_head = ctx.needs_input_grad[1] or ctx.needs_input_grad[2]
        keeps = plan.needs_grad and trains_head and num_scored * num_words <= plan.keep_limit
        factor = weight if plan.rounded is None else plan.rounded
        kept = hidden.new_empty(num_scored, num_words, dtype=factor.dtype) if keeps else None
        pull = torch.empty_like(hidden) if plan.needs_grad and not trains_head else None
        logps = hidden.new_empty(num_scored, dtype=wide)
        entropy = hidden.new_empty(num_scored if plan.with_entropy else 0, dtype=wide)
        rows = min(head.block, num_scored)
        scratch = [hidden.new_empty(rows, num_words, dtype=wide) for _ in range(3 if plan.with_entropy else 2)]

        for part in head.parts(num_scored):
            logits, probs, *product = (s[: part.stop - part.start] for s in scratch)
            if kept is not None and kept.dtype == wide:
                probs = kept[part]
            head.logits(hidden[part], weight, bias, out=logits)
            torch.softmax(logits, -1, out=probs)
            # The largest probability is exp(max - logsumexp): the fused softmax gives the normaliser for one more pass.
            normaliser = logits.amax(-1) - probs.amax(-1).log()
            logps[part] = logits.gather(-1, targets[part, None]).squeeze(-1) - normaliser
            if plan.with_entropy:
                # A word that cannot come adds nothing; its logit -inf times 0 would be NaN.
                shares = torch.mul(logits, probs, out=product[0]).masked_fill_(probs == 0, 0)
                entropy[part] = normaliser - shares.sum(-1)
            if kept is not None:
                derivative = head.derivative_(probs, logits, targets[part])
                if derivative.dtype != kept.dtype:
                    kept[part] = derivative
            elif pull is not None:
                pull[part] = head.derivative_(probs, logits, targets[part]).to(factor.dtype) @ factor

        ctx.save_for_backward(hidden, weight, bias, targets)
        ctx.head, ctx.kept, ctx.pull, ctx.factor = head, kept, pull, factor
        ctx.mark_non_differentiable(entropy)
        ctx.set_materialize_grads(False)
        return logps, entropy

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor | None, _: Tensor | None) -> tuple[Tensor | None, ...]:
        if grad is None:
            return (None,) * 6
        hidden, weight, *_ = ctx.saved_tensors
        grad = grad[:, None] / ctx.head.temperature
        if ctx.pull is not None:
            return (grad * ctx.pull).to(hidden.dtype), None, None, None, None, None
        wants = ctx.needs_input_grad[:3]
        if ctx.kept is not None:
            return *_pull_back(ctx.kept, grad, hidden, weight, ctx.factor, wants), None, None, None
        return *_recomputed(ctx.head, grad, ctx.saved_tensors, ctx.factor, wants), None, None, None


def _pull_back(
    derivative: Tensor, grad: Tensor, hidden: Tensor, weight: Tensor, factor: Tensor, wants: tuple[bool, ...]
) -> tuple[Tensor | None, ...]:
    """Gradients by hidden, weight and bias from D [S, V] and grad [S, 1], those wanted; `factor` is the weight."""
    narrow, grad = factor.dtype, grad.to(hidden.dtype)
    return (
        (derivative @ factor).to(hidden.dtype).mul_(grad) if wants[0] else None,
        (derivative.t() @ (grad * hidden).to(narrow)).to(weight.dtype) if wants[1] else None,
        (derivative.t() @ grad[:, 0].to(narrow)).to(weight.dtype) if wants[2] else None,
    )


def _recomputed(
    head: _Head,
    grad: Tensor,
    saved: tuple[Tensor, Tensor, Tensor | None, Tensor],
    factor: Tensor,
    wants: tuple[bool, ...],
) -> tuple[Tensor | None, ...]:
    """The same gradients, with D computed again block by block; sums over blocks are kept in at least float32."""
    hidden, weight, bias, targets = saved
    by_hidden = torch.empty_like(hidden) if wants[0] else None
    by_weight = torch.zeros_like(weight, dtype=grad.dtype) if wants[1] else None
    by_bias = grad.new_zeros(len(weight)) if wants[2] else None
    scratch = [hidden.new_empty(min(head.block, len(hidden)), len(weight), dtype=grad.dtype) for _ in range(2)]
    for part in head.parts(len(hidden)):
        logits, probs = (s[: part.stop - part.start] for s in scratch)
        head.logits(hidden[part], weight, bias, out=logits)
        torch.softmax(logits, -1, out=probs)
        derivative = head.derivative_(probs, logits, targets[part]).to(factor.dtype)
        if by_hidden is not None:
            by_hidden[part] = (derivative @ factor).mul_(grad[part])
        if by_weight is not None:
            _add_product_(by_weight, derivative.t(), (grad[part] * hidden[part]).to(factor.dtype))
        if by_bias is not None:
            by_bias += derivative.to(grad.dtype).t() @ grad[part, 0]
    return (
        by_hidden,
        None if by_weight is None else by_weight.to(weight.dtype),
        None if by_bias is None else by_bias.to(weight.dtype),
    )


def _add_product_(total: Tensor, left: Tensor, right: Tensor) -> None:
    if total.dtype == left.dtype:
        total.addmm_(left, right)
    else:
        total += left @ right
