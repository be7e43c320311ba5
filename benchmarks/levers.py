"""What makes training fast on a CPU, one cell per lever: the same work with and without it, in turn, in one process.

`python benchmarks/levers.py last-layer lora products --model FOLDER` times a model of 5 million parameters with random
weights, or the one in FOLDER; `accuracy --policy FOLDER --comparisons FILE` trains reward models of the lab with
products of both types over seeds and asks for the truth; `settle` says how far the scale of a reward model is off;
`logps --model FOLDER --texts FILE` compares log-probabilities.

Each timed cell first compares what both sides say: the largest difference of scores, and the distance of gradients as a
share of their length. Rows are random tokens of lengths that scatter as those of talks do. Seconds are medians of the
CPU time of one thread, which neighbours on the machine disturb least.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # as the command sets it

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from levers_data import Floats, lab, random_batches, small_model, texts
from peft.tuners.lora.layer import Linear as PeftLinear
from scipy import stats
from torch import Tensor

from assent.core.runlog import RunLog
from assent.learner.scorer import score_groups
from assent.models.config import LoraConfig, ModelConfig
from assent.models.groups import GroupBatch, pack
from assent.models.linear import FusedLoraLinear
from assent.models.policy import PolicyModel
from assent.models.scalar import ScalarModel
from assent.pipeline.learners import row_scorer, train_reward_model
from assent.training import reward
from assent.training.config import RewardConfig
from assent.training.loop import Loop

LORA = LoraConfig(rank=16, alpha=32)
Model = PolicyModel | ScalarModel


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cells", nargs="+", choices=sorted(CELLS))
    parser.add_argument("--model", type=Path, help="a model folder; left out: 5 million parameters, random")
    parser.add_argument("--policy", type=Path, help="a fine-tuned policy of the lab")
    parser.add_argument("--comparisons", type=Path, help="comparisons.jsonl of a run on the lab")
    parser.add_argument("--texts", type=Path, help="a file of HH pairs (.jsonl.gz), for logps")
    parser.add_argument("--groups", type=int, default=16, help="groups of two answers in a step")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=float, default=1.0, help="of the reward models of the lab")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as place:
        arguments.place = Path(place)
        arguments.model = arguments.model or small_model(Path(place) / "small")
        for cell in arguments.cells:
            CELLS[cell](arguments)


def last_layer(arguments: argparse.Namespace) -> None:
    """The last layer where it is read, against all of it."""
    batches = random_batches(arguments.groups)
    scalar = ScalarModel.from_policy(arguments.model, config=ModelConfig(), seed=0)
    policy = PolicyModel.load(arguments.model, config=ModelConfig(), trainable=True)

    def whole(model: Model) -> Callable[[], Iterator[None]]:
        @contextmanager
        def within() -> Iterator[None]:
            model.way, kept = replace(model.way, reads=False), model.way
            yield
            model.way = kept

        return within

    ask = {"last token": scalar.at_last, "value": scalar.at_scored, "log-probs": lambda b: policy.logps(b).logps}
    for name, outputs in ask.items():
        model = policy if name == "log-probs" else scalar
        sides = {"all tokens": (model, outputs, whole(model)), "read alone": (model, outputs, nothing)}
        compared(f"last layer, {name}", sides, batches, arguments.turns)


def lora(arguments: argparse.Namespace) -> None:
    """Adapters in few operations, against PEFT's own."""
    model = with_adapters(ScalarModel.from_policy(arguments.model, config=ModelConfig(lora=LORA), seed=0))
    layers = [module for module in model.hf.modules() if type(module) is FusedLoraLinear]

    @contextmanager
    def peft() -> Iterator[None]:
        for layer in layers:
            layer.__class__ = PeftLinear
        yield
        for layer in layers:
            layer.__class__ = FusedLoraLinear

    sides = {"PEFT": (model, model.at_last, peft), "fused": (model, model.at_last, nothing)}
    compared("LoRA", sides, random_batches(arguments.groups), arguments.turns)


def products(arguments: argparse.Namespace) -> None:
    """Products in bfloat16 over float32 weights, against float32; under LoRA also a base stored in bfloat16."""
    for name, adapters in (("all weights", None), ("LoRA", LORA)):
        kinds: dict[str, dict[str, str]] = {"float32": {}, "products bfloat16": {"products": "bfloat16"}}
        if adapters is not None:
            kinds["dtype bfloat16"] = {"dtype": "bfloat16"}
        configs = {kind: ModelConfig.model_validate({"lora": adapters, **own}) for kind, own in kinds.items()}
        models = {
            kind: with_adapters(ScalarModel.from_policy(arguments.model, config=config, seed=0))
            for kind, config in configs.items()
        }
        sides = {kind: (model, model.at_last, nothing) for kind, model in models.items()}
        compared(f"products, {name}", sides, random_batches(arguments.groups), arguments.turns)
    policies = {
        kind: PolicyModel.load(arguments.model, config=ModelConfig.model_validate({"products": kind}), trainable=True)
        for kind in ("float32", "bfloat16")
    }
    spoken = {kind: (one, lambda b, one=one: one.logps(b).logps, nothing) for kind, one in policies.items()}
    compared("products, log-probs of a policy", spoken, random_batches(arguments.groups), arguments.turns)


def with_adapters(model: ScalarModel) -> ScalarModel:
    """With second factors that are not zero, where there are any."""
    generator = torch.Generator().manual_seed(0)
    for name, parameter in model.parameters().items():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.01, generator=generator)
    return model


@contextmanager
def nothing() -> Iterator[None]:
    """As it is."""
    yield


Side = tuple[Model, Callable[[GroupBatch], Tensor], Callable[[], object]]


def compared(name: str, sides: dict[str, Side], batches: list[GroupBatch], turns: int) -> None:
    """Compare what the sides say with the first one, then time all in turn."""
    said = {kind: step(side, batches) for kind, side in sides.items()}
    first, *_ = said.values()
    seconds: dict[str, list[float]] = {kind: [] for kind in sides}
    for _ in range(turns):
        for kind, side in sides.items():
            begin = time.process_time()
            step(side, batches)
            seconds[kind].append(time.process_time() - begin)
    tokens = sum(batch.num_tokens for batch in batches)
    print(f"\n{name}: forward and backward of {tokens} tokens, {turns} turns")
    base = float(np.median(next(iter(seconds.values()))))
    for kind, times in seconds.items():
        off = (said[kind][0] - first[0]).abs().max().item()
        away = ((said[kind][1] - first[1]).norm() / first[1].norm()).item()
        middle = float(np.median(times))
        print(
            f"  {kind}: {middle:.3f} s ({min(times):.3f} to {max(times):.3f}), {base / middle:.2f}x;"
            f" outputs off by at most {off:.2g} (they scatter by {first[0].std().item():.2g}), gradients by {away:.2g}",
            flush=True,
        )


def step(side: Side, batches: list[GroupBatch]) -> tuple[Tensor, Tensor]:
    """What a model says of the batches, and the gradient of a sum of squares."""
    model, outputs, within = side
    model.hf.zero_grad()
    said = []
    with within():  # type: ignore[attr-defined]
        for batch in batches:
            found = outputs(batch)
            found.square().sum().backward()
            said.append(found.detach())
    gradients = [p.grad.flatten() for p in model.parameters().values() if p.grad is not None]
    return torch.cat(said), torch.cat(gradients)


def settle(arguments: argparse.Namespace) -> None:
    """The scale of a reward model from a sample of comparisons, against all: how far it is off, over 1000 draws."""
    world = lab(arguments.policy, arguments.comparisons)
    trained, model, seconds = fitted(arguments, world.learn, "float32", 0)
    begin = time.process_time()
    scores = np.array(score_groups(row_scorer(model), [g for g, _ in world.learn], budget=4096))
    whole = time.process_time() - begin
    starts = np.cumsum([0, *(len(g.continuations) for g, _ in world.learn)])
    print(f"\nscale of {len(world.learn)} comparisons, {len(scores)} answers; {seconds:.1f} s of training")
    print(f"  a pass over all takes {whole:.2f} s")
    rng = np.random.default_rng(0)
    for size in sorted({64, 128, 256, reward.scale_sample(len(world.learn))}):
        means, ratios = [], []
        for _ in range(1000):
            chosen = rng.choice(len(world.learn), size=size, replace=False)
            drawn = np.concatenate([scores[starts[i] : starts[i + 1]] for i in chosen])
            means.append((drawn.mean() - scores.mean()) / scores.std())
            ratios.append(drawn.std() / scores.std())
        far, rare = np.quantile(np.abs(means), 0.95), np.quantile(np.abs(np.array(ratios) - 1), 0.95)
        print(f"  of {size}: the mean is off by {np.std(means):.3f} deviations (1 in 20 beyond {far:.3f}),")
        print(f"    the deviation by {np.std(ratios):.1%} (1 in 20 beyond {rare:.1%})")
    off = (trained.score_mean - scores.mean()) / scores.std()
    print(f"  this seed's: mean off by {off:.3f} deviations, deviation by {trained.score_std / scores.std() - 1:.1%}")


def accuracy(arguments: argparse.Namespace) -> None:
    """Reward models of the lab with products of both types: pairs ordered as the truth orders them, over seeds."""
    world = lab(arguments.policy, arguments.comparisons)
    found: dict[str, list[float]] = {"float32": [], "bfloat16": []}
    for seed in arguments.seeds:
        for kind, values in found.items():
            _, model, seconds = fitted(arguments, world.learn, kind, seed)
            values.append(world.truth_kept(score_groups(row_scorer(model), world.groups, budget=4096)))
            print(f"  seed {seed}, {kind}: {values[-1]:.4f} of pairs as in truth, {seconds:.1f} s", flush=True)
    gaps: Floats = np.subtract(found["bfloat16"], found["float32"])
    if len(gaps) > 1:
        half = stats.t.ppf(0.975, len(gaps) - 1) * gaps.std(ddof=1) / len(gaps) ** 0.5
        print(f"bfloat16 less float32: {gaps.mean():+.4f}, 95 % interval ± {half:.4f}, n = {len(gaps)} seeds")


def fitted(
    arguments: argparse.Namespace, members: list[reward.Member], kind: str, seed: int
) -> tuple[reward.Trained, ScalarModel, float]:
    """A reward model of the lab, trained as the demo trains its own."""
    config = ModelConfig.model_validate({"products": kind})
    model = ScalarModel.from_policy(arguments.policy, config=config, seed=seed)
    optimizer = {"learning_rate": 0.001, "warmup": 0.1, "weight_decay": 0.01, "tokens_per_microbatch": 4096}
    settings = RewardConfig.model_validate({"epochs": arguments.epochs, "batch_size": 16, "optimizer": optimizer})
    folder = arguments.place / f"{kind} {seed}"
    loop = Loop(folder, RunLog(folder, quiet=True, tensorboard=False), seed)
    begin = time.process_time()
    trained = train_reward_model(model, [g for g, _ in members], [t for _, t in members], settings, loop)
    return trained, model, time.process_time() - begin


def logps(arguments: argparse.Namespace) -> None:
    """Log-probabilities of real answers: float32 against products in bfloat16 and weights stored in bfloat16."""
    kinds: dict[str, dict[str, str]] = {
        "float32": {},
        "products bfloat16": {"products": "bfloat16"},
        "dtype bfloat16": {"dtype": "bfloat16"},
    }
    expected: Tensor | None = None
    for kind, settings in kinds.items():
        policy = PolicyModel.load(arguments.model, config=ModelConfig.model_validate(settings), trainable=False)
        batches = pack(texts(policy, arguments.texts, arguments.groups), budget=2048)
        begin = time.process_time()
        with torch.no_grad():
            found = torch.cat([policy.logps(batch).logps.float() for batch in batches])
        seconds = time.process_time() - begin
        expected = found if expected is None else expected
        off = found - expected
        print(
            f"  {kind}: {seconds:.2f} s for {sum(b.num_tokens for b in batches)} tokens; of {len(off)} answers' tokens"
            f" rms {off.square().mean().sqrt():.4f}, mean {off.mean():+.5f}, largest {off.abs().max():.3f} nats",
            flush=True,
        )


CELLS: dict[str, Callable[[argparse.Namespace], None]] = {
    "last-layer": last_layer,
    "lora": lora,
    "products": products,
    "settle": settle,
    "accuracy": accuracy,
    "logps": logps,
}


if __name__ == "__main__":
    main()
