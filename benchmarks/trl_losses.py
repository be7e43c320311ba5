"""Our losses beside TRL's on the same tensors: value and gradient. `PYTHONPATH=src python benchmarks/trl_losses.py`.

Needs an environment of its own: `pip install torch==2.13.0 trl==1.16.0 jaxtyping`. TRL's trainers compute their losses
inside one method each, from a model's output; so each trainer is made without its set-up, given a stand-in for a model
that returns our log-probabilities of tokens, and its own method is called. Nothing of TRL is copied. For each loss the
largest difference of values and of gradients by the log-probability of every token is printed, in float32.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
import trl
from torch import Tensor
from trl import DPOTrainer, KTOTrainer
from trl.experimental.cpo import CPOTrainer
from trl.experimental.orpo import ORPOTrainer

from assent.algorithms.preference import (
    answer_logps,
    cdpo_loss,
    dpo_loss,
    ipo_loss,
    kto_loss,
    kto_reference_point,
    odds_ratio_loss,
    robust_dpo_loss,
    simpo_loss,
)

PAIRS, LONGEST = 64, 40
BETA, NOISE, MARGIN, LAMBDA = 0.3, 0.15, 0.7, 0.25
GOOD, BAD = 1.1, 0.8


class Case:
    """Log-probs of every token of chosen and rejected answers of different length, under policy and start."""

    def __init__(self, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.lengths = torch.randint(2, LONGEST, (2 * PAIRS,), generator=generator)
        self.mask = torch.arange(LONGEST) < self.lengths[:, None]
        self.tokens = -3 * torch.rand(2 * PAIRS, LONGEST, generator=generator) * self.mask
        self.start = (self.tokens + 0.3 * torch.randn(2 * PAIRS, LONGEST, generator=generator)) * self.mask
        self.beside = 8 * torch.randn(2 * PAIRS, generator=generator) + 2
        """How much likelier answers to other prompts became."""
        self.is_good = torch.rand(2 * PAIRS, generator=generator) < 0.6

    def answers(self, tokens: Tensor, *, normalized: bool = False) -> tuple[Tensor, Tensor]:
        """Our sums or means over the tokens of each answer: chosen, rejected."""
        row = torch.repeat_interleave(torch.arange(2 * PAIRS), self.lengths)
        found = answer_logps(tokens[self.mask], row, 2 * PAIRS, normalized=normalized)
        return found[:PAIRS], found[PAIRS:]


def ours(case: Case, name: str, tokens: Tensor) -> Tensor:
    """The mean of our loss."""
    now, before = case.answers(tokens), case.answers(case.start)
    ends = (now[0], now[1], before[0], before[1])
    means = case.answers(tokens, normalized=True)
    match name:
        case "DPO":
            return dpo_loss(*ends, beta=BETA).mean()
        case "robust DPO":
            return robust_dpo_loss(*ends, beta=BETA, label_smoothing=NOISE).mean()
        case "IPO, length-normalized":
            before = case.answers(case.start, normalized=True)
            return ipo_loss(*means, *before, beta=BETA).mean()
        case "cDPO without a reference (TRL's CPO)":
            zero = torch.zeros(PAIRS)
            return cdpo_loss(*now, zero, zero, beta=BETA, label_smoothing=NOISE).mean()
        case "SimPO":
            return simpo_loss(*means, beta=BETA, margin=MARGIN).mean()
        case "ORPO, odds-ratio term":
            return LAMBDA * odds_ratio_loss(*means).mean()
        case "KTO":
            whole, start = torch.cat(now), torch.cat(before)
            point = kto_reference_point(case.beside, torch.zeros_like(case.beside))
            losses = kto_loss(whole, start, case.is_good, reference_point=point, beta=BETA)
            return (losses * torch.where(case.is_good, GOOD, BAD)).mean()
    raise ValueError(f"no loss is called {name!r}")


def theirs(case: Case, name: str, tokens: Tensor) -> Tensor:
    """The mean of TRL's loss, by the trainer's own code."""
    match name:
        case "DPO":
            return through_dpo(case, tokens, "sigmoid")
        case "robust DPO":
            return through_dpo(case, tokens, "robust")
        case "IPO, length-normalized":
            return through_dpo(case, tokens, "ipo")
        case "cDPO without a reference (TRL's CPO)":
            return through_cpo(case, tokens, "sigmoid")
        case "SimPO":
            return through_cpo(case, tokens, "simpo")
        case "ORPO, odds-ratio term":
            bare = without_setup(ORPOTrainer, beta=LAMBDA)
            return -bare.odds_ratio_loss(*means_of(case, tokens))[0].mean()
        case "KTO":
            return through_kto(case, tokens)
    raise ValueError(f"no loss is called {name!r}")


def means_of(case: Case, tokens: Tensor) -> tuple[Tensor, ...]:
    """Means per token as a padded implementation makes them."""
    return ((tokens * case.mask).sum(1) / case.mask.sum(1)).chunk(2)


def without_setup(trainer: type[Any], **attributes: Any) -> Any:
    """A trainer of which nothing is there but what its loss reads."""
    bare = object.__new__(trainer)
    accelerator = SimpleNamespace(
        device=torch.device("cpu"), gather_for_metrics=_same, gather=_same, unwrap_model=_same
    )
    shared = {
        "accelerator": accelerator,
        "_metrics": defaultdict(lambda: defaultdict(list)),
        "aux_loss_enabled": False,
        "precompute_ref_logps": True,
        "_total_train_tokens": 0,
        "_tp_size": 1,
        "model": SimpleNamespace(training=True),
        "ref_model": None,
        "args": SimpleNamespace(gradient_checkpointing_kwargs=None),
        "label_smoothing": NOISE,
    }
    for key, value in {**shared, **attributes}.items():
        bare.__dict__[key] = value
    return bare


def model_of(tokens: Tensor) -> Callable[..., Any]:
    """A stand-in for a model, of which the log-probs of the tokens are these."""
    zeros = torch.zeros_like(tokens.detach())
    watched = {"entropy": zeros, "mean_logits": zeros, "is_top1": zeros.bool()}
    return lambda **asked: SimpleNamespace(log_probs=tokens, **watched)


def inputs_of(case: Case) -> dict[str, Tensor]:
    """A padded batch: one prompt token, then the answer."""
    whole = torch.cat([torch.zeros(2 * PAIRS, 1, dtype=torch.bool), case.mask], dim=1)
    return {"input_ids": whole.long(), "attention_mask": whole.long(), "completion_mask": whole.long()}


def through_dpo(case: Case, tokens: Tensor, kind: str) -> Tensor:
    start = case.start.sum(1).chunk(2)
    bare = without_setup(
        DPOTrainer,
        beta=BETA,
        loss_types=[kind],
        loss_weights=[1.0],
        ld_alpha=None,
        f_divergence_type="reverse_kl",
        use_weighting=False,
    )
    batch = {**inputs_of(case), "ref_chosen_logps": start[0], "ref_rejected_logps": start[1]}
    return bare._compute_loss(model_of(tokens), batch, return_outputs=False)


def through_cpo(case: Case, tokens: Tensor, kind: str) -> Tensor:
    bare = without_setup(CPOTrainer, beta=BETA, loss_type=kind, simpo_gamma=MARGIN, alpha=0.0)
    bare.label_smoothing = NOISE if kind == "sigmoid" else 0.0
    ends = means_of(case, tokens) if kind == "simpo" else tokens.sum(1).chunk(2)
    return bare.cpo_loss(*ends)[0].mean()


def through_kto(case: Case, tokens: Tensor) -> Tensor:
    bare = without_setup(
        KTOTrainer, beta=BETA, loss_type="kto", calculate_KL=True, desirable_weight=GOOD, undesirable_weight=BAD
    )
    bare._compute_kl_logps = lambda model, batch: case.beside
    batch = {**inputs_of(case), "label": case.is_good, "ref_logps": case.start.sum(1)}
    return bare._compute_loss(
        model_of(tokens), batch | {"ref_KL_logps": torch.zeros_like(case.beside)}, return_outputs=False
    )


NAMES = (
    "DPO",
    "robust DPO",
    "IPO, length-normalized",
    "cDPO without a reference (TRL's CPO)",
    "SimPO",
    "ORPO, odds-ratio term",
    "KTO",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    print(f"TRL {trl.__version__}, torch {torch.__version__}, {arguments.seeds} draws of {PAIRS} pairs\n")
    print("| loss | mean of ours | largest difference of values | largest gradient | largest difference of gradients |")
    print("|---|---|---|---|---|")
    for name in NAMES:
        rows = [compared(Case(seed), name) for seed in range(arguments.seeds)]
        value, apart, size, gradient = (max(column) for column in zip(*rows, strict=True))
        print(f"| {name} | {value:.4f} | {apart:.1e} | {size:.1e} | {gradient:.1e} |")


def compared(case: Case, name: str) -> tuple[float, float, float, float]:
    """Value, difference of values, size of the gradient, difference of gradients."""
    found = []
    for loss in (ours, theirs):
        tokens = case.tokens.clone().requires_grad_()
        value = loss(case, name, tokens)
        (gradient,) = torch.autograd.grad(value, tokens)
        found.append((value.item(), gradient * case.mask))
    (a, by_a), (b, by_b) = found
    return a, abs(a - b), by_a.abs().max().item(), (by_a - by_b).abs().max().item()


def _same(value: Any) -> Any:
    return value


if __name__ == "__main__":
    main()
