"""Collecting judgments: a panel works through the open tasks of a queue until every slot is judged."""

from __future__ import annotations

from collections.abc import Callable

from assent.core.errors import ConfigError
from assent.feedback.records.queue import Counts, Queue
from assent.feedback.store import Store
from assent.raters.panel import Panel

_BATCH = 64  # tasks claimed and submitted in one transaction each


def collect(
    store: Store,
    panel: Panel,
    queue: Queue,
    *,
    clock: Callable[[], float],
    on_progress: Callable[[int], None] | None = None,
) -> Counts:
    """Let the panel judge every open slot of a queue; returns the counts afterwards.

    `on_progress` gets the number of judgments just stored. Interrupted and called again it goes on, and the judgments
    end the same: who judges which task depends on ids and the panel's seed alone. Where a rater fails, what it held is
    given back, and what was judged before stays. Raises ConfigError where a task wants more raters than the panel has.
    """
    for member in panel.members:
        store.register_rater(member.record, now=clock())
        store.release(member.record.id)  # what a killed run of the same panel held
    open_tasks = store.open_tasks(queue)
    deepest = max((task.slots for task in open_tasks), default=0)
    if deepest > len(panel.members):
        raise ConfigError(
            f"tasks of project {queue.project!r} want {deepest} raters each, but there are {len(panel.members)}; "
            "lower the overlap or raise the number of raters"
        )
    shares = panel.shares({task.task_id: task.slots for task in open_tasks})
    for member in panel.members:
        own = sorted(shares[member.record.id])
        for start in range(0, len(own), _BATCH):
            named = own[start : start + _BATCH]
            claims = store.claim(member.record.id, queue, limit=len(named), only=named, now=clock())
            try:
                judgments = member.judge([claim.task for claim in claims])
            except BaseException:
                store.release(member.record.id)
                raise
            tokens = {claim.task.id: claim.token for claim in claims}
            store.submit_all([(judgment, tokens[judgment.task_id]) for judgment in judgments], now=clock())
            if on_progress is not None and judgments:
                on_progress(len(judgments))
    return store.counts(queue)
