"""Taking out what an import left behind whose process died: a thread of each server process that looks now and then."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field

from assent.core.errors import AssentError
from assent.feedback.store import Store

LOG = logging.getLogger("assent.web")
PAUSE = 10.0
"""Seconds between two looks."""


@dataclass
class Tidying:
    """The tidier of one server process."""

    store: Store
    pause: float = PAUSE
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to look in the background."""
        self._thread = threading.Thread(target=self._run, name="tidying", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after the look that is on."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=self.pause)

    def _run(self) -> None:
        observer = self.store.observer()
        while not self._stopping.wait(self.pause):
            try:
                observer.look()
            except AssentError as error:
                LOG.error("imports left behind: %s", error)
