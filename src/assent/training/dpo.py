"""Direct preference optimization on rankings of any K: pairs with hard or soft labels, or whole orders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from torch import Tensor

from assent.algorithms.masked import row_mean
from assent.algorithms.objective import Loss, Weighted, loss_of, weighted
from assent.algorithms.preference import implicit_reward, ipo_loss, robust_dpo_loss, soft_dpo_loss
from assent.core.group import Group
from assent.learner.learner import Learner, Objective
from assent.models.groups import GroupBatch
from assent.models.policy import TokenScores
from assent.training.loop import Loop
from assent.training.members import Member, Members
from assent.training.preference import (
    Examination,
    Lesson,
    PreferenceResult,
    Ranked,
    Reference,
    both_logps,
    decided,
    order_of,
    passes,
    weights_of,
    with_best,
)
from assent.training.preference_config import DPOConfig
from assent.training.reward import Total
from assent.training.targets import Target, local_chances, local_pairs
from assent.training.whole_orders import WholeOrders


def train_dpo(
    policy: Learner[TokenScores],
    groups: Sequence[Group],
    targets: Sequence[Target],
    config: DPOConfig,
    loop: Loop,
    held_out: Ranked | None = None,
) -> PreferenceResult:
    """Train the policy. The reference is the policy as it comes in; its log-probs are computed once.

    What is `held_out` is measured on the way and never learned.
    """
    members = _members((groups, targets), config, "DPO")
    order = order_of(members, config, loop)
    reference = Reference(policy, members.groups, config.optimizer.tokens_per_microbatch)
    whole = WholeOrders(members, order, reference, config) if config.ranking == "plackett_luce" else None

    def objective(step: int, chosen: Sequence[int]) -> Objective[TokenScores]:
        own = [members[i] for i in chosen]
        total = None if whole is None else whole.likelihood.at(step, chosen, own)
        return partial(dpo_objective, members=own, reference=reference.of(chosen), config=config, total=total)

    lesson = Lesson("DPO", members.groups, weights_of(members), objective, order, {"reference": reference})
    if whole is not None:
        lesson = replace(lesson, remember=whole.remember, parts={**lesson.parts, **whole.likelihood.parts()})
    if held_out is not None:
        unseen = _members(held_out, config, "DPO on what is held out")
        lesson = replace(lesson, held_out=_examination(policy, unseen, config, whole))
    return passes(policy, lesson, config, loop)


def _members(ranked: Ranked, config: DPOConfig, title: str) -> Members:
    found = decided(*ranked, title)
    if config.ranking == "plackett_luce":  # where answers are ordered, ties among the others say something too
        found = Members(*ranked).where(lambda target: not target.pairs.is_tie.all())
    return found


def _examination(
    policy: Learner[TokenScores], unseen: Members, config: DPOConfig, whole: WholeOrders | None
) -> Examination:
    """The same loss of groups that are not learned, against the policy as it comes in."""
    groups = unseen.groups
    reference = Reference(policy, groups, config.optimizer.tokens_per_microbatch)

    def objective() -> Objective[TokenScores]:
        total = None if whole is None else whole.likelihood.total(unseen)
        start = reference.of(range(len(groups)))
        return partial(dpo_objective, members=unseen, reference=start, config=config, total=total)

    return Examination(groups, objective, {"heldout_reference": reference})


def dpo_objective(
    scores: TokenScores,
    batch: GroupBatch,
    *,
    members: Sequence[Member],
    reference: Tensor,
    config: DPOConfig,
    total: Total | None = None,
) -> Loss:
    """DPO (Rafailov et al. 2023, eq. 7) of every decided pair, or where given the `total` loss of whole orders.

    `reference` [rows of the optimizer batch] are log-probs of the start, summed over the answers' tokens.
    """
    logps, start = both_logps(scores, batch, reference, normalized=config.length_normalized)
    pairs = local_pairs(batch, members)
    ahead = (logps - start).detach()
    if total is None:
        ends = (logps[pairs.better], logps[pairs.worse], start[pairs.better], start[pairs.worse])
        loss = loss_of(_losses(*ends, local_chances(batch, members), config), weight=pairs.weight, metrics={})
    else:
        rewards = implicit_reward(logps, start, beta=config.beta)
        summed, divisor = total((rewards, rewards[:, None]), batch, pairs), float(pairs.weight.sum())
        loss = Loss(summed, divisor, {"loss": Weighted(summed.detach(), divisor)})
    weight = pairs.weight * ~pairs.is_tie
    margin = config.beta * (ahead[pairs.better] - ahead[pairs.worse])
    loss.metrics.update(
        accuracy=weighted(margin > 0, weight),
        margin=weighted(margin, weight),
        better_gain=weighted(ahead[pairs.better], weight),
    )
    means = row_mean(scores.logps, batch.row, batch.num_rows) if config.sft else logps
    return with_best(loss, means, batch, members, factor=config.sft)


def _losses(
    better: Tensor, worse: Tensor, ref_better: Tensor, ref_worse: Tensor, chance: Tensor, config: DPOConfig
) -> Tensor:
    ends, noise = (better, worse, ref_better, ref_worse), config.label_smoothing
    match config.loss:
        case "sigmoid":
            return soft_dpo_loss(*ends, beta=config.beta, chance=chance * (1 - noise) + (1 - chance) * noise)
        case "ipo":
            return ipo_loss(*ends, beta=config.beta)
        case "robust":
            return robust_dpo_loss(*ends, beta=config.beta, label_smoothing=noise)
