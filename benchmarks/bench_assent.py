"""Assent's side of a cell of `bench`: `python benchmarks/bench_assent.py JOB.json`, with its default settings.

The clock runs around the trainer's call, as a run makes it: the reference of DPO and everything that a stage computes
at its end are inside; loading, tokenizing, checkpoints and trackers are outside, on both sides.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import bench_heldout
import numpy as np
import torch
from bench_clock import Clock, peak_mib, told
from bench_work import Work, reward

from assent.artifacts.store import Artifact, Manifest
from assent.core.files import write_json
from assent.core.group import Group
from assent.core.runlog import RunLog, read_metrics
from assent.core.types import Comparison, Completion, Judgment, Prompt, Ranking
from assent.generation.config import Sampling
from assent.learner.checkpoint import Cadence
from assent.learner.config import OptimizerConfig
from assent.models.config import LoraConfig, ModelConfig
from assent.models.policy import PolicyModel
from assent.models.scalar import ScalarModel
from assent.pipeline.backends import Backends
from assent.pipeline.config import ComputeConfig
from assent.pipeline.learners import policy_learner, train_reward_model, value_learner
from assent.pipeline.one_base import OneBase
from assent.training.batches import EpochBatches
from assent.training.config import NoRatersConfig, RewardConfig, SFTConfig
from assent.training.dpo import train_dpo
from assent.training.grpo import train_grpo
from assent.training.loop import Loop
from assent.training.on_policy import Roles
from assent.training.on_policy_config import GroupKLConfig, GRPOConfig, KLConfig, OnPolicyConfig, PPOConfig, RLOOConfig
from assent.training.ppo import train_ppo
from assent.training.preference_config import DPOConfig
from assent.training.rewards import Term, WeightedRewards
from assent.training.rloo import train_rloo
from assent.training.sft import train_sft
from assent.training.targets import target_of

BETA, KL = 0.1, 0.05


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text())
    torch.set_num_threads(job["threads"])
    work = Work.of(job)
    with tempfile.TemporaryDirectory() as folder:
        side = Side(work, Path(folder), job["out"])
        getattr(
            side, {"grpo": "online", "rloo": "online", "ppo": "online"}.get(work.cell["stage"], work.cell["stage"])
        )()


class Side:
    """One cell's work with Assent."""

    def __init__(self, work: Work, folder: Path, out: str) -> None:
        self.work, self.cell, self.out = work, work.cell, out
        log = RunLog(folder / "log", quiet=True, tensorboard=False)
        self.loop = Loop(folder / "checkpoints", log, 0, Cadence(float("inf")))
        lora = LoraConfig(rank=self.cell["lora"], alpha=2.0 * self.cell["lora"]) if self.cell["lora"] else None
        self.model = ModelConfig(lora=lora, **self.cell["ours"].get("model", {}))
        settings = {"learning_rate": self.cell["learning_rate"], "schedule": "constant", "warmup": 0.0, "beta2": 0.999}
        self.optimizer = OptimizerConfig(**settings, epsilon=1e-8, **self.cell["ours"].get("optimizer", {}))
        self.backends = Backends(self.model, ComputeConfig(threads=torch.get_num_threads()))

    def sft(self) -> None:
        groups = [Group(np.array(p["prompt"]), (np.array(p["answers"][0]),)) for p in self.work.pairs()]
        policy = self.policy()
        config = SFTConfig(epochs=1, batch_size=self.work.batch, optimizer=self.optimizer)
        learner = policy_learner(policy, self.optimizer)
        with in_order(), Clock() as clock:
            train_sft(learner, groups, [], config, self.loop)
        peak = peak_mib()
        found = bench_heldout.next_token_loss(plain(policy), self.work.held_out())
        self.tell(clock, peak, tokens_of(groups), policy, held_out=found)

    def reward(self) -> None:
        groups, targets = self.ranked()
        model = ScalarModel.load(self.work.folder / "reward", config=self.model, trainable=True)
        # Bradley and Terry's loss alone: the other side knows neither ties nor raters, nor a penalty on the mean.
        same = {"raters": NoRatersConfig(), "ties": "ignore", "centering": 0.0}
        config = RewardConfig(epochs=1, batch_size=self.work.batch, optimizer=self.optimizer, **same)
        with in_order(), Clock() as clock:
            train_reward_model(model, groups, targets, config, self.loop)
        peak = peak_mib()
        found = bench_heldout.ranking(plain(model), self.work.held_out())
        self.tell(clock, peak, tokens_of(groups), model, held_out=found)

    def dpo(self) -> None:
        groups, targets = self.ranked()
        policy = self.policy()
        config = DPOConfig(epochs=1, batch_size=self.work.batch, optimizer=self.optimizer, beta=BETA)
        learner = policy_learner(policy, self.optimizer)
        with in_order(), Clock() as clock:
            train_dpo(learner, groups, targets, config, self.loop)
        peak = peak_mib()
        trained, held_out = plain(policy), self.work.held_out()
        start: Any = policy.reference()
        if self.model.lora is None:
            before = PolicyModel.load(self.work.start, config=ModelConfig(), trainable=False)
            start = contextlib.nullcontext(plain(before))
        found = bench_heldout.preference(trained, held_out, start, BETA)
        self.tell(clock, peak, tokens_of(groups), policy, held_out=found)

    def online(self) -> None:
        config = self.online_config()
        policy = self.policy()
        with tempfile.TemporaryDirectory() as folder:
            start, scorer = lay_out(self.work, Path(folder))
            backends = OneBase.of(self.backends, policy, start, config, print) if self.shares else self.backends
            term = Term(1.0, "letter", by_letter)
            if self.cell["stage"] == "ppo":
                term = Term(1.0, "model", backends.scorer(scorer, normalize=False))
            roles = Roles(
                policy=policy_learner(policy, self.optimizer),
                reference=backends.reference(policy, start, temperature=1.0),
                reward=WeightedRewards((term,), None),
                writer=backends.writer(policy, name="start"),
            )
            prompts = [Prompt.model_validate(one["prompt"]) for one in self.work.prompts()]
            critic = None
            if isinstance(config, PPOConfig):
                critic = value_learner(backends.critic(start, scorer, seed=0), self.optimizer)
            with in_order(), Clock() as clock:
                if isinstance(config, GRPOConfig):
                    train_grpo(roles, prompts, config, self.loop)
                elif isinstance(config, RLOOConfig):
                    train_rloo(roles, prompts, config, self.loop)
                else:
                    train_ppo(roles, prompts, config, self.loop, critic=critic)
        peak = peak_mib()
        lines = [m for m in read_metrics(self.loop.log.folder) if "length" in m]
        new = sum(m["length"] for m in lines) * self.work.batch
        tokens = {"real": new + sum(len(p["ids"]) for p in self.work.prompts()), "scored": new, "new": new}
        found = bench_heldout.rewarded(plain(policy), policy.tokenizer, self.work)
        extra = {name: [m[name] for m in lines] for name in ("reward", "reward_std", "length", "eos_rate")}
        self.tell(clock, peak, tokens, policy, held_out=found, rollouts=extra)

    @property
    def shares(self) -> bool:
        return bool(self.cell["ours"].get("shared_base")) and self.model.lora is not None

    def online_config(self) -> OnPolicyConfig:
        samples = self.cell["samples"]
        settings: dict[str, Any] = {
            "steps": self.work.updates,
            "prompts_per_step": self.work.batch // samples,
            "samples_per_prompt": samples,
            "sampling": Sampling(temperature=1.0, max_new_tokens=self.cell["new_tokens"]),
            "optimizer": self.optimizer,
            "kl_limit": None,
            "missing_eos_penalty": 0.0,
            "reward_clip": None,
            "normalize_reward": False,
            "shared_base": self.cell["ours"].get("shared_base", "auto"),
        }
        match self.cell["stage"]:
            case "grpo":
                return GRPOConfig(**settings, kl=GroupKLConfig(kind="fixed", coefficient=KL))
            case "rloo":
                return RLOOConfig(**settings, kl=KLConfig(kind="fixed", coefficient=KL))
        return PPOConfig(
            **settings,
            kl=KLConfig(kind="fixed", coefficient=KL),
            epochs=self.cell["epochs"],
            critic_warmup=0,
            lam=0.95,  # TRL's
            value_optimizer=self.optimizer,
        )

    def sample(self) -> None:
        """Drawn once untimed, as the other side is, then timed."""
        policy = PolicyModel.load(self.work.start, config=self.model, trainable=False)
        if self.cell["lengths"] == "fixed":
            policy.eos_ids = (-1,)
        else:
            policy.eos_ids = (self.work.data["eos"],)
        engine = self.backends.engine(policy)
        prompts = [np.array(one["ids"]) for one in self.work.prompts()]
        samples = self.cell["samples"]
        warm, asked = (Sampling(temperature=1.0, max_new_tokens=n) for n in (2, self.cell["new_tokens"]))
        engine.generate(prompts, num_samples=samples, sampling=warm, seed=1)
        with Clock() as clock:
            drawn = engine.generate(prompts, num_samples=samples, sampling=asked, seed=0)
        peak = peak_mib()
        greedy = engine.generate(prompts, num_samples=1, sampling=Sampling(temperature=0.0, max_new_tokens=8), seed=0)
        flat = [one for row in drawn for one in row]
        new = sum(len(one.tokens) for one in flat)
        tokens = {"real": new + sum(map(len, prompts)), "scored": new, "new": new}
        said = {
            "greedy": [row[0].tokens.tolist() for row in greedy],
            "lengths": [len(one.tokens) for one in flat],
            "logps": float(np.mean([one.logps.mean() for one in flat])),
        }
        self.tell(clock, peak, tokens, policy, sampled=said)

    def policy(self) -> PolicyModel:
        return self.backends.policy(self.work.start, trainable=True)

    def ranked(self) -> tuple[list[Group], list[Any]]:
        """Groups and targets of the pairs."""
        groups, targets = [], []
        for n, pair in enumerate(self.work.pairs()):
            groups.append(Group(np.array(pair["prompt"]), tuple(np.array(a) for a in pair["answers"])))
            prompt = Prompt.of(f"pair {n}")
            ids = [f"c{i}" for i in range(len(pair["answers"]))]
            answers = tuple(Completion(prompt_id=prompt.id, text=i, id=i) for i in ids)
            said = Judgment(task_id="t", rater_id="r", ranking=Ranking(tiers=tuple((i,) for i in ids)))
            targets.append(target_of(Comparison(prompt=prompt, completions=answers, judgments=(said,))))
        return groups, targets

    def tell(self, clock: Clock, peak: float, tokens: dict[str, float], model: Any, **facts: Any) -> None:
        """The result: losses of each update, the waste ledger, what was trained."""
        is_logged = (self.loop.log.folder / "metrics.jsonl").is_file()
        lines = list(read_metrics(self.loop.log.folder)) if is_logged else []
        losses = [m["loss"] for m in lines if m.get("kind") == "train" and "loss" in m]
        told(
            self.out, clock, peak_mib=peak, tokens=tokens, losses=losses, updates=self.work.updates,
            mode=model.mode, ledger=model.ledger.facts(), **facts,
        )  # fmt: skip


def plain(model: PolicyModel | ScalarModel) -> Any:
    """The transformers model with its own attention, as anybody would load it."""
    model.core.set_attn_implementation("sdpa")
    return model.hf


def by_letter(prompts: Any, completions: Any) -> list[float]:
    return [reward(text) for text in completions]


def tokens_of(groups: list[Group]) -> dict[str, float]:
    """Real tokens, the prompt of a group once; those that are scored; and rows with their prompts."""
    return {
        "real": sum(g.num_tokens for g in groups),
        "scored": sum(g.num_scored for g in groups),
        "rows": sum(len(g.prompt) * len(g.continuations) for g in groups)
        + sum(len(c) for g in groups for c in g.continuations),
    }


@contextlib.contextmanager
def in_order() -> Iterator[None]:
    """Items in the order given, as the other side is told to take them, so that losses compare update by update."""

    def items(self: EpochBatches, step: int) -> list[int]:
        return list(range(step * self.batch_size, min((step + 1) * self.batch_size, self.num_items)))

    def endless(num_items: int, *, count: int, step: int, seed: int, name: str) -> list[int]:
        return [(step * count + i) % num_items for i in range(count)]

    with mock.patch.object(EpochBatches, "items", items), mock.patch("assent.training.on_policy.endless", endless):
        yield


def lay_out(work: Work, folder: Path) -> tuple[Path, Path]:
    """The start and the reward model as artifacts of a run lie: sharing a base looks at what they were made from."""
    start = folder / "policy-a" / "policy"
    start.parent.mkdir()
    start.symlink_to(work.start.resolve())
    if not work.cell["lora"]:
        return start, work.folder / "reward"
    from assent.pipeline.backends import save_reward

    made = Manifest(kind="policy", key="a" * 64, stage="sft", version=1, config={})
    model = ScalarModel.from_policy(start, config=ModelConfig(lora=LoraConfig(rank=work.cell["lora"])), seed=0)
    save_reward(model, folder / "reward-b", start=Artifact(start.parent, made))
    write_json(folder / "reward-b" / "manifest.json", {})
    return start, folder / "reward-b" / "reward"


if __name__ == "__main__":
    main()
