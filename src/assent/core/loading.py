"""Loading modules without looking for garbage: what is loaded stays, and looking through it again takes time."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """No garbage is looked for within; about a fifth of the time in which many modules are loaded."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
