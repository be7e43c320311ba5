"""Ctrl-C at any moment of a start ends the service, also where a library swallows the exception that it raises."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assent.feedback.store import Store
from assent.service import serve
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


def after(function: Callable[..., Any], then: Callable[[], None]) -> Callable[..., Any]:
    def both(*given: Any, **named: Any) -> Any:
        result = function(*given, **named)
        then()
        return result

    return both


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
def test_the_service_ends_at_whatever_moment_it_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    for name in (serve.STORE, serve.BASE_URL, serve.MODELS, serve.SIGN_IN):
        monkeypatch.setenv(name, "")
    match moment:
        case "the store is open":
            monkeypatch.setattr(serve.Store, "open", after(Store.open, press))
        case "it is prepared":
            monkeypatch.setattr(serve, "open_files", after(serve.open_files, press))
        case "the app is made":
            monkeypatch.setattr(serve, "from_environment", after(serve.from_environment, press))
        case "uvicorn begins":
            monkeypatch.setattr(serve._Server, "run", after_begin(serve._Server.run))
    too_late = threading.Timer(60, os.kill, (os.getpid(), signal.SIGINT))
    too_late.start()
    said: list[str] = []
    serve.serve(f"sqlite:///{tmp_path}/s.db", serve.ServeOptions(serve.ServerAddress(port=0)), say=said.append)
    assert too_late.is_alive(), "it ended by the Ctrl-C that came first"
    too_late.cancel()
    assert said[-1] == "stopped"


def after_begin(run: Callable[..., None]) -> Callable[..., None]:
    def pressed_first(*given: Any, **named: Any) -> None:
        press()
        run(*given, **named)

    return pressed_first
