"""Gradient checkpointing (Chen et al. 2016): keep what goes from layer to layer, compute each layer again in backward.

The gradient is that of the plain pass to the bit: a layer is computed a second time under the same attention plan, with
the same adapters dropping the same inputs. It works for group batches and padded rows alike, since both call the layers
of the decoder, and nothing stays in the model: layers are wrapped for one forward pass.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from assent.core.errors import ModelError
from assent.models.attention import attend_with, current_plan
from assent.models.decoder import body


def decoder_layers(hf: PreTrainedModel) -> Sequence[nn.Module]:
    """The layers of the decoder, in order. Raises ModelError where they are not found."""
    wanted = hf.config.get_text_config().num_hidden_layers
    for module in body(hf).modules():
        if isinstance(module, nn.ModuleList) and len(module) == wanted:
            return list(module)
    raise ModelError(
        f"{type(hf).__name__}: its {wanted} layers are not found, so none is computed again; set checkpointing to off"
    )


@contextlib.contextmanager
def checkpointed(hf: PreTrainedModel) -> Iterator[None]:
    """Within this block, forward passes with gradient keep only the inputs of each layer."""
    layers = decoder_layers(hf)
    for layer in layers:
        layer.forward = _again(layer.forward)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _again(forward: Callable[..., Any]) -> Callable[..., Any]:
    layer: nn.Module = forward.__self__  # type: ignore[attr-defined]

    def computed(*inputs: Any, **settings: Any) -> Any:
        if not torch.is_grad_enabled():
            return forward(*inputs, **settings)
        dropping = [module for module in layer.modules() if module.training]
        around = _Around(dropping)
        return checkpoint(
            forward,
            *inputs,
            use_reentrant=False,
            preserve_rng_state=bool(dropping),
            context_fn=lambda: (contextlib.nullcontext(), around()),
            **settings,
        )

    return computed


class _Around:
    """What the first pass was computed within, for the second one, which comes when those blocks have ended."""

    def __init__(self, dropping: Sequence[nn.Module]) -> None:
        # A plan may come to know more while the pass goes on: here it stays what it was when this layer asked.
        self._plan, self._dropping = copy.copy(current_plan()), dropping

    @contextlib.contextmanager
    def _entered(self) -> Iterator[None]:
        before = [module.training for module in self._dropping]
        for module in self._dropping:
            module.training = True
        plan: AbstractContextManager[None] = contextlib.nullcontext() if self._plan is None else attend_with(self._plan)
        try:
            with plan:
                yield
        finally:
            for module, was in zip(self._dropping, before, strict=True):
                module.training = was

    def __call__(self) -> AbstractContextManager[None]:
        """Enter it again."""
        return self._entered()
