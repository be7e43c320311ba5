"""What a run saw on its way: `python benchmarks/held_out_curves.py runs/held-out` draws losses and accuracies.

Of the policy of the newest round: each training batch, what was held out, and the evaluation that gave the result.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from assent.artifacts.find import find_artifact
from assent.core.runlog import read_metrics

TRAIN, HELD_OUT = "#0072b2", "#d55e00"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="a run, a round or a policy")
    parser.add_argument("--image", type=Path, default=Path("docs/images/evaluation-during-training.svg"))
    arguments = parser.parse_args()
    policy = find_artifact(arguments.run)
    rows = read_metrics(policy.folder)
    best = policy.notes.get("best") or {}
    draw(rows, best, arguments.image)
    print("| after step | held-out loss | held-out accuracy | margin |")
    print("|---|---|---|---|")
    for row in (one for one in rows if one["kind"] == "eval"):
        values = " | ".join(f"{row[name]:.3f}" for name in ("loss", "accuracy", "margin"))
        print(f"| {row['after']:.0f} | {values} |")
    print(f"best: {best}")


def draw(rows: list[dict[str, Any]], best: dict[str, Any], path: Path) -> None:
    """Loss and accuracy over steps, one panel each."""
    figure, panels = plt.subplots(1, 2, figsize=(9.0, 3.4), layout="constrained")
    train = [row for row in rows if row["kind"] == "train"]
    seen = [row for row in rows if row["kind"] == "eval"]
    for panel, name in zip(panels, ("loss", "accuracy"), strict=True):
        values = np.array([row[name] for row in train])
        panel.plot([row["step"] + 1 for row in train], values, color=TRAIN, alpha=0.25, linewidth=0.8)
        panel.plot([row["step"] + 1 for row in train], smooth(values), color=TRAIN, label="training batches")
        # Before the first step no policy is ahead of itself, so accuracy means nothing there.
        shown = [row for row in seen if row["after"] or name == "loss"]
        panel.plot([row["after"] for row in shown], [row[name] for row in shown], "o-", color=HELD_OUT, markersize=4,
                   label="held out")  # fmt: skip
        if best:
            panel.axvline(best["step"], color="black", linewidth=0.8, linestyle=":", label="the result")
        panel.set_title(name, fontsize=10)
        panel.set_xlabel("steps taken")
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].legend(frameon=False, fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


def smooth(values: np.ndarray, width: int = 15) -> np.ndarray:
    """Running mean over `width` steps, shorter at the ends."""
    half = width // 2
    return np.array([values[max(0, i - half) : i + half + 1].mean() for i in range(len(values))])


if __name__ == "__main__":
    main()
