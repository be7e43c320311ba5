"""Linear layers as they are computed here: adapters in few operations, and products in bfloat16 over float32 weights.

    LoRA        y = x Wᵀ + s (x Aᵀ) Bᵀ      PEFT makes five passes over y of it; here the second product is added to the
                                            first in place, and the scale rides on it
    narrow      y = bf16(x) bf16(W)ᵀ        the weight's copy is made once per change of the weight; the weight itself,
                                            its gradient's sum and all that stands between products stay float32

    gathered    the same under FSDP2                    the copy is made for each product, and the weight remembered

These are classes that layers of torch or PEFT are turned into (`models.products`, `models.lora`): tensors, names and
methods stay, so that PEFT merges and saves it as its own.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from peft.tuners.lora.layer import Linear as PeftLinear
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.optim.optimizer import register_optimizer_step_post_hook

NARROW = torch.bfloat16
_KEPT = "_assent_narrow"


class NarrowLinear(nn.Linear):
    """A linear layer whose products are in bfloat16; weights and bias are float32.

    What it says is bfloat16, or float32 where a bias is added: what meets a float32 state is float32 from there on.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Of [..., in] to [..., out]."""
        return self.shifted(F.linear(input.to(NARROW), narrow(self.weight)))

    def shifted(self, said: Tensor) -> Tensor:
        """The bias added, where there is one."""
        return said if self.bias is None else said + self.bias


class GatheredLinear(NarrowLinear):
    """The same over a weight that is whole only while its layer is computed (FSDP2): no copy outlives a product.

    The copy is made once more in the backward pass, of the weight that has been gathered again there.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Of [..., in] to [..., out]."""
        said: Tensor = _Passing.apply(input.to(NARROW), self.weight)  # type: ignore[no-untyped-call]
        return self.shifted(said)


class _Passing(torch.autograd.Function):
    """bf16(x) bf16(W)ᵀ, which remembers W and not its copy."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return F.linear(x, weight.to(NARROW))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        by_x = gradient @ weight.to(NARROW) if ctx.needs_input_grad[0] else None
        if not ctx.needs_input_grad[1]:
            return by_x, None
        pull = gradient.reshape(-1, gradient.shape[-1]).t() @ x.reshape(-1, x.shape[-1])
        return by_x, pull.to(weight.dtype)


def narrow(weight: Tensor) -> Tensor:
    """The bfloat16 copy of a weight as it is now, through which gradients flow to the weight."""
    if torch.is_grad_enabled() and weight.requires_grad:
        copied: Tensor = _Narrow.apply(weight)  # type: ignore[no-untyped-call]
        return copied
    return copy_of(weight)


class _Narrow(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor) -> Tensor:
        ctx.wide = weight.dtype
        return copy_of(weight).detach()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        return gradient.to(ctx.wide)


def copy_of(weight: Tensor) -> Tensor:
    """The copy without its gradient: made once, and again where the weight has moved.

    It lies beside the weight, for all models that share that.
    """
    now = (weight.data_ptr(), weight._version)
    held = getattr(weight, _KEPT, None)
    if held is not None and held[0] == now:
        copied: Tensor = held[1]
        return copied
    with torch.inference_mode(False), torch.no_grad():
        if held is not None and held[1].shape == weight.shape and held[1].device == weight.device:
            copied = held[1].copy_(weight)  # fresh memory costs more than the copy
        else:
            copied = weight.detach().to(NARROW)
    setattr(weight, _KEPT, (now, copied))
    return copied


@lru_cache(maxsize=1)
def follow_optimizers() -> None:
    """Make copies again after every step of an optimizer: fused ones move weights and do not count it as a change."""

    def moved(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        for weight in (one for group in optimizer.param_groups for one in group["params"]):
            held = getattr(weight, _KEPT, None)
            if held is not None:
                setattr(weight, _KEPT, (None, held[1]))

    register_optimizer_step_post_hook(moved)


class FusedLoraLinear(PeftLinear):
    """PEFT's linear layer with adapters; what it does not know (DoRA, dropout at work, …) is computed by PEFT.

    PEFT tells by the name of a class whether it is of linear layers.
    """

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Of [..., in] to [..., out]."""
        base = self.base_layer
        names = [name for name in self.active_adapters if name in self.lora_A]
        if args or kwargs or self.disable_adapters or self.merged or not isinstance(base, nn.Linear):
            return super().forward(x, *args, **kwargs)
        if isinstance(base, GatheredLinear):
            return super().forward(x)
        if base.weight.requires_grad or not all(self._is_plain(name) for name in names):
            return super().forward(x)
        is_narrow = isinstance(base, NarrowLinear)
        given, weight = (x.to(NARROW), narrow(base.weight)) if is_narrow else (x, base.weight)
        factors: list[Tensor] = []
        scales: list[float] = []
        for name in names:
            first, second, scale = self.lora_A[name].weight, self.lora_B[name].weight, float(self.scaling[name])
            if _folds(given, weight, (first, second)):
                weight = torch.addmm(weight, second, first, alpha=scale)
            else:
                factors += [first.to(given.dtype), second.to(given.dtype)]
                scales.append(scale)
        said = _adapted(given, weight, None if is_narrow else base.bias, factors, scales)
        return base.shifted(said) if isinstance(base, NarrowLinear) else said

    def _is_plain(self, name: str) -> bool:
        dropout = self.lora_dropout[name]
        is_idle = isinstance(dropout, nn.Identity) or not dropout.training
        return is_idle and name not in self.lora_variant and self.lora_B[name].bias is None


def _folds(given: Tensor, weight: Tensor, factors: tuple[Tensor, Tensor]) -> bool:
    """Whether an adapter is added to the weight for this call: it is not trained, and there are rows enough for it.

    Not in half precision, where the sum would lose much of the adapter.
    """
    if weight.dtype != torch.float32 or weight.requires_grad or any(one.requires_grad for one in factors):
        return False
    rows = given.numel() // given.shape[-1]
    return rows * sum(weight.shape) > 2 * weight.numel()


def _adapted(x: Tensor, weight: Tensor, bias: Tensor | None, factors: list[Tensor], scales: list[float]) -> Tensor:
    """The layer's output; `factors` are first and second of each adapter in turn."""
    if not factors:
        return F.linear(x, weight, bias)
    flat = x.reshape(-1, x.shape[-1])
    said: Tensor = _Adapted.apply(flat, weight, bias, scales, *factors)  # type: ignore[no-untyped-call]
    return said.view(*x.shape[:-1], -1)


class _Adapted(torch.autograd.Function):
    """x Wᵀ + b + Σ s (x Aᵀ) Bᵀ of frozen W and b, with gradients by x and by the factors."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, scales: list[float], *factors: Tensor
    ) -> Tensor:
        said = F.linear(x, weight, bias)
        inner = [x @ first.t() for first in factors[::2]]
        for scale, part, second in zip(scales, inner, factors[1::2], strict=True):
            said.addmm_(part, second.t(), alpha=scale)
        ctx.save_for_backward(x, weight, *factors, *inner)
        ctx.scales = scales
        return said

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, *rest = ctx.saved_tensors
        count = len(ctx.scales)
        factors, inner = rest[: 2 * count], rest[2 * count :]
        wants = ctx.needs_input_grad
        by_x = grad @ weight if wants[0] else None
        by_factors: list[Tensor | None] = []
        for n, scale in enumerate(ctx.scales):
            first, second = factors[2 * n], factors[2 * n + 1]
            wants_first, wants_second = wants[4 + 2 * n], wants[5 + 2 * n]
            pull = (grad @ second).mul_(scale) if wants_first or by_x is not None else None
            if by_x is not None:
                by_x.addmm_(pull, first)
            by_factors.append(pull.t() @ x if wants_first and pull is not None else None)
            by_factors.append((grad.t() @ inner[n]).mul_(scale) if wants_second else None)
        return by_x, None, None, None, *by_factors
