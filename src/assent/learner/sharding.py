"""A model whose weights are parted over processes by FSDP2: each layer is made whole when it is computed.

The layers of the decoder are sharded one by one; embedding, last norm and head together, since they are read together.
What is computed of a sharded model is computed inside `asked`, which makes the latter whole.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor

from assent.learner import peers
from assent.learner.agreement import guard
from assent.models.linear import GatheredLinear, NarrowLinear

T = TypeVar("T")
Frozen = Literal["replicated", "sharded"]
"""Whether weights that are not trained lie whole on every process, or parted over them."""


def shard(hf: Any, *, frozen: Frozen = "sharded") -> None:
    """Part the weights of a transformers or PEFT model over all processes, all starting from those of the first.

    A model that is sharded already stays as it is. Under "replicated" weights that are not trained stay as they are:
    other models may stand on them. On all processes but the first the weights may be on no device yet ("meta"): they
    come layer by layer, so that no more than one layer is ever whole there.
    """
    if is_sharded(hf):
        return
    filling = _Filling.of(hf, frozen)
    for layer in layers(hf):
        filling.fill(layer)
        fully_shard(layer, ignored_params=filling.whole)
    hf.ask = functools.partial(_call)
    filling.fill(hf)
    fully_shard(hf, ignored_params=filling.whole)
    register_fsdp_forward_method(hf, "ask")
    for module in hf.modules():
        if isinstance(module, FSDPModule):  # losses are divided by the weight of the whole batch: gradients are summed
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)  # gloo can only add
            guard(module)
        if type(module) is NarrowLinear and isinstance(module.weight, DTensor):
            module.__class__ = GatheredLinear


def is_sharded(hf: nn.Module) -> bool:
    """Whether the weights of a model are parted over processes."""
    return isinstance(hf, FSDPModule)


def asked(hf: Any, call: Callable[[], T]) -> T:
    """What `call` computes with the model; all processes do this together, each of what is its own."""
    if not is_sharded(hf):
        return call()
    found: T = hf.ask(call)
    if not torch.is_grad_enabled():
        hf.reshard()  # else the next pass would still read these weights
    return found


def begin_anew(hf: Any) -> None:
    """Bring a model that left a pass half way back to what it was before: parted, and without gradients."""
    for parameter in hf.parameters():  # of layers that are whole, gradients lie at what they are made whole in
        parameter.grad = None
    hf.reset_iter_state()
    for parameter in hf.parameters():
        parameter.grad = None


def layers(hf: nn.Module) -> list[nn.Module]:
    """The decoder layers of a model, as transformers names those that are not to be split; of others, none."""
    names = {name for module in hf.modules() for name in getattr(module, "_no_split_modules", None) or ()}
    found = [module for module in hf.modules() if type(module).__name__ in names]
    return [one for one in found if not any(one is not other and one in other.modules() for other in found)]


def whole(tensor: Tensor) -> Tensor:
    """A copy of a weight, whole; all processes ask for it together."""
    value = tensor.detach()
    return value.full_tensor() if isinstance(value, DTensor) else value.clone()


@contextlib.contextmanager
def gathered_on_first(hf: Any) -> Iterator[None]:
    """Inside this block the first process has the model whole, on the CPU, to save it; the others have none of it.

    It is brought over weight by weight, so that no process but the first holds more than its shards and one weight.
    """
    places = [
        (module, name, parameter)
        for module in hf.modules()
        for name, parameter in module.named_parameters(recurse=False)
        if isinstance(parameter, DTensor)
    ]
    known: dict[int, nn.Parameter] = {}
    for module, name, parameter in places:
        if id(parameter) not in known:
            value = whole(parameter)
            kept = value.cpu() if peers.is_first() else torch.empty(0)
            known[id(parameter)] = nn.Parameter(kept, requires_grad=parameter.requires_grad)
        module._parameters[name] = known[id(parameter)]
    try:
        yield
    finally:
        for module, name, parameter in places:
            module._parameters[name] = parameter


def _call(call: Callable[[], T]) -> T:
    return call()


class _Filling:
    """Brings the weights of the first process to all, module by module."""

    def __init__(self, whole: set[nn.Parameter], device: torch.device, *, is_hollow: bool) -> None:
        self.whole = whole
        """Weights that are not to be parted."""
        self._device, self._is_hollow = device, is_hollow
        self._done: set[nn.Module] = set()

    @classmethod
    def of(cls, hf: nn.Module, frozen: Frozen) -> _Filling:
        """For a model that is not sharded. The first process says on what kind of device it is."""
        whole = {p for p in hf.parameters() if not p.requires_grad} if frozen == "replicated" else set()
        kind = peers.from_first(lambda: next(iter(hf.parameters())).device.type)
        device = torch.device(kind, torch.cuda.current_device()) if kind == "cuda" else torch.device(kind)
        is_hollow = peers.is_true_anywhere(any(one.is_meta for one in hf.parameters()))
        return cls(whole, device, is_hollow=is_hollow)

    @torch.no_grad()
    def fill(self, part: nn.Module) -> None:
        """Give the modules of a part that were not filled before the values that they have on the first process.

        Where a process has none yet, what is computed beside them (angles of rotations) comes from the first too.
        Nothing of it is kept here: a part is whole until it is parted, and no longer.
        """
        filled: dict[Tensor, Tensor] = {}
        for module in part.modules():
            if module in self._done:
                continue
            self._done.add(module)
            for name, parameter in module.named_parameters(recurse=False):
                if self._is_hollow or parameter not in self.whole:
                    module._parameters[name] = self._taken(parameter, filled)  # type: ignore[assignment]
            if self._is_hollow:
                for name, buffer in module.named_buffers(recurse=False):
                    module._buffers[name] = self._taken(buffer, filled)

    def _taken(self, given: Tensor, filled: dict[Tensor, Tensor]) -> Tensor:
        """The tensor with the values of the first; another one where this one has no place for them.

        What stands in several modules is taken once: `filled` has it by what stood there.
        """
        if given not in filled:
            kept = torch.empty_like(given, device=self._device) if given.is_meta else given
            torch.distributed.broadcast(kept.detach(), src=0)
            if kept is not given and isinstance(given, nn.Parameter):
                kept = nn.Parameter(kept, requires_grad=given.requires_grad)
                self.whole |= {kept} if given in self.whole else set()
            filled[given] = kept
        return filled[given]
