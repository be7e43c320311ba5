"""Does an optimizer step cost more the more data there is? `python benchmarks/step_time.py` times every trainer.

A step touches one batch, so its time must not grow with the data set. The model is tiny, so that anything else a step
does would show: a list made anew of all comparisons once took 16.6 s a step at 60,000 of them. All rows are alike, the
first steps are left out, and the median of the others is shown, in milliseconds.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from assent.core.group import Group
from assent.core.runlog import RunLog
from assent.core.types import Comparison, Completion, Judgment, Prompt, Ranking
from assent.learner.config import OptimizerConfig
from assent.learner.learner import Learner
from assent.models.config import ModelConfig
from assent.models.policy import PolicyModel
from assent.models.scalar import ScalarModel
from assent.models.tiny import save_tiny
from assent.pipeline.learners import policy_learner, train_reward_model
from assent.training.config import NoRatersConfig, RewardConfig, SFTConfig
from assent.training.dpo import train_dpo
from assent.training.loop import Loop
from assent.training.preference_config import DPOConfig
from assent.training.sft import train_sft
from assent.training.targets import Target, target_of

SIZES = (1_000, 10_000, 100_000)
STEPS, FIRST, BATCH = 60, 10, 8
FAST = OptimizerConfig(learning_rate=1e-4, tokens_per_microbatch=4096)
Trainer = Callable[[Path, Sequence[Group], Sequence[Target], Loop, float], object]


class Stopwatch(Loop):
    """A loop that notes when each step began, and ends after so many."""

    def steps(self, total, parts, *, description):  # type: ignore[no-untyped-def]
        self.times: list[float] = []
        for step in super().steps(min(total, STEPS), parts, description=description):
            self.times.append(time.perf_counter())
            yield step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    sizes = parser.parse_args().sizes
    trainers: dict[str, Trainer] = {"SFT": sft, "reward model": reward, "reward model, raters alike": alike, "DPO": dpo}
    print("| milliseconds a step, by comparisons | " + " | ".join(f"{n:,}" for n in sizes) + " |")
    print("|---" * (len(sizes) + 1) + "|")
    with tempfile.TemporaryDirectory() as folder:
        base = save_tiny(Path(folder) / "llama", "llama")
        for name, train in trainers.items():
            cells = [f"{1000 * timed(train, base, size, Path(folder) / f'{name} {size}'):.1f}" for size in sizes]
            print(f"| {name} | {' | '.join(cells)} |", flush=True)


def timed(train: Trainer, base: Path, size: int, folder: Path) -> float:
    """Median seconds between the beginnings of steps."""
    groups, targets = data(size)
    loop = Stopwatch(folder, RunLog(folder, quiet=True, tensorboard=False), 0)
    train(base, groups, targets, loop, STEPS * BATCH / size)
    return float(np.median(np.diff(loop.times[FIRST:])))


def data(size: int) -> tuple[list[Group], list[Target]]:
    """Comparisons of two answers by ten raters in turn, rows of twenty tokens."""
    rng = np.random.default_rng(0)
    groups, targets = [], []
    for n in range(size):
        tokens = [rng.integers(5, 200, length) for length in (8, 6, 6)]
        groups.append(Group(tokens[0], (tokens[1], tokens[2])))
        prompt = Prompt.of(f"question {n}")
        answers = tuple(Completion(prompt_id=prompt.id, text=f"answer {i}", id=f"c{i}") for i in range(2))
        ranking = Ranking(tiers=(("c0",), ("c1",)))
        judgment = Judgment(task_id="t", rater_id=f"r{n % 10}", ranking=ranking)
        target = target_of(Comparison(prompt=prompt, completions=answers, judgments=(judgment,)))
        assert target is not None
        targets.append(target)
    return groups, targets


def learner_of(base: Path) -> Learner:
    """The tiny policy, to be trained."""
    return policy_learner(PolicyModel.load(base, config=ModelConfig(), trainable=True), FAST)


def sft(base: Path, groups: Sequence[Group], targets: Sequence[Target], loop: Loop, epochs: float) -> object:
    config = SFTConfig(epochs=epochs, batch_size=BATCH, optimizer=FAST)
    return train_sft(learner_of(base), groups, [], config, loop)


def dpo(base: Path, groups: Sequence[Group], targets: Sequence[Target], loop: Loop, epochs: float) -> object:
    return train_dpo(
        learner_of(base), groups, targets, DPOConfig(epochs=epochs, batch_size=BATCH, optimizer=FAST), loop
    )


def reward(base: Path, groups: Sequence[Group], targets: Sequence[Target], loop: Loop, epochs: float) -> object:
    model = ScalarModel.from_policy(base, config=ModelConfig(), seed=0)
    config = RewardConfig(epochs=epochs, batch_size=BATCH, optimizer=FAST)
    return train_reward_model(model, groups, targets, config, loop)


def alike(base: Path, groups: Sequence[Group], targets: Sequence[Target], loop: Loop, epochs: float) -> object:
    model = ScalarModel.from_policy(base, config=ModelConfig(), seed=0)
    config = RewardConfig(epochs=epochs, batch_size=BATCH, optimizer=FAST, raters=NoRatersConfig())
    return train_reward_model(model, groups, targets, config, loop)


if __name__ == "__main__":
    main()
