"""Nothing is lost: `python benchmarks/kills.py --kills 20` kills a run with -9 at random instants and resumes it.

The final weights must be bit-identical to those of a run that was left alone. Times of the kills are drawn over the
whole length of the undisturbed run, so every stage is hit, in the middle of checkpoint writes too (one every half
second).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SMALL = (
    "rounds=1",
    "base.shape.layers=2",
    "base.shape.hidden=64",
    "data.corpus=600",
    "data.demonstrations=300",
    "data.prompts=200",
    "sample.prompts=60",
    "optimize.steps=6",
    "optimize.prompts_per_step=8",
    "optimize.ema=0.9",
    "evaluate.prompts=40",
    "compute.checkpoint_seconds=0.5",
    "compute.threads=1",
    "log.tensorboard=false",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--config", default="configs/demo.yaml")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        kills = kill_and_compare(Path(scratch), arguments.config, kills=arguments.kills, seed=arguments.seed)
    print(f"{len(kills)} kills, final weights bit-identical; killed in: {', '.join(kills)}")


def kill_and_compare(scratch: Path, config: str, *, kills: int, seed: int) -> list[str]:
    """One run left alone, others killed `kills` times in all; the stages hit. Raises SystemExit on a difference."""
    started = time.monotonic()
    finish(start(scratch / "alone", config))
    whole = time.monotonic() - started
    random_instants = random.Random(seed)
    hit: list[str] = []
    while len(hit) < kills:
        folder = scratch / f"killed-{len(hit)}"
        # Several kills per run, each some way further in, so that resumed runs are killed again.
        while len(hit) < kills:
            process = start(folder, config)
            try:
                process.wait(timeout=random_instants.uniform(0.2, 0.6) * whole)
                break
            except subprocess.TimeoutExpired:
                hit.append(working_on(folder))
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
        finish(start(folder, config))
        if weights(folder) != weights(scratch / "alone"):
            raise SystemExit(f"{folder.name}: final weights differ from the undisturbed run after kills in {hit}")
    return hit


def start(folder: Path, config: str) -> subprocess.Popen[bytes]:
    """One `assent run`, in its own working folder."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "assent.cli", "run", str(Path(config).absolute()), "--quiet"]
    for setting in (*SMALL, f"store.url=sqlite:///{folder / 'feedback.db'}"):
        command += ["--set", setting]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)


def finish(process: subprocess.Popen[bytes]) -> None:
    """Wait for a run that is left alone."""
    if process.wait() != 0:
        raise SystemExit(f"assent run ended with exit code {process.returncode}")


def working_on(folder: Path) -> str:
    """Name of the unfinished stage, as far as its folder tells."""
    work = sorted(p.name.split("-")[0] for p in (folder / "runs/work").glob("[!.]*"))
    return "+".join(work) or "between stages"


def weights(folder: Path) -> dict[str, str]:
    """SHA-256 of every model file and of the numbers of the verdict."""
    run = folder / "runs/demo"
    found = {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((folder / "runs/artifacts").rglob("*.safetensors"))
    }
    result = json.loads((run / "result.json").read_text())
    found["verdict"] = json.dumps([r["policy"] for r in result["rounds"]], sort_keys=True)
    return found


if __name__ == "__main__":
    main()
