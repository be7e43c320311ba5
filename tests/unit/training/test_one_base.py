"""PPO's four models on one base: the numbers of separate models, also after a kill, and when they stay apart."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from assent.artifacts.store import Artifact, Manifest
from assent.core.errors import ConfigError
from assent.core.runlog import read_metrics
from assent.core.types import Prompt
from assent.generation.config import Sampling
from assent.learner.config import OptimizerConfig
from assent.learner.learner import Learner
from assent.models import adapter_start, shared_base
from assent.models.config import LoraConfig, ModelConfig
from assent.models.policy import PolicyModel
from assent.models.scalar import ScalarModel
from assent.models.tiny import save_tiny
from assent.pipeline.backends import Backends, save_reward
from assent.pipeline.config import ComputeConfig, RunConfig
from assent.pipeline.learners import policy_learner, value_learner
from assent.pipeline.one_base import OneBase
from assent.training.loop import Loop
from assent.training.on_policy import Roles
from assent.training.on_policy_config import KLConfig, PPOConfig
from assent.training.ppo import train_ppo
from assent.training.rewards import Term, WeightedRewards

SLOW = OptimizerConfig(learning_rate=3e-4, schedule="constant", warmup=0.0, tokens_per_microbatch=256)
CONFIG = PPOConfig(
    steps=3,
    prompts_per_step=4,
    samples_per_prompt=2,
    sampling=Sampling(temperature=0.7, max_new_tokens=8),
    critic_warmup=1,
    epochs=2,
    minibatches=2,
    optimizer=SLOW,
    value_optimizer=SLOW,
    kl=KLConfig(kind="adaptive", horizon=100),
    kl_limit=None,
)
LORA = ModelConfig(lora=LoraConfig(rank=4))
ON_CPU = ComputeConfig(device="cpu")
NewLoop = Callable[..., Loop]


@dataclass(frozen=True)
class Round:
    """A start and a reward model that was trained on it by LoRA, as a run leaves them."""

    start: Path
    reward: Path

    def open(self, *, model: ModelConfig = LORA, **settings: Any) -> tuple[Backends, PolicyModel, list[str]]:
        """The backends of PPO with such settings, the policy to train, and what was said."""
        said: list[str] = []
        backends = Backends(model, ON_CPU)
        policy = backends.policy(self.start, trainable=True)
        config = CONFIG.model_copy(update=settings)
        return OneBase.of(backends, policy, self.start, config, said.append), policy, said

    def trained(self, backends: Backends, policy: PolicyModel, loop: Loop, prompts: Sequence[Prompt]) -> Trained:
        """Train; a loop named "dies" is killed in its third batch."""
        scorer = backends.scorer(self.reward, normalize=True, tokens_per_microbatch=256)
        rewards = WeightedRewards((Term(1.0, "reward", scorer),), CONFIG.reward_clip)
        if loop.log.folder.name == "dies":
            rewards = Deadly(rewards.terms, rewards.clip)
        temperature = CONFIG.sampling.temperature
        roles = Roles(
            policy=policy_learner(policy, CONFIG.optimizer, temperature=temperature),
            reference=backends.reference(policy, self.start, temperature=temperature),
            reward=rewards,
            writer=backends.writer(policy, name="toy"),
        )
        values = backends.critic(self.start, self.reward, seed=0)
        critic = value_learner(values, CONFIG.value_optimizer)
        train_ppo(roles, prompts, CONFIG, loop, critic=critic, value_model=values)
        return Trained(roles.policy, critic, read_metrics(loop.log.folder))


@dataclass(frozen=True)
class Trained:
    policy: Learner[Any]
    critic: Learner[Tensor]
    metrics: list[dict[str, float]]

    @property
    def weights(self) -> dict[str, Tensor]:
        learners = {"policy": self.policy, "value": self.critic}
        return {f"{who}/{n}": w for who, learner in learners.items() for n, w in learner.weights().items()}


class Deadly(WeightedRewards):
    """Rewards that end the process in the third batch."""

    calls = 0

    def __call__(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> Any:
        Deadly.calls += 1
        if Deadly.calls == 3:
            raise KeyboardInterrupt
        return super().__call__(prompts, completions)


class CopyEach(Backends):
    """The same four LoRA models, every one on a copy of the base that is its own."""

    def reward_model(self, folder: Path | str, *, trainable: bool) -> ScalarModel:
        start = Path(folder).parents[1] / "policy-a" / "policy"
        own = self.policy(start, trainable=True)
        reward = shared_base.reward_on(own, Path(folder), config=self.model)
        return shared_base.value_from_reward(reward, config=self.model) if trainable else reward


@pytest.fixture(scope="session")
def lora_round(tmp_path_factory: pytest.TempPathFactory) -> Round:
    folder = tmp_path_factory.mktemp("round")
    start = save_tiny(folder / "policy-a" / "policy", "llama")
    model = ScalarModel.from_policy(start, config=LORA, seed=2)
    draw = torch.Generator().manual_seed(1)
    for parameter in model.parameters().values():
        parameter.data.add_(0.05 * torch.randn(parameter.shape, generator=draw))
    model.score_mean, model.score_std = 0.25, 2.0
    manifest = Manifest(kind="policy", key="a" * 64, stage="sft", version=1, config={})
    save_reward(model, folder / "reward-b", start=Artifact(start.parent, manifest))
    (folder / "reward-b" / "manifest.json").write_text("{}", encoding="utf-8")
    return Round(start, folder / "reward-b" / "reward")


def test_ppo_has_the_numbers_of_four_models_also_after_a_kill(
    lora_round: Round, new_loop: NewLoop, prompts: list[Prompt]
) -> None:
    shared, policy, said = lora_round.open()
    one = lora_round.trained(shared, policy, new_loop("one"), prompts)
    assert isinstance(shared, OneBase) and said == []
    copies = CopyEach(LORA, ON_CPU)
    four = lora_round.trained(copies, copies.policy(lora_round.start, trainable=True), new_loop("four"), prompts)
    assert one.metrics == four.metrics
    assert one.weights.keys() == four.weights.keys()
    assert all(torch.equal(weight, four.weights[name]) for name, weight in one.weights.items())
    factor = next(n for n in one.weights if n.startswith("policy/") and "lora_B" in n)
    assert one.weights[factor].abs().max() > 1e-4, "the policy has not moved, so this test says nothing"

    merged, its_policy, _ = lora_round.open(shared_base="never")
    assert type(merged) is Backends
    before = lora_round.trained(merged, its_policy, new_loop("merged"), prompts)
    for name, weight in one.weights.items():
        torch.testing.assert_close(weight, before.weights[name], atol=1e-6, rtol=0)
    for ours, theirs in zip(one.metrics, before.metrics, strict=True):
        numbers = {name: value for name, value in theirs.items() if isinstance(value, float)}
        assert {name: ours[name] for name in numbers} == pytest.approx(numbers, rel=1e-5, abs=2e-5)

    dying, its_policy, _ = lora_round.open()
    with pytest.raises(KeyboardInterrupt):
        lora_round.trained(dying, its_policy, new_loop("dies", seconds=0.0), prompts)
    shutil.move(new_loop("dies").log.folder, new_loop("dies").log.folder.with_name("resumed"))
    again, its_policy, _ = lora_round.open()
    resumed = lora_round.trained(again, its_policy, new_loop("resumed", seconds=0.0), prompts)
    assert resumed.metrics == one.metrics
    assert all(torch.equal(weight, resumed.weights[name]) for name, weight in one.weights.items())


def addresses(model: PolicyModel | ScalarModel) -> set[int]:
    return {p.data_ptr() for p in model.hf.parameters() if p.numel() > 1000}


def test_reward_and_value_stand_on_the_policys_base_and_share_the_rewards_adapter(lora_round: Round) -> None:
    backends, policy, _ = lora_round.open()
    reward = backends.reward_model(lora_round.reward, trainable=False)
    value = backends.critic(lora_round.start, lora_round.reward, seed=0)
    fresh = backends.critic(lora_round.start, None, seed=0)
    base = {p.data_ptr() for p in policy.hf.parameters() if not p.requires_grad and p.numel() > 1000}
    assert len(base) > 10
    table = policy.core.get_input_embeddings().weight.data_ptr()
    for model in (reward, value, fresh):
        assert len(addresses(model) & base) >= len(base) - 1, "all but the head of words"
        assert table in addresses(model)
    assert {p.data_ptr() for n, p in reward.hf.named_parameters() if ".lora_" in n} <= {
        p.data_ptr() for p in value.hf.parameters()
    }


def test_the_same_base_elsewhere_is_known_by_its_content(lora_round: Round, tmp_path: Path) -> None:
    moved = Round(shutil.copytree(lora_round.start, tmp_path / "start"), lora_round.reward)
    backends, policy, said = moved.open()
    reward = backends.reward_model(moved.reward, trainable=False)
    assert policy.core.get_input_embeddings().weight.data_ptr() in addresses(reward) and said == []


def other_weights(one: Round, folder: Path) -> Round:
    start = shutil.copytree(one.start, folder / "start")
    weights = load_file(start / "model.safetensors")
    next(iter(weights.values())).view(-1)[0] += 1e-3
    save_file(weights, start / "model.safetensors", metadata={"format": "pt"})
    return Round(start, one.reward)


def other_tokens(one: Round, folder: Path) -> Round:
    start = shutil.copytree(one.start, folder / "start")
    text = (start / "tokenizer.json").read_text(encoding="utf-8")
    (start / "tokenizer.json").write_text(text + "\n", encoding="utf-8")
    return Round(start, one.reward)


def without_adapter(one: Round, folder: Path) -> Round:
    ScalarModel.load(one.reward, config=ModelConfig(), trainable=False).save(folder / "reward")
    return Round(one.start, folder / "reward")


def without_base(one: Round, folder: Path) -> Round:
    """As older runs kept it, a whole model with its adapter beside it, in another place than its start."""
    made = folder / "moved"
    whole = without_adapter(one, made)
    shutil.copytree(one.reward, made / "adapter", ignore=lambda *_: [adapter_start.FILE])
    (made / "manifest.json").write_text("{}", encoding="utf-8")
    return whole


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (other_weights, "trained on other weights than the start of this policy"),
        (other_tokens, "another tokenizer"),
        (without_adapter, "whole weights and no adapter"),
        (without_base, "the adapter's base ../../policy-a/policy is not there"),
    ],
)
def test_what_does_not_fit_stays_apart_and_says_why_in_a_line(
    change: Callable[[Round, Path], Round], reason: str, lora_round: Round, tmp_path: Path
) -> None:
    odd = change(lora_round, tmp_path)
    backends, policy, said = odd.open()
    reward = backends.reward_model(odd.reward, trainable=False)
    backends.critic(odd.start, odd.reward, seed=0)
    assert not addresses(reward) & addresses(policy)
    assert len(said) == 1 and reason in said[0] and said[0].startswith("the reward model has a base of its own: ")
    with pytest.raises(ConfigError, match="optimize.shared_base is always, but") as caught:
        odd.open(shared_base="always")[0].reward_model(odd.reward, trainable=False)
    assert reason in str(caught.value) and "\n" not in str(caught.value)


def test_rounded_weights_are_shared_only_where_that_is_asked_for(lora_round: Round) -> None:
    rounded = LORA.model_copy(update={"dtype": "bfloat16"})
    backends, policy, said = lora_round.open(model=rounded)
    assert not addresses(policy) & addresses(backends.reward_model(lora_round.reward, trainable=False))
    assert len(said) == 1 and "rounded to bfloat16" in said[0] and "optimize.shared_base=always takes that" in said[0]
    asked, policy, said = lora_round.open(model=rounded, shared_base="always")
    reward = asked.reward_model(lora_round.reward, trainable=False)
    assert policy.core.get_input_embeddings().weight.data_ptr() in addresses(reward) and said == []


def test_a_run_that_trains_all_weights_cannot_ask_for_it() -> None:
    values = {"base": {"kind": "scratch"}, "data": {"kind": "lab"}, "collect": {"raters": {"kind": "simulated"}}}
    for kind in ("ppo", "grpo"):
        optimize = {"kind": kind, "shared_base": "always"}
        with pytest.raises(ConfigError, match=r"shared_base is always, but all weights are trained: set model\.lora"):
            RunConfig.parse({**values, "optimize": optimize})
        RunConfig.parse({**values, "optimize": optimize, "model": {"lora": {}}})
