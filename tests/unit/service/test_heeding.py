"""Ctrl-C at any moment of a start ends the service, also where a library swallows the exception that it raises."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from assent.service.heeding import heeding


class Going:
    """An object at whose end Ctrl-C is pressed; what is raised there goes nowhere."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


def press() -> None:
    Going()


@pytest.fixture(autouse=True)
def _silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)


def test_one_that_is_swallowed_is_remembered_and_the_handler_is_put_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with heeding() as is_stopped:
        assert not is_stopped()
        press()
        assert is_stopped()
    assert signal.getsignal(signal.SIGINT) is before
    with pytest.raises(KeyboardInterrupt), heeding():
        signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("moment", ["the store is open", "it is prepared", "the app is made", "uvicorn begins"])
def test_the_service_ends_at_whatever_moment_it_is_stopped(tmp_path: Path, moment: str) -> None:
    """In a process of its own: in this one a signal that comes too late would end the whole test run."""
    program = [sys.executable, str(Path(__file__).with_name("interrupted_start.py")), moment, f"{tmp_path}/s.db"]
    done = subprocess.run(program, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "stopped"
