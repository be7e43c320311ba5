"""ORPO: fine-tune on the best answers, and raise their odds above those of the others (Hong et al. 2024)."""

from __future__ import annotations

from collections.abc import Sequence

from assent.algorithms.objective import Loss, loss_of, weighted
from assent.algorithms.preference import answer_logps, odds_ratio_loss
from assent.core.group import Group
from assent.learner.learner import Learner
from assent.models.groups import GroupBatch
from assent.models.policy import TokenScores
from assent.training.loop import Loop
from assent.training.preference import Member, PreferenceResult, Ranked, on_pairs, with_best
from assent.training.preference_config import ORPOConfig
from assent.training.targets import Target, local_pairs


def train_orpo(
    policy: Learner[TokenScores],
    groups: Sequence[Group],
    targets: Sequence[Target],
    config: ORPOConfig,
    loop: Loop,
    held_out: Ranked | None = None,
) -> PreferenceResult:
    """Train the policy, without a reference. What is `held_out` is measured on the way and never learned."""
    return on_pairs(policy, (groups, targets), orpo_objective, config, loop, held_out)


def orpo_objective(scores: TokenScores, batch: GroupBatch, *, members: Sequence[Member], config: ORPOConfig) -> Loss:
    """-mean log π(best) + λ · odds-ratio term of every decided pair (Hong et al. 2024, eq. 6), means over tokens."""
    means = answer_logps(scores.logps, batch.row, batch.num_rows, normalized=True)
    pairs = local_pairs(batch, members)
    better, worse = means[pairs.better], means[pairs.worse]
    losses = odds_ratio_loss(better, worse)
    lead = (better - worse).detach()
    metrics = {
        "accuracy": weighted(lead > 0, pairs.weight),
        "margin": weighted(lead, pairs.weight),
        "odds_loss": weighted(losses, pairs.weight),
    }
    loss = loss_of(config.odds_weight * losses, weight=pairs.weight, metrics=metrics)
    return with_best(loss, means, batch, members, factor=1.0)
