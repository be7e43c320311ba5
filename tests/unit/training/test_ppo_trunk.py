"""PPO with a value head on the policy's states: one gradient for both; what stands still, resumes and is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from training_toys import FAST, Toy, dying, share_of_e

from assent.core.errors import ConfigError, ModelError
from assent.core.group import Group
from assent.core.runlog import read_metrics
from assent.core.scoring import Score
from assent.core.types import Prompt
from assent.generation.config import Sampling
from assent.learner import peers
from assent.learner.learner import Learner
from assent.learner.trunk import TrunkLearner
from assent.models.config import LoraConfig, ModelConfig
from assent.models.groups import pack
from assent.models.policy import PolicyModel
from assent.pipeline.learners import policy_learner, policy_scorer, trunk_learners, value_learner
from assent.training.loop import Loop
from assent.training.on_policy import Minibatch, Roles
from assent.training.on_policy_config import KLConfig, PPOConfig, PTXConfig
from assent.training.ppo import joint_objective, train_ppo, update
from assent.training.rewards import Term, WeightedRewards
from assent.training.values import Targets, value_objective

TEMPERATURE = 0.7
CONFIG = PPOConfig(
    value="shared_trunk",
    steps=3,
    prompts_per_step=4,
    samples_per_prompt=2,
    sampling=Sampling(temperature=TEMPERATURE, max_new_tokens=8),
    critic_warmup=0,
    epochs=2,
    minibatches=2,
    optimizer=FAST,
    value_optimizer=FAST.model_copy(update={"learning_rate": 2e-2, "schedule": "linear"}),
    kl=KLConfig(kind="fixed", coefficient=0.02),
    kl_limit=None,
)
RNG = np.random.default_rng(8)
GROUPS = [Group(RNG.integers(10, 300, 4), tuple(RNG.integers(10, 300, n) for n in sizes)) for sizes in ((5, 3), (7,))]
NewLoop = Callable[..., Loop]


def ready(toy: Toy, reward: Score, config: PPOConfig = CONFIG) -> tuple[Roles, Learner[Tensor]]:
    policy = toy.policy()
    trunk, head = trunk_learners(policy, config.optimizer, config.value_optimizer, temperature=TEMPERATURE)
    reference = policy_scorer(toy.policy(trainable=False), temperature=TEMPERATURE)
    rewards = WeightedRewards((Term(1.0, "reward", reward),), clip=None)
    return Roles(policy=trunk, reference=reference, reward=rewards, writer=toy.writer(policy)), head


def drawn(head: Learner[Tensor], seed: int = 5) -> None:
    draw = torch.Generator().manual_seed(seed)
    head.load_weights({name: torch.randn(w.shape, generator=draw) for name, w in head.weights().items()})


def targets_of(policy: PolicyModel, *, budget: int = 10**6) -> Targets:
    """A minibatch whose ratios and values lie on both sides of their clips."""
    draw = torch.Generator().manual_seed(6)
    answers = [c for group in GROUPS for c in group.continuations]
    batches = pack(GROUPS, budget=budget)
    with torch.no_grad():
        flat = [policy.logps(batch, temperature=TEMPERATURE).logps for batch in batches]
    now = {row: values for batch, one in zip(batches, flat, strict=True) for row, values in batch.scatter(one).items()}
    noise = [[torch.randn(len(c), generator=draw) for c in answers] for _ in range(4)]
    old = [now[row] + 0.3 * noise[0][row] for row in range(len(answers))]
    mini = Minibatch(batches, [0, 1, 2], old, old, num_rows=3, num_tokens=sum(map(len, answers)))
    return Targets(mini, noise[1], noise[2], noise[3])


def slowly(policy: PolicyModel, weight: Tensor, bias: Tensor, targets: Targets) -> tuple[Tensor, Tensor]:
    """Both losses, token by token in rows of their own, from plain transformers."""
    of_policy, of_value, row = torch.zeros(()), torch.zeros(()), 0
    for group in GROUPS:
        for answer in group.continuations:
            tokens = torch.from_numpy(np.concatenate([group.prompt, answer]))
            told = policy.hf(tokens[None], use_cache=False, output_hidden_states=True)
            logps = (told.logits[0] / TEMPERATURE).log_softmax(-1)
            for k, token in enumerate(answer):
                at = len(group.prompt) + k - 1
                ratio = (logps[at, int(token)] - targets.mini.old_logps[row][k]).exp()
                advantage = targets.advantages[row][k]
                kept = ratio.clamp(1 - CONFIG.clip, 1 + CONFIG.clip)
                of_policy = of_policy - torch.minimum(ratio * advantage, kept * advantage)
                value = told.hidden_states[-1][0, at] @ weight[0] + bias[0]
                old, wanted = targets.old_values[row][k], targets.returns[row][k]
                assert CONFIG.value_clip is not None
                near = old + (value - old).clamp(-CONFIG.value_clip, CONFIG.value_clip)
                of_value = of_value + 0.5 * torch.maximum((value - wanted) ** 2, (near - wanted) ** 2)
            row += 1
    return of_policy / targets.mini.num_tokens, CONFIG.value_coefficient * of_value / targets.mini.num_tokens


@pytest.mark.parametrize("budget", [10**6, 16])
def test_the_gradient_of_the_joint_loss_is_the_sum_of_both_from_a_slow_version(toy: Toy, budget: int) -> None:
    policy = toy.policy()
    trunk, head = trunk_learners(policy, FAST, FAST, temperature=TEMPERATURE)
    drawn(head)
    targets = targets_of(policy, budget=budget)
    objective = lambda scores, batch: joint_objective(scores, batch, targets=targets, config=CONFIG)  # noqa: E731
    passed = trunk.forward_backward(targets.mini.batches, objective, weight=targets.mini.num_tokens)
    assert isinstance(trunk, TrunkLearner) and len(targets.mini.batches) == (1 if budget > 100 else 2)
    ours = {n: p.grad for n, p in trunk.parameters.items()} | {f"head {n}": p.grad for n, p in head_of(trunk).items()}

    plain = replace(toy, config=ModelConfig(attention="padded")).policy()
    weight, bias = (head.weights()[name].requires_grad_() for name in ("weight", "bias"))
    named = dict(plain.parameters()) | {"head weight": weight, "head bias": bias}
    losses = slowly(plain, weight, bias, targets)
    apart = [torch.autograd.grad(one, list(named.values()), retain_graph=True, allow_unused=True) for one in losses]
    assert passed.metrics["loss"] == pytest.approx(sum(float(one.detach()) for one in losses), abs=1e-5)
    assert ours.keys() == named.keys()
    for name, by_policy, by_value in zip(named, *apart, strict=True):
        parts = [one for one in (by_policy, by_value) if one is not None]
        found = ours[name]
        assert found is not None and parts and all(one.any() for one in parts), name
        torch.testing.assert_close(found, sum(parts[1:], parts[0]), atol=1e-5, rtol=1e-4, msg=name)
        assert (by_value is None) == (name == "lm_head.weight") and (by_policy is None) == name.startswith("head")


def head_of(trunk: Learner[Any]) -> dict[str, Tensor]:
    assert isinstance(trunk, TrunkLearner)
    return dict(trunk.head.parameters)


def test_each_has_its_own_rate_schedule_and_norm(toy: Toy) -> None:
    policy = toy.policy()
    roles, head = ready(toy, share_of_e)
    drawn(head)
    targets = targets_of(policy)
    before, of_head = roles.policy.weights(), head.weights()
    facts = update([targets], roles, head, CONFIG, policy_moves=True, seed=0)
    assert roles.policy.num_steps == head.num_steps == CONFIG.epochs
    # Adam's first steps are as large as the rate, whatever the gradient. The head's rate falls from the first on.
    moved = max(float((w - before[n]).abs().max()) for n, w in roles.policy.weights().items())
    moved_head = max(float((w - of_head[n]).abs().max()) for n, w in head.weights().items())
    rates = [CONFIG.value_optimizer.rate_at(step, CONFIG.updates) for step in range(CONFIG.epochs)]
    assert moved == pytest.approx(2 * FAST.learning_rate, rel=0.05)
    assert rates[1] < rates[0] and moved_head == pytest.approx(sum(rates), rel=0.05)
    assert facts["value_grad_norm"] > 0 and facts["grad_norm"] > 0 and facts["value_grad_norm"] != facts["grad_norm"]


@pytest.mark.parametrize("lora", [None, LoraConfig(rank=2)])
def test_warm_up_leaves_the_policy_as_it_is_to_the_bit(
    toy: Toy, new_loop: NewLoop, prompts: list[Prompt], lora: LoraConfig | None
) -> None:
    config = CONFIG.model_copy(update={"critic_warmup": 2, "steps": 3})
    seen: list[dict[str, Tensor]] = []

    def watched(prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
        seen.append({**roles.policy.weights(), "head": head.weights()["weight"]})
        return share_of_e(prompts, completions)

    roles, head = ready(replace(toy, config=ModelConfig(lora=lora)), watched, config)
    loop = new_loop()
    train_ppo(roles, prompts, config, loop, critic=head)
    first, after_one, after_two = seen
    assert not first["head"].any() and after_one["head"].any() and not torch.equal(after_one["head"], after_two["head"])
    for name in first.keys() - {"head"}:
        assert torch.equal(first[name], after_two[name]), name
    assert any(not torch.equal(first[name], weight) for name, weight in roles.policy.weights().items())
    rows = read_metrics(loop.log.folder)
    assert [row["policy_updates"] for row in rows] == [0.0, 0.0, 4.0]
    assert all("value_loss" in row and "value_grad_norm" in row for row in rows) and rows[0]["value"] == 0.0


def test_logs_have_the_keys_of_a_value_model_of_its_own(toy: Toy, new_loop: NewLoop, prompts: list[Prompt]) -> None:
    own = CONFIG.model_copy(update={"value": "own_model"})
    rows = {}
    for name, config in {"shared": CONFIG, "own": own}.items():
        roles, head = ready(toy, share_of_e, config)
        if not config.shares_trunk:
            learner = policy_learner(toy.policy(), FAST, temperature=TEMPERATURE)
            roles, head = replace(roles, policy=learner), value_learner(toy.scalar(), FAST)
        loop = new_loop(name)
        train_ppo(roles, prompts, config, loop, critic=head)
        rows[name] = read_metrics(loop.log.folder)
    assert [row.keys() for row in rows["shared"]] == [row.keys() for row in rows["own"]]
    assert all(row["first_ratio_error"] == 0.0 for row in rows["shared"])
    assert rows["shared"][-1]["kl_per_response"] > 0.01, "the policy has not moved"


def test_a_killed_run_ends_with_the_same_bits(toy: Toy, new_loop: NewLoop, prompts: list[Prompt]) -> None:
    config = CONFIG.model_copy(
        update={"ema": 0.9, "kl": KLConfig(kind="adaptive", horizon=100), "ptx": PTXConfig(coefficient=0.1)}
    )

    def trained(reward: Score, name: str) -> tuple[Roles, Learner[Tensor]]:
        roles, head = ready(toy, reward, config)
        roles = replace(roles, demonstrations=tuple(GROUPS))
        train_ppo(roles, prompts, config, new_loop(name, seconds=0.0 if name == "killed" else 1e9), critic=head)
        return roles, head

    whole, whole_head = trained(share_of_e, "whole")
    with pytest.raises(KeyboardInterrupt):
        trained(dying(share_of_e), "killed")
    resumed, resumed_head = trained(share_of_e, "killed")
    for found, expected in ((resumed.policy, whole.policy), (resumed_head, whole_head)):
        assert found.state() == expected.state()
        for name, tensor in expected.tensors().items():
            assert torch.equal(found.tensors()[name], tensor), name
    logs = [new_loop(name).log.folder / "metrics.jsonl" for name in ("whole", "killed")]
    assert logs[0].read_text() == logs[1].read_text()


def test_a_policy_too_far_from_its_rollouts_stands_still_and_its_head_learns_on(toy: Toy) -> None:
    config = CONFIG.model_copy(update={"kl_limit": 1e-9, "epochs": 3})
    policy = toy.policy()
    roles, head = ready(toy, share_of_e, config)
    targets = targets_of(policy)
    facts = update([targets], roles, head, config, policy_moves=True, seed=0)
    assert facts["policy_updates"] == 1.0 and roles.policy.num_steps == 1
    assert head.num_steps == 3


def test_where_memory_ends_both_gradients_are_made_again(toy: Toy) -> None:
    policy = toy.policy()
    trunk, head = trunk_learners(policy, FAST, FAST, temperature=TEMPERATURE)
    drawn(head)
    targets = targets_of(policy)
    objective = lambda scores, batch: joint_objective(scores, batch, targets=targets, config=CONFIG)  # noqa: E731

    def gradients() -> dict[str, Tensor]:
        trunk.forward_backward(targets.mini.batches, objective, weight=targets.mini.num_tokens)
        assert isinstance(trunk, TrunkLearner)
        every = {**trunk.parameters, **{f"head {n}": p for n, p in trunk.head.parameters.items()}}
        found = {name: p.grad.clone() for name, p in every.items() if p.grad is not None}
        trunk.drop_gradients()
        assert all(p.grad is None for p in every.values())
        return found

    expected = gradients()
    weight, calls = policy.core.model.layers[0].self_attn.q_proj.weight, []

    def ends_once(gradient: Tensor) -> None:
        if not calls:
            calls.append(1)
            assert head_of(trunk)["weight"].grad is not None  # the head has its gradient already
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.00 GiB")

    handle = weight.register_hook(ends_once)
    found = gradients()
    handle.remove()
    assert calls and found.keys() == expected.keys()
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], atol=1e-5, rtol=1e-4, msg=name)


def test_the_head_explains_returns_that_a_constant_does_not(toy: Toy, new_loop: NewLoop, prompts: list[Prompt]) -> None:
    # The reward hangs on the prompt alone, so a value of the prompt's states can say all of it.
    def by_prompt(prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
        return [2.0 if "refund" in prompt.messages[-1].content else -1.0 for prompt in prompts]

    head_only = FAST.model_copy(update={"learning_rate": 5e-2})
    config = CONFIG.model_copy(
        update={"steps": 5, "critic_warmup": 4, "value_clip": None, "epochs": 8, "value_optimizer": head_only}
    )
    roles, head = ready(toy, by_prompt, config)
    loop = new_loop()
    train_ppo(roles, prompts, config, loop, critic=head)
    rows = read_metrics(loop.log.folder)
    assert rows[0]["explained_variance"] == pytest.approx(0.0, abs=1e-6)
    assert rows[-1]["explained_variance"] > 0.3


def test_several_processes_and_padded_rows_are_refused(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    padded = replace(toy, config=ModelConfig(attention="padded")).policy()
    with pytest.raises(ModelError, match="padded rows .* set optimize.value: own_model"):
        trunk_learners(padded, FAST, FAST)
    monkeypatch.setattr(peers, "is_joined", lambda: True)
    with pytest.raises(ConfigError, match="shared_trunk, which one process computes; set it to own_model"):
        trunk_learners(toy.policy(), FAST, FAST)


def test_a_policy_without_values_is_refused(toy: Toy) -> None:
    policy = toy.policy()
    targets = targets_of(policy)
    (batch,) = targets.mini.batches
    with pytest.raises(ValueError, match="says no values"):
        joint_objective(policy.logps(batch), batch, targets=targets, config=CONFIG)
    assert value_objective(torch.zeros(15), batch, targets=targets, config=CONFIG).total > 0
