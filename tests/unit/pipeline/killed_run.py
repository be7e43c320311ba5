"""Not a test: a small run of two stages that is killed again and again and run again each time; used by test_kills.py.

python killed_run.py instants FOLDER KILLS SEED    kill -9 at random instants, KILLS times, until the last run finishes
python killed_run.py files FOLDER                  kill -9 just before the n-th file operation, for every n
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from assent.artifacts.stage import LogOptions, Runner, StageContext, stage
from assent.artifacts.store import Artifact
from assent.core.config import Config
from assent.core.files import write_text
from assent.learner import checkpoint

FILE_EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "shutil.rmtree"}


class TrainConfig(Config):
    steps: int


@stage(name="train", version=1, kind="policy")
def train(ctx: StageContext, config: TrainConfig, *, start: Artifact | None = None) -> dict[str, Any]:
    weights = torch.zeros(2_000, dtype=torch.float64)
    if start is not None:
        weights = load_file(start.file("weights/w.safetensors"))["w"]
    moment, first = torch.zeros_like(weights), 1
    found = checkpoint.latest(ctx.scratch, say=ctx.log.say)
    if found is not None:
        weights, moment = (found.tensors()[name] for name in ("w", "m"))
        first = found.state["step"] + 1
    ctx.log.rewind(first - 1)
    for step in range(first, config.steps + 1):
        draw = torch.Generator().manual_seed(ctx.seed % 2**31 + step)
        moment = 0.9 * moment + torch.randn(weights.shape, generator=draw, dtype=torch.float64)
        weights = weights - 0.1 * moment
        ctx.log.record(step, {"norm": weights.norm().item()})
        if step % 3 == 0:
            checkpoint.save(ctx.scratch, step=step, tensors={"w": weights, "m": moment}, state={"step": step})
    (ctx.output / "weights").mkdir()
    save_file({"w": weights}, ctx.output / "weights" / "w.safetensors")
    write_text(ctx.output / "steps.txt", f"{config.steps}\n")
    return {"norm": weights.norm().item()}


def whole_run(folder: Path, steps: int) -> None:
    with Runner(folder, seed=3, logs=LogOptions(quiet=True, tensorboard=False)) as run:
        first = run(train, TrainConfig(steps=steps))
        with run.within("round", 2):
            run(train, TrainConfig(steps=steps), start=first)


def fork(work: Callable[[], None]) -> int:
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    return child


def kill_at_instants(folder: Path, kills: int, seed: int) -> None:
    """As many kills as are asked for, however fast the machine: a run that ends between them is followed by another."""
    rng, killed, runs = random.Random(seed), 0, 1
    start = time.monotonic()
    whole_run(folder / "undisturbed", 60)
    usual = time.monotonic() - start
    while True:
        target = folder / f"killed-{runs}"
        child = fork(lambda target=target: whole_run(target, 60))  # type: ignore[misc]
        if killed < kills:
            time.sleep(rng.uniform(0.01, 0.12) * usual)
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            killed += 1
        elif status or killed == kills:
            print(f"killed {killed} times in {runs} runs, exit {os.WEXITSTATUS(status)}")
            return
        else:
            runs, usual = runs + 1, usual / 2  # the machine was slower while it was measured


def kill_at_file_operations(folder: Path) -> None:
    whole_run(folder / "undisturbed", 3)
    for n in itertools.count(1):
        target = folder / f"killed-{n}"

        def until_killed(target: Path = target, n: int = n) -> None:
            left = [n]

            def count(event: str, arguments: tuple[object, ...]) -> None:
                if event in FILE_EVENTS:
                    left[0] -= 1
                    if left[0] == 0:
                        os.kill(os.getpid(), signal.SIGKILL)

            sys.addaudithook(count)
            whole_run(target, 3)

        _, status = os.waitpid(fork(until_killed), 0)
        if not os.WIFSIGNALED(status):
            print(f"killed before each of {n - 1} file operations, exit {os.WEXITSTATUS(status)}")
            return
        _, status = os.waitpid(fork(lambda target=target: whole_run(target, 3)), 0)  # type: ignore[misc]
        if status:
            print(f"killed before file operation {n}: not recovered")
            return


if __name__ == "__main__":
    if sys.argv[1] == "instants":
        kill_at_instants(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
    else:
        kill_at_file_operations(Path(sys.argv[2]))
