"""Best of n, learned: the start answers each prompt n times, and the policy is fine-tuned on the best of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from assent.algorithms.kl import best_of_n_kl
from assent.core import seeds
from assent.core.types import Prompt
from assent.models.groups import pack
from assent.training.average import MovingAverage
from assent.training.batches import EpochBatches
from assent.training.best_answers import BestAnswers
from assent.training.course import looks_of
from assent.training.held_out_answers import HeldOutAnswers
from assent.training.looks import Looks
from assent.training.loop import Loop, Resumable
from assent.training.on_policy import Roles, add_demonstrations, sample
from assent.training.online_config import BestOfNConfig
from assent.training.sft import next_token_loss


def train_best_of_n(roles: Roles, prompts: Sequence[Prompt], config: BestOfNConfig, loop: Loop) -> Mapping[str, Any]:
    """Sample for `config.steps` steps while the policy stays as it is, then pass over the answers that were kept.

    Returns what was kept, and how far the best of n may lie from the start. Raises ConfigError for bad settings.
    """
    config.refuse()
    kept, average = BestAnswers(), MovingAverage(roles.policy, config.ema)
    size = -(-config.prompts_per_step // config.minibatches)
    order = EpochBatches(config.steps * config.prompts_per_step, size, config.epochs, loop.seed)
    bound = best_of_n_kl(config.samples_per_prompt)
    loop.log.say(
        f"the best of {config.samples_per_prompt} lies at most {bound:.2f} nats from the start, log n - (n - 1)/n"
    )
    answers = None if roles.held_out is None else HeldOutAnswers(roles, config, seed=loop.seed)
    looks = looks_of(roles, answers, config, loop)
    looks.result = lambda: average.weights() or roles.policy.weights()
    parts: dict[str, Resumable] = {"policy": roles.policy, "kept": kept, "average": average, "looks": looks}
    total = config.steps + order.total_steps
    for step in loop.steps(total, parts, description="best of n", looks=_Later(looks, config.steps)):
        if step < config.steps:
            roles.writer.engine.load_weights(roles.policy, version=0)
            experience = sample(roles, prompts, config, seed=loop.seed, step=step)
            best = kept.keep(experience, config.samples_per_prompt)
            loop.log.record(step, {**experience.facts, "best_reward": best, "kl_bound": bound})
            loop.shown.update(reward=experience.facts["reward"], kept=best)
            continue
        metrics = update(roles, kept, order, config, number=step - config.steps, seed=loop.seed)
        average.observe()
        loop.log.record(step, {**metrics, "kl_bound": bound})
        loop.shown = {"loss": metrics["loss"]}
    average.take()
    looks.take()
    means = kept.rewards.mean(0).tolist()
    return {"kept": len(kept.groups), "mean_reward": means[0], "best_reward": means[1], "kl_bound": bound}


class _Later:
    """Looks at the second half alone: the policy stays as it is while answers are drawn."""

    def __init__(self, looks: Looks, drawing: int) -> None:
        self._looks, self._drawing = looks, drawing

    def begin(self) -> None:
        """Before the first step."""
        self._looks.begin()

    def after(self, taken: int, total: int) -> None:
        """After a step."""
        if taken > self._drawing:
            self._looks.after(taken, total)


def update(
    roles: Roles, kept: BestAnswers, order: EpochBatches, config: BestOfNConfig, *, number: int, seed: int
) -> dict[str, float]:
    """One optimizer step on the next-token loss of some kept answers, demonstrations mixed in if so configured."""
    batches = pack([kept.groups[i] for i in order.items(number)], budget=config.optimizer.tokens_per_microbatch)
    policy, weight = roles.policy, sum(batch.num_scored for batch in batches)
    metrics = policy.forward_backward(batches, next_token_loss, weight=weight).metrics
    if config.ptx.coefficient and roles.demonstrations:
        add_demonstrations(policy, roles.demonstrations, config, seed=seeds.derive(seed, "ptx", number))
    report = policy.step(learning_rate=config.optimizer.rate_at(policy.num_steps, order.total_steps))
    return {**metrics, **report._asdict()}
