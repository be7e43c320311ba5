"""A run killed with -9 again and again ends with the very weights of a run that was left alone."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_runs_end_with_the_same_bits(tmp_path: Path) -> None:
    # The documented figure is `python benchmarks/kills.py --kills 20`; here are fewer kills, another seed.
    spec = importlib.util.spec_from_file_location("kills", ROOT / "benchmarks" / "kills.py")
    assert spec is not None and spec.loader is not None
    kills = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(kills)
    hit = kills.kill_and_compare(tmp_path, str(ROOT / "configs" / "demo.yaml"), kills=5, seed=1)
    assert len(hit) == 5
