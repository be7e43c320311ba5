"""The only place that makes learners and scorers, of this process alone or of several, for the models of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from assent.core import seeds
from assent.core.errors import ConfigError
from assent.core.group import Group
from assent.core.lazy import Places
from assent.core.runlog import RunLog
from assent.learner import peers
from assent.learner.config import OptimizerConfig
from assent.learner.learner import Learner, Scorer
from assent.learner.local import LocalLearner
from assent.learner.scorer import LocalScorer, score_groups
from assent.learner.trunk import TrunkLearner
from assent.models.checkpointing import checkpointed
from assent.models.groups import GroupBatch
from assent.models.policy import PolicyModel, TokenScores
from assent.models.scalar import ScalarModel
from assent.training.config import RewardConfig
from assent.training.loop import Loop
from assent.training.members import Member, Members
from assent.training.reward import Outputs, RewardFit, Trained, train_reward
from assent.training.targets import Target

Training = Callable[[int, int], AbstractContextManager[None]]
"""What a model computes within for a gradient, by optimizer step and micro-batch."""


def policy_learner(
    policy: PolicyModel, config: OptimizerConfig, *, temperature: float = 1.0, seed: int = 0
) -> Learner[TokenScores]:
    """Trains a policy through the log-probs of scored tokens, at the temperature that they are sampled with.

    The seed is that of the adapters' dropout, if any.
    """
    return _learner(
        policy, lambda batch: policy.logps(batch, temperature=temperature), config, _training(policy, config, seed)
    )


def value_learner(critic: ScalarModel, config: OptimizerConfig) -> Learner[Tensor]:
    """Trains a value model through the values of the states before scored tokens."""
    return _learner(critic, critic.at_scored, config, _training(critic, config))


def trunk_learners(
    policy: PolicyModel, config: OptimizerConfig, of_head: OptimizerConfig, *, temperature: float = 1.0, seed: int = 0
) -> tuple[Learner[TokenScores], Learner[Tensor]]:
    """Trains a policy, and on its states a new value head: in one pass through the first, or the head alone.

    The first says log-probs and values, the second values. The head is in neither the policy nor its weights. Raises
    ConfigError for several processes, ModelError for a policy in padded rows.
    """
    if peers.is_joined():
        raise ConfigError("optimize.value is shared_trunk, which one process computes; set it to own_model")
    beside = policy.new_value_head()
    head = LocalLearner(dict(beside.named_parameters()), lambda batch: policy.values(batch, beside), of_head)
    trunk = TrunkLearner(
        policy.parameters(),
        lambda batch: policy.logps(batch, temperature=temperature, value_head=beside),
        config,
        head=head,
        training=_training(policy, config, seed),
    )
    return trunk, head


def reward_learner(model: ScalarModel, config: OptimizerConfig, *, seed: int = 0) -> Learner[Outputs]:
    """Trains a reward model through the scores of rows, the states that they are read from, and criteria's heads."""
    outputs: Callable[[GroupBatch], Outputs] = (
        model.at_last_with_criteria if model.criteria else model.at_last_with_states
    )
    return _learner(model, outputs, config, _training(model, config, seed))


def _learner(
    model: PolicyModel | ScalarModel,
    outputs: Callable[[GroupBatch], Any],
    config: OptimizerConfig,
    training: Training = lambda step, part: nullcontext(),
) -> Learner[Any]:
    """The learner of this process, or its part in that of the processes that it has joined."""
    if not peers.is_joined():
        return LocalLearner(model.parameters(), outputs, config, training=training)
    from assent.learner.fsdp import ShardedLearner  # only several processes load what it needs

    return ShardedLearner(model.hf, outputs, config, training=training)


def _scorer(
    model: PolicyModel | ScalarModel,
    outputs: Callable[[GroupBatch], Any],
    within: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Scorer[Any]:
    """Asks a model of this process, or one that all processes ask together, each for its share."""
    if not peers.is_joined():
        return LocalScorer(outputs, within=within)
    from assent.learner.fsdp import ShardedScorer

    return ShardedScorer(model.hf, outputs, within=within)


@dataclass(frozen=True)
class LiveWeights:
    """The trained weights of a policy as they are, for an engine that has a copy."""

    policy: PolicyModel

    def weights(self) -> dict[str, Tensor]:
        """By name, whole; processes that train together ask together."""
        own = {name: one.detach() for name, one in self.policy.parameters().items()}
        return {n: one.full_tensor() if hasattr(one, "full_tensor") else one.clone() for n, one in own.items()}


@contextmanager
def saving(model: PolicyModel | ScalarModel) -> Iterator[bool]:
    """Inside this block a model can be saved by whom True is given: this process, or the first of several."""
    if not peers.is_joined():
        yield True
        return
    from assent.learner.sharding import gathered_on_first

    with gathered_on_first(model.hf):
        yield peers.is_first()


def _training(
    model: PolicyModel | ScalarModel, config: OptimizerConfig, seed: int = 0
) -> Callable[[int, int], AbstractContextManager[None]]:
    """What a micro-batch is computed within for its gradient: dropout by its seed, layers computed again if asked."""

    @contextmanager
    def within(step: int, part: int) -> Iterator[None]:
        again = checkpointed(model.core) if config.checkpointing == "on" else nullcontext()
        with model.dropping(seeds.derive(seed, "adapter dropout", step, part)), again:
            yield

    return within


def policy_scorer(policy: PolicyModel, *, temperature: float = 1.0) -> Scorer[TokenScores]:
    """Asks a policy that does not learn."""
    return _scorer(policy, lambda batch: policy.logps(batch, temperature=temperature))


def adapters_off(policy: PolicyModel, *, temperature: float = 1.0) -> Scorer[TokenScores]:
    """Asks a policy under LoRA as it was before its adapters: the same base, no second copy."""
    return _scorer(policy, lambda batch: policy.logps(batch, temperature=temperature), policy.reference)


def row_scorer(model: ScalarModel) -> Scorer[Tensor]:
    """Asks a reward model for the raw score of each answer [B]."""
    return _scorer(model, model.at_last)


def scored_with_bar(model: ScalarModel, groups: Sequence[Group], budget: int, log: RunLog, what: str) -> list[float]:
    """The score of every answer, group by group, with a bar that says what is scored."""
    with log.progress(what, sum(len(one.continuations) for one in groups), is_aside=True) as bar:
        return score_groups(row_scorer(model), groups, budget=budget, on_progress=bar.advance)


def criterion_scorer(model: ScalarModel, weights: Mapping[str, float], *, points: bool) -> Scorer[Tensor]:
    """Asks the heads of criteria for a weighted sum of what they say of each answer [B].

    In deviations from the mean, or as `points` on the raters' scale. Raises ConfigError for a criterion without a head.
    """
    known = [one.name for one in model.criteria]
    for name in weights:
        if name not in known:
            has = f"it has {', '.join(known)}" if known else "it has the overall score alone"
            raise ConfigError(f"the reward model has no criterion {name!r}; {has}: train it with reward.criteria")
    factor = torch.tensor([weights.get(one.name, 0.0) for one in model.criteria])
    scale = torch.tensor([one.std if points else 1.0 for one in model.criteria])
    middle = torch.tensor([one.mean if points else 0.0 for one in model.criteria])

    def scores(batch: GroupBatch) -> Tensor:
        said = model.at_last_with_criteria(batch)[2].cpu()
        return (said * scale + middle) @ factor

    return _scorer(model, scores)


def all_heads(model: ScalarModel) -> Scorer[Outputs]:
    """Asks a reward model for scores, states and what the heads of criteria say."""
    return _scorer(model, model.at_last_with_criteria)


def state_scorer(model: ScalarModel) -> Scorer[Outputs]:
    """Asks a reward model for the raw score of each answer [B], and the state it is read from [B, d]."""
    return _scorer(model, model.at_last_with_states)


def train_reward_model(
    model: ScalarModel,
    groups: Sequence[Group],
    targets: Sequence[Target],
    config: RewardConfig,
    loop: Loop,
    *,
    attributes: Mapping[str, Mapping[str, str]] | None = None,
    weight: Mapping[str, float] | None = None,
    held_out: Sequence[Member] = (),
    asked: Places | None = None,
) -> Trained:
    """Fit `model` in place and set its score normalisation; see `RewardFit.of` for `attributes` and `weight`.

    What is `held_out` is measured on the way and never learned; for `asked` see `train_reward`.
    """
    fit = RewardFit.of(
        Members(groups, targets),
        config,
        features=model.num_features,
        seed=loop.seed,
        attributes=attributes,
        weight=weight,
    )
    learner = reward_learner(model, config.optimizer, seed=loop.seed)
    trained = train_reward(learner, fit, config, loop, held_out, asked)
    model.score_mean, model.score_std = trained.score_mean, trained.score_std
    return trained
