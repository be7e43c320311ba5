"""How far raters are, cheaply: what waits is counted now and then, and in between moved on by what they took."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from assent.feedback.records.queue import Queue, RaterProgress
from assent.feedback.store import Store

COUNTED_FOR = 20.0
"""Seconds for which a count of what waits is good enough."""
_MOST = 5_000  # counts remembered


@dataclass(frozen=True)
class Progress:
    """Progress of the raters of one server process."""

    store: Store
    clock: Callable[[], float]
    _counted: dict[tuple[str, Queue], tuple[float, RaterProgress]] = field(default_factory=dict)

    def of(self, rater_id: str, queue: Queue) -> RaterProgress:
        """How far a rater is: `done` and `today` exactly, `waiting` as counted lately less what they took since.

        What others did since shows when it is counted again.
        """
        now = self.clock()
        at, then = self._counted.get((rater_id, queue), (0.0, None))
        if then is None or not at <= now < at + COUNTED_FOR or then.waiting == 0:
            return self._count(rater_id, queue, now)
        progress = self.store.rater_progress(rater_id, queue, now=now, waiting=then.waiting)
        left = then.waiting - (progress.known - then.known)
        return replace(progress, waiting=left) if left > 0 else self._count(rater_id, queue, now)

    def _count(self, rater_id: str, queue: Queue, now: float) -> RaterProgress:
        progress = self.store.rater_progress(rater_id, queue, now=now)
        if len(self._counted) >= _MOST:
            self._counted.clear()
        self._counted[rater_id, queue] = (now, progress)
        return progress
