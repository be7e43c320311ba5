"""The demo over several seeds: `python benchmarks/seeds.py --seeds 5`. Prints the table of docs/results.md.

Each seed is a whole run (tokenizer, model, people, PPO) below runs/demo-seed-N; a run that is done is only read.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

AXES = ("helpful", "honest", "harmless", "harm", "over_refusal", "fluent", "mean_length")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--config", default="configs/demo.yaml")
    parser.add_argument("--jobs", type=int, default=1, help="seeds at once; give each --set compute.threads=1 then")
    parser.add_argument("--set", action="append", default=[], dest="settings", help="passed on to assent run")
    arguments = parser.parse_args()
    with ThreadPoolExecutor(arguments.jobs) as pool:
        results = list(pool.map(lambda seed: run(arguments.config, seed, arguments.settings), range(arguments.seeds)))
    print_table(results)


def run(config: str, seed: int, settings: list[str]) -> dict[str, Any]:
    """One seed through the command that users type."""
    name = f"demo-seed-{seed}"
    folder = Path("runs") / name
    changes = [f"seed={seed}", f"name={name}", f"store.url=sqlite:///{(folder / 'feedback.db').absolute()}", *settings]
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "assent.cli", "run", config, "--quiet"]
    for change in changes:
        command += ["--set", change]
    subprocess.run(command, check=True)
    return json.loads((folder / "result.json").read_text())


def print_table(results: list[dict[str, Any]]) -> None:
    """Final policy against SFT, per seed and over seeds."""
    head = ["seed", "seconds", "RM accuracy r1 / r2", "ceiling", "longer wins", "final win rate", "KL", *AXES]
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * (7 + len(AXES)))
    for result in results:
        rounds, final = result["rounds"], result["final"]
        win = final["policy"]["win_rate"]
        accuracy = " / ".join(f"{r['reward']['heldout_accuracy']['estimate']:.3f}" for r in rounds)
        cells = [
            str(result["seed"]),
            f"{result['seconds']:.0f}",
            accuracy,
            shown(rounds[-1]["reward"]["ceiling"]),
            shown(rounds[-1]["reward"]["longer_wins"]),
            f"{win['estimate']:.3f} [{win['low']:.3f}, {win['high']:.3f}]",
            f"{final['policy']['kl_per_response']:.1f}",
            *(f"{shown(final['truth']['before'][a])} → {shown(final['truth']['after'][a])}" for a in AXES),
        ]
        print("| " + " | ".join(cells) + " |")
    wins = [r["final"]["policy"]["win_rate"]["estimate"] for r in results]
    spread = f" ± {statistics.stdev(wins):.3f} (sd over seeds)" if len(wins) > 1 else ""
    print(f"\nfinal win rate over {len(wins)} seeds: {statistics.mean(wins):.3f}{spread}, lowest {min(wins):.3f}")


def shown(value: float | None) -> str:
    """Three digits, or a dash."""
    return "–" if value is None else f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


if __name__ == "__main__":
    main()
