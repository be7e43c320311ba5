"""The page is quick with 10,000 tasks in the store: measured by the benchmark's own code, printed, and held to it."""

from __future__ import annotations

import importlib.util
import statistics
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
BUSY = 8
"""On a machine that others use too, a median may take so many times what the benchmark asks of a 95th percentile."""


def test_keys_are_answered_and_tasks_change_without_a_wait(tmp_path: Path, chromium: object) -> None:
    """The targets are the benchmark's to hold; here a page that got slow by an order of magnitude is found."""
    bench = _benchmark()
    url = f"sqlite:///{tmp_path}/feedback.db"
    cookie = bench.fill(url, tasks=10_000)
    with bench.serve(url) as address:
        seen = bench.rank(chromium, address, cookie, rankings=20, pause=0.4)
    bench.report("key to paint", seen["key"], bench.KEY_MS)
    bench.report("submit to next", seen["next"], bench.NEXT_MS)
    assert (len(seen["key"]) > 90, len(seen["next"]) > 15) == (True, True), seen
    assert statistics.median(seen["key"]) < BUSY * bench.KEY_MS
    assert statistics.median(seen["next"]) < BUSY * bench.NEXT_MS


def _benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("rating_page", ROOT / "benchmarks" / "rating_page.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
