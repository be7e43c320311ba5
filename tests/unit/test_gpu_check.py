"""`make gpu-check` on toys and a CPU: the same code; a cell that fails or takes too long stops no other."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def check() -> Iterator[ModuleType]:
    sys.path.insert(0, str(ROOT / "benchmarks"))
    import gpu_check

    yield gpu_check
    sys.path.remove(str(ROOT / "benchmarks"))


@pytest.mark.slow
def test_toys_on_a_cpu_are_right_and_written_down(
    check: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--device", "cpu", "--tiny", "--out", str(tmp_path), "--only", "out", "GRPO tiny LoRA", "PPO tiny"]
    assert check.main(asked) == 0
    found = json.loads((tmp_path / "gpu-check.json").read_text())
    cells = {one["cell"]: one for one in found["cells"]}
    assert {one["state"] for one in cells.values()} == {"ok"} and found["tiny"] and found["device"] == "cpu"
    assert list(cells) == [
        *("machine", "out of memory", "PPO tiny", "GRPO tiny LoRA", "PPO tiny LoRA"),
    ]
    assert cells["out of memory"]["halvings"] >= 1 and cells["out of memory"]["gradient_off"] < 1e-4
    assert cells["PPO tiny LoRA"]["planned"] > cells["GRPO tiny LoRA"]["planned"] > 0
    assert all(0 < cells[name]["share_of_rate"] < 1 for name in ("PPO tiny", "GRPO tiny LoRA"))
    table = (tmp_path / "gpu-check.md").read_text()
    assert "5 of 5 cells are right" in table and "| GRPO tiny LoRA | ok |" in table
    assert table in capsys.readouterr().out


def test_a_cell_that_fails_or_hangs_or_has_no_time_stops_no_other(check: ModuleType) -> None:
    def fails(bench: Any) -> dict[str, Any]:
        raise ValueError("no such kernel\nand much more")

    def hangs(bench: Any) -> dict[str, Any]:
        time.sleep(20)
        return {}

    cells = [
        check.Cell("fails", 5, fails),
        check.Cell("hangs", 0.1, hangs),
        check.Cell("works", 5, lambda bench: {"rate": 2.0}),
    ]
    bench = check.Bench(torch.device("cpu"), True)
    failed, hung, worked = check.run(bench, cells, budget=30)
    assert (failed["state"], failed["said"]) == ("failed", "ValueError: no such kernel")
    assert hung["state"] == "failed" and "TimeoutError: took more than its 1 s" in hung["said"]
    assert worked["state"] == "ok" and worked["rate"] == 2.0
    [late] = check.run(bench, cells[2:], budget=0.1)
    assert late["state"] == "skipped" and "time is short" in late["said"]
    assert check.verdict([failed, worked, late]) == "1 of 3 cells are right; failed: fails; skipped: works"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_it_says_that_nothing_was_run(check: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert check.main([]) == 2
    assert "not run: torch sees no GPU here" in capsys.readouterr().out
