"""Ctrl-C that is heeded whenever it comes: an exception that a library swallows in a callback is not the end of it."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType


@contextlib.contextmanager
def heeding() -> Iterator[Callable[[], bool]]:
    """Ctrl-C raises KeyboardInterrupt as ever, and is remembered; gives what says whether it came.

    Python cannot let an exception out of some places, such as what is called when an object goes, of which the
    database's library has many. Whoever starts something long asks first. In other threads than the first nothing is
    changed: signals never reach them.
    """
    came = threading.Event()

    def note(_: int, __: FrameType | None) -> None:
        came.set()
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield came.is_set
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield came.is_set
    finally:
        signal.signal(signal.SIGINT, before)
