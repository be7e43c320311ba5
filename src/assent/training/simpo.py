"""SimPO: mean log-probabilities per token as rewards, with a margin and without a reference (Meng et al. 2024)."""

from __future__ import annotations

from collections.abc import Sequence

from assent.algorithms.objective import Loss, loss_of, weighted
from assent.algorithms.preference import answer_logps, simpo_loss
from assent.core.group import Group
from assent.learner.learner import Learner
from assent.models.groups import GroupBatch
from assent.models.policy import TokenScores
from assent.training.loop import Loop
from assent.training.preference import Member, PreferenceResult, Ranked, on_pairs, with_best
from assent.training.preference_config import SimPOConfig
from assent.training.targets import Target, local_pairs


def train_simpo(
    policy: Learner[TokenScores],
    groups: Sequence[Group],
    targets: Sequence[Target],
    config: SimPOConfig,
    loop: Loop,
    held_out: Ranked | None = None,
) -> PreferenceResult:
    """Train the policy, without a reference. What is `held_out` is measured on the way and never learned."""
    return on_pairs(policy, (groups, targets), simpo_objective, config, loop, held_out)


def simpo_objective(scores: TokenScores, batch: GroupBatch, *, members: Sequence[Member], config: SimPOConfig) -> Loss:
    """-log σ(β · lead per token - γ) of every decided pair (Meng et al. 2024, eq. 6), and the next-token loss."""
    means = answer_logps(scores.logps, batch.row, batch.num_rows, normalized=True)
    pairs = local_pairs(batch, members)
    better, worse = means[pairs.better], means[pairs.worse]
    losses = simpo_loss(better, worse, beta=config.beta, margin=config.margin)
    lead = (better - worse).detach()
    metrics = {"accuracy": weighted(lead > 0, pairs.weight), "margin": weighted(config.beta * lead, pairs.weight)}
    return with_best(loss_of(losses, weight=pairs.weight, metrics=metrics), means, batch, members, factor=config.sft)
