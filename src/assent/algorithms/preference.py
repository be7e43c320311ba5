"""Direct preference optimization and its kin: learn from chosen and rejected answers without a reward model.

All take log-probabilities of whole answers (summed over their tokens) under policy and reference, one entry per pair,
and depend only on the gap  h = log π/π_ref (chosen) - log π/π_ref (rejected).
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import logsigmoid


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
    logit = beta * _gap(chosen, rejected, ref_chosen, ref_rejected)
    return -(1 - label_smoothing) * logsigmoid(logit) - label_smoothing * logsigmoid(-logit)


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


def _gap(chosen: Tensor, rejected: Tensor, ref_chosen: Tensor, ref_rejected: Tensor) -> Tensor:
    """How much more the policy than the reference favours the chosen answer, in nats."""
    return (chosen - ref_chosen) - (rejected - ref_rejected)


def _check_smoothing(label_smoothing: float) -> None:
    if not 0 <= label_smoothing < 0.5:
        raise ValueError(f"label_smoothing is the chance of a wrong label, 0 <= it < 0.5, got {label_smoothing}")
