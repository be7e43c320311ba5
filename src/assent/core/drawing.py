"""Trackers that may fail: whatever one raises while a run goes on costs it some entries, and never the run.

Only a full disk ends the run, whoever meets it first, since nothing else could be written either.
"""

from __future__ import annotations

import errno
from collections.abc import Callable

from assent.core.trackers import Tracker

_FULL = (errno.ENOSPC, errno.EDQUOT)
_LONGEST_PAUSE = 256
"""Entries that pass before a tracker that keeps failing is tried again."""
_LONGEST_ERROR = 200
"""Letters of what a library said that are shown."""


class Drawing:
    """One tracker of a stage, by its name.

    `told` is what was said in this run (`RunLog.told`): a tracker that began in an earlier stage may fail to begin in
    this one, and one warning is enough for all stages. After each failure in a row the tracker is left alone for twice
    as many entries, since a server that is away may take minutes to say so.
    """

    def __init__(self, name: str, begin: Callable[[], Tracker], told: set[str], say: Callable[[str], None]) -> None:
        self.name = name
        self._begin, self._told, self._say = begin, told, say
        self._tracker: Tracker | None = None
        self._entries = self._missed = self._failures = self._pause = 0

    def draw(self, what: Callable[[Tracker], None]) -> None:
        """Let it draw an entry. Raises what it raises where it never began in this run, and OSError for a full disk."""
        self._entries += 1
        if self._pause:
            self._pause -= 1
        elif self._tried(what):
            return
        self._missed += 1

    def close(self) -> None:
        """Let it write what is pending, and say how much of the stage it missed."""
        if self._tracker is not None and not self._tried(lambda tracker: tracker.close()) and not self._missed:
            self._say(f"{self.name} did not end well; the last entries of this stage may be missing there")
        if self._missed:
            self._say(f"{self.name} missed {self._missed} of {self._entries} entries of this stage")
        self._tracker, self._entries, self._missed = None, 0, 0

    def _tried(self, what: Callable[[Tracker], None]) -> bool:
        began, failed = f"{self.name} began", f"{self.name} failed"
        try:
            if self._tracker is None:
                self._tracker = self._begin()
            self._told.add(began)
            what(self._tracker)
        except Exception as error:  # other people's libraries and the network raise anything
            is_full = isinstance(error, OSError) and error.errno in _FULL
            if is_full or began not in self._told:
                raise
            self._failures += 1
            self._pause = min(2**self._failures, _LONGEST_PAUSE)
            if failed not in self._told:
                self._told.add(failed)
                self._say(f"warning: {self.name} failed ({_said(error)}); the run goes on, its report has all numbers")
            return False
        self._failures = 0
        return True


def _said(error: Exception) -> str:
    words = " ".join(str(error).split())[:_LONGEST_ERROR]
    return f"{type(error).__name__}: {words}" if words else type(error).__name__
