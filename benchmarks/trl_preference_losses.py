"""Rows of `trl_losses` for methods that learn from pairs and from single judged answers."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor
from trl import DPOTrainer, KTOTrainer
from trl.experimental.cpo import CPOTrainer
from trl.experimental.orpo import ORPOTrainer
from trl_sides import Row, Says, without_setup

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
        drawn = -3 * torch.rand(2 * PAIRS, LONGEST, generator=generator)
        moved = 0.3 * torch.randn(2 * PAIRS, LONGEST, generator=generator)
        self.leaf, self.start = drawn[self.mask], (drawn + moved)[self.mask]
        self.beside = 8 * torch.randn(2 * PAIRS, generator=generator) + 2
        """How much likelier answers to other prompts became."""
        self.is_good = torch.rand(2 * PAIRS, generator=generator) < 0.6

    def answers(self, tokens: Tensor, *, normalized: bool = False) -> tuple[Tensor, Tensor]:
        """Our sums or means over the tokens of each answer: chosen, rejected."""
        row = torch.repeat_interleave(torch.arange(2 * PAIRS), self.lengths)
        found = answer_logps(tokens, row, 2 * PAIRS, normalized=normalized)
        return found[:PAIRS], found[PAIRS:]

    def padded(self, tokens: Tensor) -> Tensor:
        """The same in rows, with zeros behind [B, LONGEST]."""
        return torch.zeros(self.mask.shape, dtype=tokens.dtype).masked_scatter(self.mask, tokens)

    def inputs(self) -> dict[str, Tensor]:
        """A padded batch: one prompt token, then the answer."""
        start = torch.zeros(2 * PAIRS, 1, dtype=torch.long)
        ids = self.padded(torch.arange(len(self.leaf)))
        there = torch.cat([start, self.mask.long()], dim=1)
        return {"input_ids": torch.cat([start, ids], dim=1), "attention_mask": there, "completion_mask": there}


def ours(case: Case, tokens: Tensor, *, name: str) -> Tensor:
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


def theirs(case: Case, tokens: Tensor, *, name: str) -> Tensor:
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
    return (case.padded(tokens).sum(1) / case.mask.sum(1)).chunk(2)


def through_dpo(case: Case, tokens: Tensor, kind: str) -> Tensor:
    start = case.padded(case.start).sum(1).chunk(2)
    bare = without_setup(
        DPOTrainer,
        beta=BETA,
        loss_types=[kind],
        loss_weights=[1.0],
        ld_alpha=None,
        f_divergence_type="reverse_kl",
        use_weighting=False,
        precompute_ref_logps=True,
        label_smoothing=NOISE,
    )
    batch = {**case.inputs(), "ref_chosen_logps": start[0], "ref_rejected_logps": start[1]}
    return bare._compute_loss(Says(tokens), batch, return_outputs=False)


def through_cpo(case: Case, tokens: Tensor, kind: str) -> Tensor:
    bare = without_setup(CPOTrainer, beta=BETA, loss_type=kind, simpo_gamma=MARGIN, alpha=0.0)
    bare.label_smoothing = NOISE if kind == "sigmoid" else 0.0
    ends = means_of(case, tokens) if kind == "simpo" else case.padded(tokens).sum(1).chunk(2)
    return bare.cpo_loss(*ends)[0].mean()


def through_kto(case: Case, tokens: Tensor) -> Tensor:
    bare = without_setup(
        KTOTrainer,
        beta=BETA,
        loss_type="kto",
        calculate_KL=True,
        desirable_weight=GOOD,
        undesirable_weight=BAD,
        precompute_ref_logps=True,
    )
    bare._compute_kl_logps = lambda model, batch: case.beside
    batch = {**case.inputs(), "label": case.is_good, "ref_logps": case.padded(case.start).sum(1)}
    return bare._compute_loss(
        Says(tokens), batch | {"ref_KL_logps": torch.zeros_like(case.beside)}, return_outputs=False
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
ROWS = tuple(Row(name, Case, partial(ours, name=name), partial(theirs, name=name)) for name in NAMES)
