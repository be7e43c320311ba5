"""Trackers that fail: the run goes on, the warning comes once, what was missed is counted; a full disk ends it."""

from __future__ import annotations

import errno
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from assent.core import runlog
from assent.core.errors import RunError, UserError
from assent.core.runlog import RunLog, read_metrics


class Flaky:
    """A tracker that raises whatever `error` gives for the number of a call."""

    def __init__(self, error: Callable[[int], Exception | None]) -> None:
        self.error, self.calls, self.drawn = error, 0, list[int]()

    def record(self, step: int, values: Mapping[str, float]) -> None:
        self._call()
        self.drawn.append(step)

    def show(self, step: int, answers: Sequence[tuple[str, str]]) -> None:
        self._call()

    def rewind(self, step: int) -> None:
        self._call()

    def close(self) -> None:
        self._call()

    def _call(self) -> None:
        self.calls += 1
        if (error := self.error(self.calls)) is not None:
            raise error


@pytest.fixture(params=["tensorboard", "wandb", "mlflow"])
def which(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def log_of(which: str, folder: Path, tracker: Any, monkeypatch: pytest.MonkeyPatch, told: set[str]) -> RunLog:
    """A log with one tracker of that name, which is `tracker`; an exception is raised where it begins."""

    def begin(*_: Any) -> Any:
        if isinstance(tracker, Exception):
            raise tracker
        return tracker

    monkeypatch.setattr(runlog, "TensorBoardTracker", begin)
    monkeypatch.setattr(runlog, "open_tracker", begin)
    names: Any = () if which == "tensorboard" else (which,)
    return RunLog(folder, tensorboard=which == "tensorboard", trackers=names, told=told, stream=io.StringIO())


def said(log: RunLog) -> str:
    return str(log._screen._stream.getvalue())  # type: ignore[attr-defined]


def test_a_failure_amid_training_is_told_once_and_counted_and_all_numbers_are_kept(
    which: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: set[str] = set()
    tracker = Flaky(lambda call: ConnectionError("no\nroute") if call in (3, 4) else None)
    with log_of(which, tmp_path / "one", tracker, monkeypatch, told) as log:
        for step in range(12):
            log.record(step, {"loss": 1.0})
        first = log
    # The third call fails: two entries pass. The fourth fails: four pass.
    assert tracker.drawn == [0, 1, 10, 11]
    assert [row["step"] for row in read_metrics(tmp_path / "one")] == list(range(12))
    assert said(first).count("warning") == 1
    assert f"warning: {which} failed (ConnectionError: no route); the run goes on" in said(first)
    assert f"{which} missed 8 of 12 entries of this stage" in said(first)
    again = Flaky(lambda call: ConnectionError("again"))
    with log_of(which, tmp_path / "two", again, monkeypatch, told) as log:
        log.record(0, {"loss": 1.0})
    assert said(log) == f"{which} missed 1 of 1 entries of this stage\n"


def test_a_tracker_that_stays_away_is_asked_ever_more_rarely(
    which: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = Flaky(lambda call: OSError("away") if call > 1 else None)
    with log_of(which, tmp_path, tracker, monkeypatch, set()) as log:
        for step in range(1000):
            log.record(step, {"loss": 1.0})
    assert tracker.calls < 15 and f"{which} missed 999 of 1000 entries" in said(log)


def test_one_that_never_began_ends_the_run_and_one_that_began_before_does_not(
    which: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: set[str] = set()
    with pytest.raises(UserError, match="no key"):
        log_of(which, tmp_path / "a", UserError("no key"), monkeypatch, told).record(0, {"loss": 1.0})
    with log_of(which, tmp_path / "b", Flaky(lambda call: None), monkeypatch, told) as log:
        log.record(0, {"loss": 1.0})
    assert said(log) == ""
    with log_of(which, tmp_path / "c", UserError("no such server"), monkeypatch, told) as log:
        log.record(0, {"loss": 1.0})
        log.show(0, 1, [])
    assert f"warning: {which} failed (UserError: no such server)" in said(log)
    assert f"{which} missed 2 of 2 entries" in said(log)


def test_one_that_cannot_end_is_told_of(which: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = Flaky(lambda call: ValueError() if call == 2 else None)
    with log_of(which, tmp_path, tracker, monkeypatch, set()) as log:
        log.record(0, {"loss": 1.0})
    assert f"warning: {which} failed (ValueError)" in said(log) and "may be missing there" in said(log)


def test_a_full_disk_under_a_tracker_still_ends_the_run_with_one_line(
    which: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = Flaky(lambda call: OSError(errno.ENOSPC, "full") if call == 2 else None)
    log = log_of(which, tmp_path, tracker, monkeypatch, set())
    log.record(0, {"loss": 1.0})
    with pytest.raises(RunError, match="^disk full while writing"):
        log.record(1, {"loss": 1.0})
