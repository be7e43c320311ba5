"""Four roles on one base beside four models: memory and time of PPO. `python benchmarks/four_roles.py --model FOLDER`.

A reward model is trained by LoRA for a step, saved as a run saves it, and PPO takes a few steps from there, each time
in a fresh process, in turn: with the base of policy, reference, reward and value model in memory once
(`optimize.shared_base: always`), and with a whole copy each (`never`; in both the reference is the policy with its
adapter off). These two are compared in their numbers, and a run that differs ends the benchmark. A third has a value
head on the policy's states in place of the value model (`optimize.value: shared_trunk`), which is another algorithm.
`--full` adds training of all weights, where the reference is a copy as well, with a value model and with a value head.
Without `--model` the model is a small Llama of random weights.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

from assent.artifacts.store import Artifact, Manifest
from assent.core.files import write_json
from assent.core.runlog import RunLog, read_metrics
from assent.core.types import Prompt
from assent.generation.config import Sampling
from assent.learner.config import OptimizerConfig
from assent.models.config import LoraConfig, ModelConfig
from assent.models.policy import PolicyModel
from assent.models.scalar import ScalarModel
from assent.models.tiny import tiny_tokenizer
from assent.pipeline.backends import Backends, machine, save_reward
from assent.pipeline.config import ComputeConfig
from assent.pipeline.learners import policy_learner, trunk_learners, value_learner
from assent.pipeline.one_base import OneBase
from assent.training.loop import Loop
from assent.training.on_policy import Roles
from assent.training.on_policy_config import PPOConfig
from assent.training.ppo import train_ppo
from assent.training.rewards import Term, WeightedRewards

SUBJECTS = ("bread", "wine", "Lisbon", "tomatoes", "notaries", "eggs", "operas", "trees")
PROMPTS = [Prompt.of(f"What should I know about {what}?") for what in SUBJECTS]
WAYS = {
    "one base": "always",
    "a base each": "never",
    "shared trunk": "always",
    "all weights": "never",
    "all weights, shared trunk": "never",
}
"""`optimize.shared_base` of each."""
SMALL = {"hidden_size": 256, "intermediate_size": 704, "num_hidden_layers": 6, "num_attention_heads": 4}
ALIKE = 1e-4
"""Largest relative difference of a logged number, and of a weight against the largest: merged adapters are rounded."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--steps", type=int, default=3, help="the first is not timed")
    parser.add_argument("--prompts", type=int, default=2)
    parser.add_argument("--samples", type=int, default=2)
    parser.add_argument("--new-tokens", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("runs/four_roles.json"))
    parser.add_argument("--child", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments)
        return
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([*again(arguments, Path(folder)), "--child", "one base", "--out", "prepare"], check=True)
        rows = compare(arguments, Path(folder))
    write_json(arguments.out, rows)
    print_table(rows)


def again(arguments: argparse.Namespace, folder: Path) -> list[str]:
    """This program with the same settings, in a process of its own."""
    sizes = ("rank", "steps", "prompts", "samples", "new_tokens", "epochs")
    named = [text for one in sizes for text in (f"--{one.replace('_', '-')}", str(getattr(arguments, one)))]
    model = ["--model", str(arguments.model)] if arguments.model else []
    return [sys.executable, __file__, *named, *model, "--folder", str(folder)]


def compare(arguments: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """All ways in turn, so often; each pair of LoRA runs has the same numbers."""
    ways = [way for way in WAYS if arguments.full or not way.startswith("all weights")]
    rows: list[dict[str, Any]] = []
    for turn in range(arguments.repeats):
        for way in ways:
            out = folder / f"{way} {turn}"
            subprocess.run([*again(arguments, folder), "--child", way, "--out", str(out)], check=True)
            rows.append({"way": way, "turn": turn, **json.loads((out / "found.json").read_text())})
            print(json.dumps({k: v for k, v in rows[-1].items() if k != "metrics"}), flush=True)
        one, each = (folder / f"{way} {turn}" for way in ("one base", "a base each"))
        off = difference(rows[-len(ways)], rows[1 - len(ways)], one, each)
        print(f"largest relative difference: {off:.2g}", flush=True)
        if not off <= ALIKE:
            raise SystemExit(f"the numbers of the two ways differ by {off:.2g}, more than {ALIKE:g}")
        rows[-len(ways)]["difference"] = off
    return rows


def difference(one: dict[str, Any], other: dict[str, Any], *folders: Path) -> float:
    """Of all logged numbers, relative to at least 1, and of all trained weights, relative to the largest."""
    pairs = [(a[n], b[n]) for a, b in zip(one["metrics"], other["metrics"], strict=True) for n in a]
    logged = max(abs(a - b) / max(1.0, abs(b)) for a, b in pairs if math.isfinite(b))
    ours, theirs = (load_file(folder / "trained.safetensors") for folder in folders)
    if ours.keys() != theirs.keys():
        raise SystemExit("the two ways do not train the same weights")
    largest = max(float(weight.abs().max()) for weight in theirs.values())
    return max(logged, *(float((ours[n] - theirs[n]).abs().max()) / largest for n in ours))


def child(arguments: argparse.Namespace) -> None:
    """Prepare the start and the reward model, or train in one of the ways and write what it took."""
    with machine(ComputeConfig(threads=1)):
        if arguments.out == Path("prepare"):
            prepare(arguments)
        else:
            train(arguments)


def prepare(arguments: argparse.Namespace) -> None:
    """Lay the model into the folder, and a reward model moved from it beside it."""
    start = arguments.folder / "policy-a" / "policy"
    start.parent.mkdir()
    if arguments.model:
        start.symlink_to(arguments.model.resolve())
    else:
        tokenizer = tiny_tokenizer()
        small = LlamaConfig(**SMALL, vocab_size=8192, pad_token_id=0, bos_token_id=1, eos_token_id=2)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            LlamaForCausalLM(small).save_pretrained(str(start))
        tokenizer.save_pretrained(str(start))
    model = ScalarModel.from_policy(start, config=lora(arguments.rank), seed=0)
    draw = torch.Generator().manual_seed(1)
    for parameter in model.parameters().values():
        parameter.data.add_(0.003 * torch.randn(parameter.shape, generator=draw))
    made = Manifest(kind="policy", key="a" * 64, stage="sft", version=1, config={})
    save_reward(model, arguments.folder / "reward-b", start=Artifact(start.parent, made))
    write_json(arguments.folder / "reward-b" / "manifest.json", {})


def train(arguments: argparse.Namespace) -> None:
    """PPO from the prepared models."""
    is_full, is_shared = arguments.child.startswith("all weights"), arguments.child.endswith("shared trunk")
    optimizer = OptimizerConfig(learning_rate=1e-6 if is_full else 1e-5, schedule="constant", warmup=0.0)
    config = PPOConfig(
        steps=arguments.steps,
        prompts_per_step=arguments.prompts,
        samples_per_prompt=arguments.samples,
        sampling=Sampling(temperature=1.0, max_new_tokens=arguments.new_tokens),
        epochs=arguments.epochs,
        critic_warmup=0,
        kl_limit=None,
        optimizer=optimizer,
        value_optimizer=optimizer,
        value="shared_trunk" if is_shared else "own_model",
        shared_base=WAYS[arguments.child],
    )
    start, reward = arguments.folder / "policy-a" / "policy", arguments.folder / "reward-b" / "reward"
    plain = Backends(ModelConfig() if is_full else lora(arguments.rank), ComputeConfig(threads=1))
    policy = plain.policy(start, trainable=True)
    backends = OneBase.of(plain, policy, start, config, print)
    rewards = WeightedRewards((Term(1.0, "reward", backends.scorer(reward, normalize=True)),), config.reward_clip)
    if is_shared:
        learner, value = trunk_learners(policy, config.optimizer, config.value_optimizer)
    else:
        learner = policy_learner(policy, config.optimizer)
        value = value_learner(backends.critic(start, reward, seed=0), config.value_optimizer)
    roles = Roles(
        policy=learner,
        reference=backends.reference(policy, start, temperature=1.0),
        reward=rewards,
        writer=backends.writer(policy, name="start"),
    )
    log = RunLog(arguments.out, quiet=True, tensorboard=False)
    loop = Stopwatch(arguments.out / "checkpoints", log, 0)
    train_ppo(roles, PROMPTS, config, loop, critic=value)
    loop.marks.append((time.perf_counter(), time.process_time()))
    learners = {"policy": roles.policy, "value": value}
    trained = {f"{who}/{n}": w for who, one in learners.items() for n, w in one.weights().items()}
    save_file({} if is_full else trained, arguments.out / "trained.safetensors")
    steps = [[b - a for a, b in zip(*pair, strict=True)] for pair in zip(loop.marks, loop.marks[1:], strict=False)]
    metrics = [{n: v for n, v in row.items() if isinstance(v, float)} for row in read_metrics(log.folder)]
    found = {
        "peak_mib": peak_mib(),
        "weights_mib": weights_mib(),
        "seconds": [wall for wall, _ in steps[1:]],
        "cpu_seconds": [busy for _, busy in steps[1:]],
        "metrics": metrics,
    }
    write_json(arguments.out / "found.json", found)


def lora(rank: int) -> ModelConfig:
    return ModelConfig(lora=LoraConfig(rank=rank, alpha=2.0 * rank))


class Stopwatch(Loop):
    """A loop that notes when each step began, by the clock and by the time that this process computed."""

    def steps(self, total, parts, **more):  # type: ignore[no-untyped-def]
        self.marks: list[tuple[float, float]] = []
        for step in super().steps(total, parts, **more):
            self.marks.append((time.perf_counter(), time.process_time()))
            yield step


def weights_mib() -> float:
    """Memory that the weights of all models of this process lie in; what they share counts once."""
    models = [one for one in gc.get_objects() if type(one) in (PolicyModel, ScalarModel)]
    stores = {s.data_ptr(): s.nbytes() for m in models for p in m.hf.parameters() if (s := p.untyped_storage())}
    return sum(stores.values()) / 2**20


def peak_mib() -> float:
    """Most memory that this process had resident, since it began."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def print_table(rows: list[dict[str, Any]]) -> None:
    print("| | weights, MiB | peak memory, MiB | seconds of computing a step | seconds a step |")
    print("|---|---|---|---|---|")
    for way in dict.fromkeys(row["way"] for row in rows):
        own = [row for row in rows if row["way"] == way]
        computed, waited = ([s for row in own for s in row[name]] for name in ("cpu_seconds", "seconds"))
        cells = [spread([row[n] for row in own], 0) for n in ("weights_mib", "peak_mib")]
        print(f"| {way} | {' | '.join(cells)} | {spread(computed, 2)} | {spread(waited, 2)} |")


def spread(values: list[float], digits: int) -> str:
    """Median and range."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


if __name__ == "__main__":
    main()
