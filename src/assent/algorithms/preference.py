"""Direct preference optimization and its kin: learn from people's word on answers without a reward model.

Those with a reference take log-probabilities of whole answers (summed over their tokens) under policy and reference,
and depend only on the gap  h = log π/π_ref (chosen) - log π/π_ref (rejected). Given means over tokens in place of
sums, `dpo_loss` and its variants are length-normalized DPO (Lambert et al. 2024, Tülu 3, eq. 6). ORPO and SimPO have
no reference and take means over tokens; KTO takes single answers.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import logsigmoid

from assent.algorithms.masked import row_mean, row_sum


def answer_logps(
    logps: Float[Tensor, " S"], row: Int[Tensor, " S"], num_rows: int, *, normalized: bool
) -> Float[Tensor, " B"]:
    """Log-probability of each answer from those of its tokens: their sum, or `normalized` their mean."""
    return (row_mean if normalized else row_sum)(logps, row, num_rows)


def implicit_reward(logps: Float[Tensor, " B"], ref_logps: Float[Tensor, " B"], *, beta: float) -> Float[Tensor, " B"]:
    """The reward for which the policy is optimal, β log π/π_ref, up to a constant per prompt (Rafailov 2023, eq. 5)."""
    return beta * (logps - ref_logps)


def dpo_loss(
    chosen: Float[Tensor, " P"],
    rejected: Float[Tensor, " P"],
    ref_chosen: Float[Tensor, " P"],
    ref_rejected: Float[Tensor, " P"],
    *,
    beta: float,
) -> Float[Tensor, " P"]:
    """Direct preference optimization, -log σ(β h) (Rafailov et al. 2023, eq. 7). Is log 2 where policy = reference."""
    return -logsigmoid(beta * _gap(chosen, rejected, ref_chosen, ref_rejected))


def cdpo_loss(
    chosen: Float[Tensor, " P"],
    rejected: Float[Tensor, " P"],
    ref_chosen: Float[Tensor, " P"],
    ref_rejected: Float[Tensor, " P"],
    *,
    beta: float,
    label_smoothing: float,
) -> Float[Tensor, " P"]:
    """Conservative DPO: cross-entropy with a label that is wrong with chance `label_smoothing` ε (Mitchell 2023).

    Stops pushing at σ(β h) = 1 - ε. Is DPO at ε = 0.
    """
    _check_smoothing(label_smoothing)
    sure = torch.full_like(chosen, 1 - label_smoothing)
    return soft_dpo_loss(chosen, rejected, ref_chosen, ref_rejected, beta=beta, chance=sure)


def soft_dpo_loss(
    chosen: Float[Tensor, " P"],
    rejected: Float[Tensor, " P"],
    ref_chosen: Float[Tensor, " P"],
    ref_rejected: Float[Tensor, " P"],
    *,
    beta: float,
    chance: Float[Tensor, " P"],
) -> Float[Tensor, " P"]:
    """DPO with soft labels: cross-entropy of σ(β h) with the `chance` p that the chosen answer is better.

    Lowest at σ(β h) = p. Is DPO at p = 1, conservative DPO at p = 1 - ε, and at p = ½ lowest where h = 0.
    """
    logit = beta * _gap(chosen, rejected, ref_chosen, ref_rejected)
    return -chance * logsigmoid(logit) - (1 - chance) * logsigmoid(-logit)


def robust_dpo_loss(
    chosen: Float[Tensor, " P"],
    rejected: Float[Tensor, " P"],
    ref_chosen: Float[Tensor, " P"],
    ref_rejected: Float[Tensor, " P"],
    *,
    beta: float,
    label_smoothing: float,
) -> Float[Tensor, " P"]:
    """Provably robust DPO: its mean over labels flipped with chance ε is the DPO loss of the true labels.

    Chowdhury et al. 2024. Is DPO at ε = 0; not bounded below, since it must undo what flipped labels add.
    """
    _check_smoothing(label_smoothing)
    logit = beta * _gap(chosen, rejected, ref_chosen, ref_rejected)
    right, wrong = -logsigmoid(logit), -logsigmoid(-logit)
    return ((1 - label_smoothing) * right - label_smoothing * wrong) / (1 - 2 * label_smoothing)


def ipo_loss(
    chosen: Float[Tensor, " P"],
    rejected: Float[Tensor, " P"],
    ref_chosen: Float[Tensor, " P"],
    ref_rejected: Float[Tensor, " P"],
    *,
    beta: float,
) -> Float[Tensor, " P"]:
    """Identity preference optimization, (h - 1/(2β))² (Azar et al. 2023, eq. 17; their τ is our β). In nats squared."""
    return (_gap(chosen, rejected, ref_chosen, ref_rejected) - 1 / (2 * beta)).square()


def odds_ratio_loss(chosen: Float[Tensor, " P"], rejected: Float[Tensor, " P"]) -> Float[Tensor, " P"]:
    """The odds-ratio term of ORPO, -log σ(log odds(chosen) - log odds(rejected)) (Hong et al. 2024, eq. 6 and 7).

    Of mean log-probabilities per token, below 0; odds(y) = p/(1 - p) with p = exp(mean). ORPO adds it, times λ, to the
    negative log-likelihood of the chosen answer.
    """
    return -logsigmoid(_log_odds(chosen) - _log_odds(rejected))


def simpo_loss(
    chosen: Float[Tensor, " P"], rejected: Float[Tensor, " P"], *, beta: float, margin: float
) -> Float[Tensor, " P"]:
    """Simple preference optimization, -log σ(β (chosen - rejected) - γ) (Meng et al. 2024, eq. 6); γ is `margin`.

    Of mean log-probabilities per token, without a reference.
    """
    return -logsigmoid(beta * (chosen - rejected) - margin)


def kto_loss(
    logps: Float[Tensor, " B"],
    ref_logps: Float[Tensor, " B"],
    is_good: Bool[Tensor, " B"],
    *,
    reference_point: Float[Tensor, ""],
    beta: float,
) -> Float[Tensor, " B"]:
    """Kahneman-Tversky optimization of single answers, 1 - σ(±(r - z)) (Ethayarajh et al. 2024, eq. 8), unweighted.

    r = β log π/π_ref, z = β · `reference_point`; plus for good answers, minus for bad ones. Saturates on both sides, so
    an answer that is far from its label is left alone. Is ½ where r = z.
    """
    ahead = beta * (logps - ref_logps - reference_point)
    return 1 - torch.where(is_good, ahead, -ahead).sigmoid()


def kto_reference_point(logps: Float[Tensor, " N"], ref_logps: Float[Tensor, " N"]) -> Float[Tensor, ""]:
    """z of KTO before β, in nats: how far the policy went on answers to other prompts, at least 0, without gradient.

    An estimate of KL(π, π_ref) from mismatched prompts and answers (Ethayarajh et al. 2024, section 4.1).
    """
    return (logps - ref_logps).mean().clamp(min=0).detach()


def _log_odds(mean_logps: Tensor) -> Tensor:
    """log(p/(1 - p)) of p = exp(mean log-probability), which rounding may have made 1."""
    below = mean_logps.clamp(max=_SUREST)
    return below - torch.log(-torch.expm1(below))


def _gap(chosen: Tensor, rejected: Tensor, ref_chosen: Tensor, ref_rejected: Tensor) -> Tensor:
    """How much more the policy than the reference favours the chosen answer, in nats."""
    return (chosen - ref_chosen) - (rejected - ref_rejected)


def _check_smoothing(label_smoothing: float) -> None:
    if not 0 <= label_smoothing < 0.5:
        raise ValueError(f"label_smoothing is the chance of a wrong label, 0 <= it < 0.5, got {label_smoothing}")


_SUREST = -1e-6
