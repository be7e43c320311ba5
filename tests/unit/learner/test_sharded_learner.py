"""Processes that part weights and micro-batches between them train as one does: every trainer, full and LoRA."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from parallel_trainers import FEW, STEPS, finish, run
from process_ends import read

from assent.core.group import Group
from assent.learner import peers
from assent.learner.fsdp import shares
from assent.models.groups import pack
from assent.models.tiny import save_tiny

SCRIPT = Path(__file__).with_name("parallel_trainers.py")
TRAINERS = (
    *("sft", "sft lora", "sft killed", "reward joint", "reward plain", "reward lora", "dpo", "dpo lora"),
    *("grpo", "grpo lora", "grpo ahead killed", "rloo", "reinforce++"),
    *("ppo", "ppo lora", "ppo critic", "ppo lora critic"),
)
Ends = tuple[dict[str, dict[str, torch.Tensor]], dict[str, list[dict[str, Any]]]]
"""Weights and logs, by trainer."""


@dataclass(frozen=True)
class Ran:
    """What one process ends with, what both of two end with, and where the two left trainings half done."""

    ends: tuple[Ends, Ends, Ends]
    model: Path
    begun: Path

    def __iter__(self) -> Iterator[Ends]:
        return iter(self.ends)


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("parallel")
    model = save_tiny(folder / "llama", "llama")
    both, alone = folder / "both", folder / "alone"
    alone.mkdir()
    finished = together(2, folder / "init", model, both)
    run(model, alone, 0)
    finished()
    return Ran((read(alone, 0), read(both, 0), read(both, 1)), model, both / "loops-0")


def together(count: int, init: Path, model: Path, out: Path, *loops: Path) -> Callable[[], None]:
    """Start processes that train together; what comes back waits for them."""
    out.mkdir()
    processes = [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), str(rank), str(count), *map(str, (init, model, out, *loops))],
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        for rank in range(count)
    ]

    def finish() -> None:
        assert [process.wait(timeout=300) for process in processes] == [0] * count

    return finish


@pytest.mark.slow
@pytest.mark.parametrize("trainer", TRAINERS)
def test_two_processes_end_with_the_weights_of_one(ends: Ran, trainer: str) -> None:
    alone, first, second = (weights[trainer] for weights, _ in ends)
    assert alone.keys() == first.keys() == second.keys()
    for key, weight in alone.items():
        assert torch.equal(first[key], second[key])
        assert torch.allclose(first[key], weight, rtol=0, atol=1e-5), key


@pytest.mark.slow
@pytest.mark.parametrize("trainer", [name for name in TRAINERS if "critic" not in name and name != "sft killed"])
def test_two_processes_log_the_losses_and_gradient_norms_of_one(ends: Ran, trainer: str) -> None:
    alone, first, second = (logs[trainer] for _, logs in ends)
    least = FEW if trainer in ("rloo", "reinforce++", "grpo ahead killed") else STEPS
    assert len(alone) >= least and first == second
    assert sum("grad_norm" in one for one in alone) >= least - 1  # PPO's first step trains the value model only
    for one, two in zip(alone, first, strict=True):
        assert one.keys() == two.keys()
        numbers = {name: value for name, value in one.items() if isinstance(value, float)}
        for name, value in numbers.items():
            assert two[name] == pytest.approx(value, rel=1e-4, abs=1e-5), f"{name} at step {one['step']}"


@pytest.mark.slow
def test_a_run_of_two_that_was_killed_ends_with_the_same_bits(ends: Ran) -> None:
    for weights, _ in ends:
        for key, weight in weights["sft killed"].items():
            assert torch.equal(weight, weights["sft"][key])


@pytest.mark.slow
def test_a_loss_that_is_not_finite_on_one_process_stops_both_and_leaves_no_gradient(
    ends: Ran,
) -> None:
    alone, first, second = (logs["bad loss"][0] for _, logs in ends)
    assert alone["rows"] == alone["bad"] and "the loss is nan at optimizer step 0" in alone["error"]
    assert first == second and (first["error"], first["rows"]) == (alone["error"], alone["rows"])
    assert first["spoiled"] == first["fresh"] == pytest.approx(alone["fresh"], rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("count", [3, 1])
def test_another_number_of_processes_goes_on_where_two_were_killed(ends: Ran, tmp_path: Path, count: int) -> None:
    alone = ends.ends[0][0]
    shutil.copytree(ends.begun, tmp_path / "begun")
    newest = tmp_path / "begun" / "lora killed" / "checkpoints" / "checkpoint-000002"
    shard = max(newest.glob("shards/*"))
    shard.write_bytes(shard.read_bytes()[:-1] + b"?")  # so that it goes on from the one before

    if count > 1:
        together(count, tmp_path / "init", ends.model, tmp_path / "out", tmp_path / "begun")()
    else:
        (tmp_path / "out").mkdir()
        peers.join("gloo", f"file://{tmp_path}/init", rank=0, count=1)
        try:
            finish(ends.model, tmp_path / "begun", tmp_path / "out", 0)
        finally:
            peers.leave()

    for rank in range(count):
        weights = read(tmp_path / "out", rank)[0]
        for name, trainer in (("full", "sft"), ("lora", "sft lora")):
            assert weights[name].keys() == alone[trainer].keys()
            for key, weight in alone[trainer].items():
                assert torch.allclose(weights[name][key], weight, rtol=0, atol=1e-5), f"{name} {key}"
    kept = sorted(one.name for one in newest.parent.iterdir())
    assert kept == ["checkpoint-000018", "checkpoint-000019"]  # each written anew after the damaged one was left out


def test_micro_batches_go_to_whoever_has_the_fewest_tokens() -> None:
    def group(length: int) -> Group:
        return Group(np.arange(1, 3), (np.arange(1, length - 1),))

    batches = pack([group(n) for n in (9, 8, 5, 4, 3)], budget=1)  # longest first, each a batch of its own
    assert [b.num_tokens for b in batches] == [9, 8, 5, 4, 3]
    assert shares(batches, 2) == [[0, 3, 4], [1, 2]]  # 9 | 8, 5 to the 8, 4 to the 9, 3 to the first of 13 and 13
    assert shares(batches[:1], 2) == [[0], []]
