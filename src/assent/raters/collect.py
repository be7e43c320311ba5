"""Collecting judgments: a panel works through the open tasks of a queue until every slot is judged."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence

from assent.core.errors import ConfigError
from assent.feedback.records.queue import Claim, Counts, Queue
from assent.feedback.store import LEASE_SECONDS, Store
from assent.raters.panel import Panel
from assent.raters.rater import JudgingStoppedError, SingleRater, given

_BATCH = 64  # tasks claimed in one transaction


def collect(
    store: Store,
    panel: Panel,
    queue: Queue,
    *,
    clock: Callable[[], float],
    on_progress: Callable[[int], None] | None = None,
    renew_every: float = LEASE_SECONDS / 3,
) -> Counts:
    """Let the panel judge every open slot of a queue; returns the counts afterwards.

    `on_progress` gets the number of judgments just stored. Interrupted and called again it goes on, and the judgments
    end the same: who judges which task depends on ids and the panel's seed alone. What a rater holds is lent to it
    again every `renew_every` seconds while it thinks. Where one fails, what it held is given back, and what was judged
    before stays. Raises ConfigError where a task wants more raters than the panel has, JudgingStoppedError with what is
    left where a rater cannot go on.
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
                with _renewed(store, member.record.id, claims, clock=clock, every=renew_every):
                    for stored in _judged(store, member, claims, clock=clock):
                        if on_progress is not None and stored:
                            on_progress(stored)
            except JudgingStoppedError as stopped:
                store.release(member.record.id)
                raise _with_what_is_left(stopped, store.counts(queue)) from None
            except BaseException:
                store.release(member.record.id)
                raise
    return store.counts(queue)


def _judged(store: Store, member: SingleRater, claims: Sequence[Claim], *, clock: Callable[[], float]) -> Iterator[int]:
    """Have claimed tasks judged, and keep each judgment as it comes; how many were kept each time."""
    tokens = {claim.task.id: claim.token for claim in claims}
    for judgments in given(member, [claim.task for claim in claims]):
        store.submit_all([(judgment, tokens[judgment.task_id]) for judgment in judgments], now=clock())
        yield len(judgments)


@contextlib.contextmanager
def _renewed(
    store: Store, rater_id: str, claims: Sequence[Claim], *, clock: Callable[[], float], every: float
) -> Iterator[None]:
    """Keep leases alive while the block runs, in a thread of its own: a judge may think longer than they last."""
    is_over = threading.Event()

    def renew() -> None:
        while not is_over.wait(every):
            for claim in claims:  # of a judged task nothing is left to renew
                store.renew(rater_id, claim.token, now=clock())

    thread = threading.Thread(target=renew, name="leases", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def _with_what_is_left(stopped: JudgingStoppedError, counts: Counts) -> JudgingStoppedError:
    left = counts.need - counts.have
    kept = f"{counts.have} of {counts.need} judgments are in and kept, {left} are left"
    return JudgingStoppedError(f"{stopped}; {kept}: run the same command again")
