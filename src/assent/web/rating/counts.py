"""How far raters are, cheaply: what waits is counted now and then, and in between moved on by what they took."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

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
    _counted: dict[tuple[str, Queue], RaterProgress] = field(default_factory=dict)

    def of(self, rater_id: str, queue: Queue) -> RaterProgress:
        """How far a rater is: `done` and `today` exactly, `waiting` as counted lately less what they took since.

        What others did since shows when it is counted again.
        """
        now = self.clock()
        then = self._counted.get((rater_id, queue))
        if then is not None and then.waiting and then.counted_at <= now < then.counted_at + COUNTED_FOR:
            progress = self.store.rater_progress(rater_id, queue, now=now, then=then)
            if progress.waiting:
                return progress
        progress = self.store.rater_progress(rater_id, queue, now=now)
        if len(self._counted) >= _MOST:
            self._counted.clear()
        self._counted[rater_id, queue] = progress
        return progress
