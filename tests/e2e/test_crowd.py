"""Zero lost, zero double, zero default, in small: benchmarks/crowd.py lets 200 raters work on four servers."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def crowd() -> ModuleType:
    """The benchmark, which is a program and no part of the package."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        import crowd
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))
    return crowd


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_what_was_acknowledged_is_kept_once_as_it_was_meant(crowd: ModuleType, tmp_path: Path, database: str) -> None:
    habits = crowd.Habits(think=0.2, lease=2.0)
    plan = crowd.Plan(raters=24, servers=2, seconds=8, tasks=400, kills=3, every=2.0, seed=1, file=200, habits=habits)
    try:
        # A thread of its own: browser tests leave a running event loop in the one that pytest works in.
        with ThreadPoolExecutor(1) as alone:
            outcome = alone.submit(crowd.run, database, tmp_path, plan, is_durable=False).result()
    except crowd.NoPostgres as reason:
        pytest.skip(str(reason))
    assert outcome.problems == []
    assert outcome.failures == []
    assert outcome.kills == 3
    assert len(outcome.followers) == 4 and outcome.tally.brought
    for follower in outcome.followers:
        assert len(follower.seen) > len(outcome.tally.brought), "missed or doubled would be a problem"
    assert len([s for s in outcome.tally.sent.values() if s.status]) > 24
