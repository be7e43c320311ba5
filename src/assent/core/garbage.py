"""Building up much that stays, in a process that answers others: the collector does not go through it again and again.

Python's collector of cycles looks at all objects from time to time, and holds every thread while it does: with two
million of them for more than a second. What exists when `settle` is called is passed over until the block ends.
"""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Callable, Iterator

_LOCK = threading.Lock()
_inside = 0


@contextlib.contextmanager
def spared() -> Iterator[Callable[[], None]]:
    """A block that builds up much; call what it gives every thousand items or so. Blocks may be nested."""
    global _inside
    with _LOCK:
        _inside += 1
    try:
        yield gc.freeze
    finally:
        with _LOCK:
            _inside -= 1
            if _inside == 0:
                gc.unfreeze()
