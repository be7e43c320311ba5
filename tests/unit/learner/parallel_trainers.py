"""Whole trainers over learners of one process or of several, and what they end with.

    python parallel_trainers.py RANK WORLD INIT_FILE MODEL OUT           one of several processes
    python parallel_trainers.py RANK WORLD INIT_FILE MODEL OUT LOOPS     the same, going on with what was begun in LOOPS

Writes OUT/rank.safetensors (weights by trainer and name) and OUT/rank.json (the log of each).
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from assent.algorithms.objective import Loss, loss_of
from assent.core.errors import NonFiniteError
from assent.core.group import Group
from assent.core.runlog import RunLog, read_metrics
from assent.core.types import Comparison, Completion, Judgment, Prompt, Ranking
from assent.data.render import Renderer
from assent.generation.config import Sampling
from assent.generation.copied import CopiedEngine
from assent.generation.writer import LocalWriter
from assent.learner import peers
from assent.learner.checkpoint import Cadence
from assent.learner.config import OptimizerConfig
from assent.learner.learner import Learner
from assent.learner.sharding import shard
from assent.models.config import LoraConfig, ModelConfig
from assent.models.groups import GroupBatch, pack
from assent.models.policy import PolicyModel, TokenScores
from assent.models.scalar import ScalarModel
from assent.pipeline.learners import adapters_off, policy_learner, policy_scorer, reward_learner, value_learner
from assent.training.ahead import Ahead
from assent.training.config import NoRatersConfig, RewardConfig, SFTConfig
from assent.training.dpo import train_dpo
from assent.training.grpo import train_grpo
from assent.training.loop import Loop
from assent.training.on_policy import Roles
from assent.training.on_policy_config import (
    GRPOConfig,
    KLConfig,
    OnPolicyConfig,
    PPOConfig,
    ReinforceConfig,
    RLOOConfig,
)
from assent.training.ppo import train_ppo
from assent.training.preference_config import DPOConfig
from assent.training.reinforce import train_reinforce
from assent.training.reward import RewardFit, train_reward
from assent.training.rewards import Term, WeightedRewards
from assent.training.rloo import train_rloo
from assent.training.sft import next_token_loss, train_sft
from assent.training.targets import Target, target_of

STEPS, EPOCHS = 20, 4
"""As many steps of each trainer, four passes over the data where it has passes; FEW of what is a variant of another."""
FEW = 5
FAST = OptimizerConfig(
    learning_rate=2e-3, schedule="linear", warmup=0.2, weight_decay=0.01, tokens_per_microbatch=60, max_grad_norm=0.5
)
"""About two groups a micro-batch, so that most steps have an odd number of them and some a single one."""
KL = KLConfig(kind="fixed", coefficient=0.02)
SMALL: dict[str, Any] = {
    "steps": STEPS,
    "prompts_per_step": 5,
    "sampling": Sampling(temperature=0.8, max_new_tokens=10),
    "optimizer": FAST,
    "kl": KL,
}
ON_POLICY: dict[str, tuple[Callable[..., None], OnPolicyConfig]] = {
    "grpo": (train_grpo, GRPOConfig(**{**SMALL, "kl": {"coefficient": 0.05}}, samples_per_prompt=3, average="token")),
    "rloo": (train_rloo, RLOOConfig(**{**SMALL, "steps": FEW}, samples_per_prompt=3)),
    "reinforce++": (train_reinforce, ReinforceConfig(**{**SMALL, "steps": FEW}, samples_per_prompt=2)),
}
PPO = PPOConfig(
    **SMALL, samples_per_prompt=2, epochs=2, minibatches=2, critic_warmup=1, kl_limit=None, value_optimizer=FAST
)
LORA = ModelConfig(lora=LoraConfig(rank=4, alpha=8))

MOVED = {"full": ModelConfig(), "lora": LORA}


def sft_config() -> SFTConfig:
    return SFTConfig(epochs=EPOCHS, batch_size=5, eval_share=0.0, optimizer=FAST)


class Places:
    """Where one process keeps its loops."""

    def __init__(self, folder: Path, *, dies_at: int | None = None) -> None:
        self.folder, self.dies_at = folder, dies_at

    def loop(self, name: str, *, dies: bool = False) -> Loop:
        folder = self.folder / name
        kind = Dying if dies else Loop
        log = RunLog(folder, quiet=True, tensorboard=False)
        return kind(folder / "checkpoints", log, 0, Cadence(0.0 if "killed" in name else 1e9))


class Dying(Loop):
    """A loop that is killed after two steps."""

    def steps(self, *arguments: Any, **named: Any) -> Iterator[int]:
        for step in super().steps(*arguments, **named):
            if step == 2:
                raise KeyboardInterrupt
            yield step


def train_all(model: Path, places: Places) -> Iterator[tuple[str, Learner[Any]]]:
    """Every trainer's name, and its learner once it is trained."""
    groups = rows_of(model)
    sft = sft_config()
    for name, config in (("sft", ModelConfig()), ("sft lora", LORA)):
        policy = policy_of(model, config)
        if peers.is_joined():
            shard(policy.hf)  # the base too, which is else whole on every process
        learner = policy_learner(policy, FAST)
        train_sft(learner, groups[:22], groups[22:], sft, places.loop(name))
        yield name, learner
    killed = policy_learner(policy_of(model), FAST)
    try:
        train_sft(killed, groups[:22], [], sft, places.loop("sft killed", dies=True))
    except KeyboardInterrupt:
        killed = policy_learner(policy_of(model), FAST)
        train_sft(killed, groups[:22], [], sft, places.loop("sft killed"))
    yield "sft killed", killed
    yield from train_on_rankings(model, places)
    for name, (train, on_policy) in ON_POLICY.items():
        roles = roles_of(model, on_policy)
        train(roles, prompts_of(), on_policy, places.loop(name))
        yield name, roles.policy
    train, on_policy = ON_POLICY["grpo"]
    roles = roles_of(model, on_policy, LORA)
    train(roles, prompts_of(), on_policy, places.loop("grpo lora"))
    yield "grpo lora", roles.policy
    yield "grpo ahead killed", killed_ahead(model, places)
    for name, config in (("ppo", ModelConfig()), ("ppo lora", LORA)):
        roles = roles_of(model, PPO, config)
        values = ScalarModel.from_policy(model, config=config, seed=1)
        critic = value_learner(values, FAST)
        train_ppo(roles, prompts_of(), PPO, places.loop(name), critic=critic, value_model=values)
        yield name, roles.policy
        yield f"{name} critic", critic


def killed_ahead(model: Path, places: Places) -> Learner[Any]:
    """GRPO on answers that are drawn one step ahead, killed while some were waiting and resumed."""
    train, config = ON_POLICY["grpo"]
    config = config.model_copy(update={"steps": FEW})
    with contextlib.suppress(KeyboardInterrupt):
        before = replace(roles_of(model, config), ahead=Ahead())
        train(before, prompts_of(), config, places.loop("grpo ahead killed", dies=True))
    roles = replace(roles_of(model, config), ahead=Ahead())
    train(roles, prompts_of(), config, places.loop("grpo ahead killed"))
    return roles.policy


def begin(model: Path, places: Places) -> None:
    """Two steps of each training that another number of processes is to go on with, checkpoints after both."""
    for name, config in MOVED.items():
        with contextlib.suppress(KeyboardInterrupt):
            learner = policy_learner(policy_of(model, config), FAST)
            train_sft(learner, rows_of(model)[:22], [], sft_config(), places.loop(f"{name} killed", dies=True))


def go_on(model: Path, places: Places) -> Iterator[tuple[str, Learner[Any]]]:
    """What was begun, to its end."""
    for name, config in MOVED.items():
        learner = policy_learner(policy_of(model, config), FAST)
        train_sft(learner, rows_of(model)[:22], [], sft_config(), places.loop(f"{name} killed"))
        yield name, learner


def train_on_rankings(model: Path, places: Places) -> Iterator[tuple[str, Learner[Any]]]:
    """Reward models, raters fitted with them or all alike, and DPO."""
    groups, targets = rankings_of(model)
    members = list(zip(groups, targets, strict=True))
    plain = {"raters": NoRatersConfig()}
    for name, raters, loading in (
        ("reward joint", {}, ModelConfig()),
        ("reward plain", plain, ModelConfig()),
        ("reward lora", plain, LORA),
    ):
        config = RewardConfig(epochs=EPOCHS, batch_size=4, optimizer=FAST, **raters)
        scalar = ScalarModel.from_policy(model, config=loading, seed=0)
        fit = RewardFit.of(members, config, features=scalar.num_features, seed=0)
        learner = reward_learner(scalar, FAST)
        train_reward(learner, fit, config, places.loop(name))
        yield name, learner
    for name, loading in (("dpo", ModelConfig()), ("dpo lora", LORA)):
        policy = policy_learner(policy_of(model, loading), FAST)
        config = DPOConfig(epochs=EPOCHS, batch_size=4, optimizer=FAST)
        train_dpo(policy, groups, targets, config, places.loop(name))
        yield name, policy


def after_a_bad_loss(model: Path) -> dict[str, Any]:
    """What is said of one micro-batch of five whose loss is not a number, and the norm of the good step after it."""
    batches = pack(rows_of(model)[:5], budget=1)
    weight, bad = sum(b.num_scored for b in batches), batches[-1].rows

    def objective(scores: TokenScores, batch: GroupBatch) -> Loss:
        return loss_of(scores.logps * (float("nan") if batch.rows == bad else -1.0), metrics={})

    fresh, spoiled = (policy_learner(policy_of(model), FAST) for _ in range(2))
    said: dict[str, Any] = {}
    try:
        spoiled.forward_backward(batches, objective, weight=weight)
    except NonFiniteError as error:
        said = {"error": str(error), "rows": [row["row"] for row in error.batch], "bad": list(bad)}
    for name, learner in (("fresh", fresh), ("spoiled", spoiled)):
        learner.forward_backward(batches, next_token_loss, weight=weight)
        said[name] = learner.step(learning_rate=1e-3).grad_norm
    return said


def policy_of(model: Path, config: ModelConfig | None = None) -> PolicyModel:
    torch.manual_seed(0)  # adapters are drawn from torch's own generator
    return PolicyModel.load(model, config=config or ModelConfig(), trainable=True)


def roles_of(model: Path, config: OnPolicyConfig, loading: ModelConfig | None = None) -> Roles:
    policy, temperature = policy_of(model, loading), config.sampling.temperature
    frozen = PolicyModel.load(model, config=ModelConfig(), trainable=False)
    copy = policy_of(model, loading)
    if peers.is_joined():
        shard(frozen.hf)
    return Roles(
        policy=policy_learner(policy, FAST, temperature=temperature),
        reference=adapters_off(policy, temperature=temperature)
        if loading is not None and loading.lora is not None
        else policy_scorer(frozen, temperature=temperature),
        reward=WeightedRewards((Term(1.0, "reward", share_of_e),), clip=None),
        writer=LocalWriter("toy", Renderer(copy.tokenizer), CopiedEngine(copy), copy.max_length),
    )


def share_of_e(prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
    return [4.0 * text.count("e") / max(len(text), 1) for text in completions]


def prompts_of() -> list[Prompt]:
    return [
        Prompt.of(f"{text} {n}") for n in range(3) for text in ("How late is it?", "A refund.", "Where?", "Help me.")
    ]


def rows_of(model: Path) -> list[Group]:
    """Rows of very different lengths."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(2, 30, size=(24, 2))
    return [Group(rng.integers(5, 200, p), (rng.integers(5, 200, c),)) for p, c in lengths.tolist()]


def rankings_of(model: Path) -> tuple[list[Group], list[Target]]:
    """Rankings of two to four answers by three raters, with ties."""
    renderer = Renderer(policy_of(model).tokenizer)
    texts = ("You have a refund today.", "I am sorry.", "No.", "Open the settings, then follow the link, please.")
    groups, targets = [], []
    for n in range(20):
        prompt, k = Prompt.of(f"Question {n}, please?"), 2 + n % 3
        answers = tuple(Completion(prompt_id=prompt.id, text=t, id=f"c{i}") for i, t in enumerate(texts[:k]))
        order = [f"c{i}" for i in np.random.default_rng(n).permutation(k)]
        tiers = (tuple(order[:2]), *((i,) for i in order[2:])) if n % 5 == 4 and k > 2 else tuple((i,) for i in order)
        said = Judgment(task_id="t", rater_id=f"r{n % 3}", ranking=Ranking(tiers=tiers))
        target = target_of(Comparison(prompt=prompt, completions=answers, judgments=(said,)))
        assert target is not None
        groups.append(renderer.group(prompt, [a.text for a in answers]))
        targets.append(target)
    return groups, targets


def run(model: Path, out: Path, rank: int) -> None:
    """Train all, and write what they end with."""
    places = Places(out / f"loops-{rank}")
    weights, logs = {}, {}
    for name, learner in train_all(model, places):
        weights |= {f"{name}/{key}": tensor.contiguous() for key, tensor in learner.weights().items()}
        if (places.folder / name).is_dir():
            logs[name] = read_metrics(places.folder / name)
    logs["bad loss"] = [after_a_bad_loss(model)]
    save_file(weights, out / f"{rank}.safetensors")
    (out / f"{rank}.json").write_text(json.dumps(logs), encoding="utf-8")


def finish(model: Path, loops: Path, out: Path, rank: int) -> None:
    """Go on with what was begun, and write what it ends with."""
    weights = {}
    for name, learner in go_on(model, Places(loops if rank == 0 else out / f"loops-{rank}")):
        weights |= {f"{name}/{key}": tensor.contiguous() for key, tensor in learner.weights().items()}
    save_file(weights, out / f"{rank}.safetensors")
    (out / f"{rank}.json").write_text("{}", encoding="utf-8")


def main() -> None:
    rank, world, init, model, out, *loops = sys.argv[1:]
    torch.set_num_threads(1)
    peers.join("gloo", f"file://{init}", rank=int(rank), count=int(world))
    if loops:
        finish(Path(model), Path(loops[0]), Path(out), int(rank))
    else:
        run(Path(model), Path(out), int(rank))
        begin(Path(model), Places(Path(out) / f"loops-{rank}"))
    peers.leave()


if __name__ == "__main__":
    main()
