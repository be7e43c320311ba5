"""Does PPO learn for the right reason? `python benchmarks/overoptimization.py` draws proxy and truth against √KL.

Starts from the policy and reward model of the demo's first round (run below runs/, found if done) and optimizes three
ways, watching the lab's truth on the rollouts (weight 0, never optimized): with the default KL control, with none, and
with noise in place of the reward. After Gao et al. 2022, figure 1, with the lab's truth for their gold reward model.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from assent.artifacts.layout import RUNS
from assent.artifacts.stage import Runner
from assent.core.runlog import read_metrics
from assent.pipeline.places import open_project
from assent.pipeline.rounds import prepare, run_round
from assent.pipeline.stages.declared import run_optimize
from assent.pipeline.stages.settings import OptimizeStage
from assent.training.on_policy_config import KLConfig, PPOConfig
from assent.training.reward_terms import ModelRewardConfig, PythonRewardConfig

TRUTH = "assent.lab.reward:truth"
NOISE = "assent.lab.reward:noise"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, default=Path("configs/demo.yaml"))
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--set", action="append", default=[], dest="settings")
    arguments = parser.parse_args()
    curves = run(arguments.config, arguments.steps, tuple(arguments.settings))
    draw(curves, Path("docs/images/overoptimization.svg"))
    print_table(curves)


def run(path: Path, steps: int, settings: tuple[str, ...]) -> dict[str, list[dict[str, Any]]]:
    """Metrics of each variant, by name."""
    project = open_project(path, (), settings)
    config = project.config
    assert isinstance(config.optimize, PPOConfig)
    watched = PythonRewardConfig(target=TRUTH, weight=0.0)
    longer = config.optimize.model_copy(update={"steps": steps, "rewards": (ModelRewardConfig(), watched)})
    noise = (PythonRewardConfig(target=NOISE), watched)
    variants = {
        "default KL control": longer,
        "no KL control": longer.model_copy(update={"kl": KLConfig(kind="off")}),
        "noise for reward": longer.model_copy(update={"rewards": noise, "kl": KLConfig(kind="off")}),
    }
    curves = {}
    with Runner(project.run_folder, home=RUNS, seed=config.seed) as runner:
        start = prepare(runner, config)
        with runner.within("round", 1):
            first = run_round(runner, config, start, [])
        for name, optimize in variants.items():
            stage = OptimizeStage(optimize=optimize, model=config.model, compute=config.compute)
            made = runner(run_optimize, stage, start=first.start, prompts=start.data["prompts"], reward=first.reward)
            curves[name] = read_metrics(made.folder)
    return curves


def draw(curves: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """Proxy and truth against √KL, one panel per variant."""
    figure, panels = plt.subplots(1, len(curves), figsize=(4.2 * len(curves), 3.6), sharey=True, layout="constrained")
    for panel, (name, steps) in zip(panels, curves.items(), strict=True):
        distance = np.sqrt(np.maximum([s["kl_per_response"] for s in steps], 0))
        for label, values, color in (("reward (proxy)", proxy(steps), "#0072b2"), ("truth", truth(steps), "#d55e00")):
            panel.plot(distance, values, ".", color=color, alpha=0.35, markersize=4)
            panel.plot(distance, smooth(values), color=color, label=label)
        panel.set_title(name, fontsize=10)
        panel.set_xlabel("√KL to the start, √nats per response")
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("gain over the start")
    panels[0].legend(frameon=False, fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


def print_table(curves: dict[str, list[dict[str, Any]]]) -> None:
    """Where each variant started, peaked and ended."""
    print("| variant | steps | KL at the end | proxy gain | truth gain: peak | truth gain: end |")
    print("|---|---|---|---|---|---|")
    for name, steps in curves.items():
        real, seeming = smooth(truth(steps)), smooth(proxy(steps))
        kl = np.mean([s["kl_per_response"] for s in steps[-5:]])
        print(f"| {name} | {len(steps)} | {kl:.1f} | {seeming[-1]:+.2f} | {real.max():+.2f} | {real[-1]:+.2f} |")


def truth(steps: list[dict[str, Any]]) -> np.ndarray:
    """Mean truth of the rollouts, less that of the first two batches (critic warm-up: the policy has not moved)."""
    values = np.array([s[f"reward/{TRUTH}"] for s in steps])
    return values - values[:2].mean()


def proxy(steps: list[dict[str, Any]]) -> np.ndarray:
    """Mean of what was optimized, likewise."""
    name = next(key for key in steps[0] if key.startswith("reward/") and TRUTH not in key)
    values = np.array([s[name] for s in steps])
    return values - values[:2].mean()


def smooth(values: np.ndarray, width: int = 7) -> np.ndarray:
    """Running mean over `width` steps, shorter at the ends."""
    half = width // 2
    return np.array([values[max(0, i - half) : i + half + 1].mean() for i in range(len(values))])


if __name__ == "__main__":
    main()
