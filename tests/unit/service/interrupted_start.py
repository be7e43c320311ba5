"""Starts the rating service with Ctrl-C at a named moment, where nothing can raise it: `… MOMENT DATABASE`."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from assent.service import serve


class Going:
    """An object at whose end Ctrl-C is pressed; what is raised there goes nowhere."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


def press() -> None:
    Going()


def after(function: Callable[..., Any]) -> Callable[..., Any]:
    def both(*given: Any, **named: Any) -> Any:
        result = function(*given, **named)
        press()
        return result

    return both


def before(function: Callable[..., Any]) -> Callable[..., Any]:
    def both(*given: Any, **named: Any) -> Any:
        press()
        return function(*given, **named)

    return both


def main(moment: str, database: str) -> None:
    sys.unraisablehook = lambda _: None
    for name in (serve.STORE, serve.BASE_URL, serve.MODELS, serve.SIGN_IN):
        os.environ[name] = ""
    places: dict[str, Callable[[], None]] = {
        "the store is open": lambda: setattr(serve.Store, "open", after(serve.Store.open)),
        "it is prepared": lambda: setattr(serve, "open_files", after(serve.open_files)),
        "the app is made": lambda: setattr(serve, "from_environment", after(serve.from_environment)),
        "uvicorn begins": lambda: setattr(serve._Server, "run", before(serve._Server.run)),
    }
    places[moment]()
    too_late = threading.Timer(60, os._exit, (3,))
    too_late.daemon = True
    too_late.start()
    serve.serve(f"sqlite:///{database}", serve.ServeOptions(serve.ServerAddress(port=0)), say=print)


if __name__ == "__main__":
    main(*sys.argv[1:])
