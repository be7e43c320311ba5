"""The page is quick with 10,000 tasks in the store: measured by the benchmark's own code, printed, and held to it."""

from __future__ import annotations

import importlib.util
import os
import statistics
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ROOT = Path(__file__).parents[2]


def test_keys_are_answered_and_tasks_change_without_a_wait(tmp_path: Path, chromium: object) -> None:
    """On a busy machine only the medians are held to the targets: a 95th percentile then measures the others."""
    bench = _benchmark()
    url = f"sqlite:///{tmp_path}/feedback.db"
    cookie = bench.fill(url, tasks=10_000)
    with bench.serve(url) as address:
        seen = bench.rank(chromium, address, cookie, rankings=20, pause=0.4)
    is_met = [bench.report("key to paint", seen["key"], bench.KEY_MS)]
    is_met.append(bench.report("submit to next", seen["next"], bench.NEXT_MS))
    assert (len(seen["key"]), len(seen["next"])) == (100, 20)
    assert statistics.median(seen["key"]) < bench.KEY_MS
    assert statistics.median(seen["next"]) < bench.NEXT_MS
    if os.getloadavg()[0] < (os.cpu_count() or 1):
        assert all(is_met)


def _benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("rating_page", ROOT / "benchmarks" / "rating_page.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
