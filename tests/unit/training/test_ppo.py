"""PPO: what must hold before the first update, what it learns, and what it refuses."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from training_toys import FAST, Toy, dying, share_of_e

from assent.core.errors import ConfigError, FunctionError
from assent.core.group import TokenIds
from assent.core.runlog import read_metrics
from assent.core.scoring import Score
from assent.core.types import Prompt
from assent.generation.config import Sampling
from assent.generation.engine import Generation, Weights
from assent.generation.local import LocalEngine
from assent.learner.learner import Learner
from assent.models.config import ModelConfig
from assent.models.policy import PolicyModel
from assent.pipeline.learners import policy_learner, policy_scorer, value_learner
from assent.training.loop import Loop
from assent.training.on_policy import Roles
from assent.training.on_policy_config import KLConfig, PPOConfig
from assent.training.ppo import train_ppo
from assent.training.rewards import Term, WeightedRewards

CONFIG = PPOConfig(
    steps=3,
    prompts_per_step=8,
    samples_per_prompt=2,
    sampling=Sampling(temperature=0.7, max_new_tokens=12),
    critic_warmup=0,
    epochs=2,
    minibatches=2,
    optimizer=FAST,
    value_optimizer=FAST,
    kl=KLConfig(kind="fixed", coefficient=0.02),
    kl_limit=None,
)


def roles(toy: Toy, reward: Score) -> Roles:
    policy, temperature = toy.policy(), CONFIG.sampling.temperature
    return Roles(
        policy=policy_learner(policy, FAST, temperature=temperature),
        reference=policy_scorer(toy.policy(trainable=False), temperature=temperature),
        reward=WeightedRewards((Term(1.0, "reward", reward),), clip=None),
        writer=toy.writer(policy),
    )


def critic(toy: Toy) -> Learner[Tensor]:
    return value_learner(toy.scalar(), FAST)


def test_before_the_first_update_the_ratio_is_exactly_one_and_the_kl_zero(
    toy: Toy, new_loop: Callable[..., Loop], prompts: list[Prompt]
) -> None:
    # Wrong temperature, another packing, dropout or stale weights in the sampler would each break one of these.
    loop = new_loop()
    train_ppo(roles(toy, share_of_e), prompts, CONFIG, loop, critic=critic(toy))
    first = read_metrics(loop.log.folder)[0]
    assert first["first_ratio_error"] == 0.0
    assert abs(first["kl_per_response"]) < 1e-4
    assert first["sampler_gap_max"] < 1e-3


def test_the_sampler_follows_the_weights(toy: Toy, new_loop: Callable[..., Loop], prompts: list[Prompt]) -> None:
    loop = new_loop()
    train_ppo(roles(toy, share_of_e), prompts, CONFIG, loop, critic=critic(toy))
    last = read_metrics(loop.log.folder)[-1]
    assert last["kl_per_response"] > 0.01, "the policy has not moved, so this test says nothing"
    assert last["sampler_gap_max"] < 1e-3


def test_with_products_in_bfloat16_the_first_ratio_is_one_and_the_sampler_follows(
    toy: Toy, new_loop: Callable[..., Loop], prompts: list[Prompt]
) -> None:
    rough, loop = replace(toy, config=ModelConfig(products="bfloat16")), new_loop()
    train_ppo(roles(rough, share_of_e), prompts, CONFIG, loop, critic=critic(rough))
    rows = read_metrics(loop.log.folder)
    assert rows[0]["first_ratio_error"] == 0.0
    assert rows[-1]["kl_per_response"] > 0.01, "the policy has not moved, so this test says nothing"
    assert rows[-1]["sampler_gap_max"] < 0.3


@pytest.mark.slow
def test_reward_rises_and_with_noise_it_does_not(
    toy: Toy, new_loop: Callable[..., Loop], prompts: list[Prompt]
) -> None:
    config = CONFIG.model_copy(update={"steps": 25, "prompts_per_step": 16})
    noise = torch.Generator().manual_seed(3)

    def random_reward(prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
        return torch.randn(len(completions), generator=noise).tolist()

    gains = {}
    for name, reward in {"e": share_of_e, "noise": random_reward}.items():
        used = roles(toy, reward)
        train_ppo(used, prompts, config, new_loop(name), critic=critic(toy))
        sampled = used.writer.engine.generate(
            [used.writer.renderer.prompt(p.messages) for p in prompts], num_samples=8, sampling=config.sampling, seed=99
        )
        texts = [used.writer.renderer.text(g.tokens) for row in sampled for g in row]
        gains[name] = sum(share_of_e(prompts, texts)) / len(texts)
    assert gains["e"] > 2 * gains["noise"], gains


class EngineElsewhere:
    """Samples from a second copy of the policy, and hears of new weights only where they are handed over."""

    is_exact = True

    def __init__(self, copy: PolicyModel) -> None:
        self._copy, self._engine, self.version = copy, LocalEngine(copy), -1

    def load_weights(self, source: Weights, *, version: int) -> None:
        own = self._copy.parameters()
        with torch.no_grad():
            for name, weight in source.weights().items():
                own[name].copy_(weight)
        self.version = version

    def generate(self, prompts: Sequence[TokenIds], **settings: Any) -> list[list[Generation]]:
        return self._engine.generate(prompts, **settings)

    def facts(self) -> Mapping[str, float]:
        return self._engine.facts()


def test_an_engine_that_only_hears_of_weights_when_they_are_handed_over_trains_to_the_same_bits(
    toy: Toy, new_loop: Callable[..., Loop], prompts: list[Prompt]
) -> None:
    local = roles(toy, share_of_e)
    train_ppo(local, prompts, CONFIG, new_loop("local"), critic=critic(toy))
    engine = EngineElsewhere(toy.policy())
    elsewhere = replace(local, policy=roles(toy, share_of_e).policy, writer=toy.writer(toy.policy(), engine))
    train_ppo(elsewhere, prompts, CONFIG, new_loop("elsewhere"), critic=critic(toy))
    assert engine.version == CONFIG.steps - 1
    assert_same(elsewhere.policy.weights(), local.policy.weights())
    logs = [new_loop(name).log.folder / "metrics.jsonl" for name in ("local", "elsewhere")]
    assert logs[0].read_text() == logs[1].read_text()
    assert read_metrics(logs[0].parent)[-1]["kl_per_response"] > 0.01, "the policy has not moved"


def test_a_killed_run_ends_with_the_same_bits(toy: Toy, new_loop: Callable[..., Loop], prompts: list[Prompt]) -> None:
    config = CONFIG.model_copy(update={"ema": 0.9, "kl": KLConfig(kind="adaptive", horizon=100)})
    undisturbed = roles(toy, share_of_e)
    train_ppo(undisturbed, prompts, config, new_loop("whole"), critic=critic(toy))

    with pytest.raises(KeyboardInterrupt):
        stopped = roles(toy, dying(share_of_e))
        train_ppo(stopped, prompts, config, new_loop("killed", seconds=0.0), critic=critic(toy))
    resumed = roles(toy, share_of_e)
    train_ppo(resumed, prompts, config, new_loop("killed", seconds=0.0), critic=critic(toy))
    assert_same(undisturbed.policy.weights(), resumed.policy.weights())
    whole, killed = (new_loop(n).log.folder for n in ("whole", "killed"))
    assert (whole / "metrics.jsonl").read_text() == (killed / "metrics.jsonl").read_text()


def test_micro_batches_do_not_change_the_update(toy: Toy, new_loop: Callable[..., Loop], prompts: list[Prompt]) -> None:
    ends = []
    for budget in (64, 100_000):
        optimizer = FAST.model_copy(update={"tokens_per_microbatch": budget, "learning_rate": 1e-4})
        config = CONFIG.model_copy(update={"steps": 1, "optimizer": optimizer})
        used = roles(toy, share_of_e)
        loop = new_loop(str(budget))
        train_ppo(used, prompts, config, loop, critic=critic(toy))
        ends.append(read_metrics(loop.log.folder)[0])
    for name in ("policy_loss", "value_loss", "grad_norm", "value_grad_norm", "approx_kl", "explained_variance"):
        assert ends[0][name] == pytest.approx(ends[1][name], rel=2e-3, abs=1e-6), name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sampling": Sampling(temperature=0.0)}, "greedy"),
        ({"sampling": Sampling(top_p=0.9)}, "biases the ratio to the rollout policy"),
        ({"sampling": Sampling(top_k=40)}, "top_k.* is 40, which biases the ratio .* use null"),
        ({"sampling": Sampling(min_p=0.1)}, "min_p.* is 0.1, which biases the ratio .* use 0.0"),
        ({"sampling": Sampling(repetition_penalty=1.2)}, "repetition_penalty.* is 1.2, which biases .* use 1.0"),
        ({"kl": KLConfig(kind="fixed", coefficient=0.0)}, "kl.kind=off"),
        ({"minibatches": 99}, "more than the 8 prompts"),
    ],
)
def test_unsafe_settings_refuse_to_start(
    toy: Toy, new_loop: Callable[..., Loop], prompts: list[Prompt], change: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        train_ppo(roles(toy, share_of_e), prompts, CONFIG.model_copy(update=change), new_loop(), critic=critic(toy))


def test_a_nan_reward_names_the_term_and_the_answer(
    toy: Toy, new_loop: Callable[..., Loop], prompts: list[Prompt]
) -> None:
    spoiled = roles(toy, lambda p, c: [math.nan] * len(c))
    with pytest.raises(FunctionError, match="reward returned nan at index 0"):
        train_ppo(spoiled, prompts, CONFIG, new_loop(), critic=critic(toy))


def assert_same(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    for name, weight in expected.items():
        assert torch.equal(weight, found[name]), name
