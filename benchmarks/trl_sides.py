"""What both sides of a row of `trl_losses` stand on: a model that says given log-probabilities, TRL's bare trainers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from assent.models.groups import GroupBatch
from assent.models.policy import TokenScores


@dataclass(frozen=True)
class Row:
    """One loss, ours and TRL's, of the tensor `leaf` of what is drawn by a seed."""

    name: str
    draw: Callable[[int], Any]
    ours: Callable[[Any, Tensor], Tensor]
    theirs: Callable[[Any, Tensor], Tensor]


class Says:
    """A stand-in for a language model: token number n has log-probability `table[n]`, wherever it stands."""

    training = True
    is_gradient_checkpointing = False

    def __init__(self, table: Tensor) -> None:
        self.table = table

    def score(self, batches: Sequence[GroupBatch]) -> list[TokenScores]:
        """Of scored tokens, as our trainers ask for them."""
        return [TokenScores(self.table[batch.targets]) for batch in batches]

    def __call__(self, *, labels: Tensor, **asked: Any) -> SimpleNamespace:
        """Of labels [B, T] from the second on, 0 where a label is -100, as TRL's trainers ask for them."""
        wanted = labels[:, 1:]
        is_label = wanted != -100
        found = torch.where(is_label, self.table[wanted.clamp(min=0)], 0.0)
        zeros = torch.zeros_like(found.detach())
        watched = {"entropy": zeros, "mean_logits": zeros, "is_top1": zeros.bool()}
        return SimpleNamespace(log_probs=found, label_mask=is_label, **watched)


def without_setup(trainer: type[Any], **attributes: Any) -> Any:
    """A trainer of which nothing is there but what its loss reads."""
    bare = object.__new__(trainer)
    accelerator = SimpleNamespace(
        device=torch.device("cpu"),
        num_processes=1,
        process_index=0,
        is_main_process=True,
        parallelism_config=None,
        autocast=nullcontext,
        **dict.fromkeys(("gather", "gather_for_metrics", "unwrap_model"), lambda value: value),
        reduce=lambda value, reduction: value,
    )
    shared = {
        "accelerator": accelerator,
        "_metrics": defaultdict(lambda: defaultdict(list)),
        "aux_loss_enabled": False,
        "_total_train_tokens": 0,
        "_tp_size": 1,
        "model": SimpleNamespace(training=True),
        "ref_model": None,
        "args": SimpleNamespace(gradient_checkpointing_kwargs=None),
    }
    for key, value in {**shared, **attributes}.items():
        bare.__dict__[key] = value
    return bare
