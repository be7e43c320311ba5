"""A crowd in which something fails ends and says so: who brings in files in a thread is never waited for in vain."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def crowd() -> Iterator[ModuleType]:
    """The benchmark, which is a program and no part of the package."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        import crowd

        yield crowd
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))


@dataclass
class Bringer:
    """Goes on until it is told that it is over, and at most a minute."""

    is_over: bool = False
    ended: float = 0.0

    def bring(self) -> None:
        """Wait in a thread."""
        until = time.monotonic() + 60
        while not self.is_over and time.monotonic() < until:
            time.sleep(0.01)
        self.ended = time.monotonic()


@dataclass
class Servers:
    """Servers whose keeper fails at once."""

    kills: int = 0

    async def keep_up(self) -> None:
        """Fail."""
        raise RuntimeError("no more processes")

    async def kill_at_random(self, rng: object, *, times: int, every: float) -> None:
        """Kill none."""
        await asyncio.sleep(60)

    def url(self, rng: object) -> str:
        """Where nobody listens."""
        return "http://127.0.0.1:1"


def alone(work: object) -> object:
    """Run in a thread of its own: browser tests leave a running event loop in the one that pytest works in."""
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(asyncio.run, work).result()


def test_a_failing_crowd_stops_who_brings_in_files(crowd: ModuleType) -> None:
    async def work() -> float:
        await asyncio.sleep(0.05)
        raise RuntimeError("a rater was refused")

    bringer = Bringer()
    with pytest.raises(RuntimeError, match="a rater was refused"):
        alone(crowd.beside([], bringer, work()))
    assert bringer.is_over and bringer.ended


def test_raters_do_not_ask_dead_servers_for_ever(crowd: ModuleType) -> None:
    plan = crowd.Plan(raters=3, seconds=0.0, kills=1)
    with pytest.raises(ExceptionGroup) as failed:
        alone(crowd.crowd(Servers(), "invitation", crowd.Tally(), plan))
    assert [str(error) for error in failed.value.exceptions] == ["no more processes"]
