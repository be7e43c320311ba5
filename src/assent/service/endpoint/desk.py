"""The desk: one thread does all work of models, in the order of asking; what may run together does.

Models share the machine, and their tokenizers take one caller at a time: whatever touches a model happens here.
"""

from __future__ import annotations

import logging
import math
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assent.core.errors import UserError
from assent.service.endpoint.refused import Refused

LOG = logging.getLogger("assent.endpoint")
TOGETHER = 16
"""Orders that run together at most."""
GATHER_SECONDS = 0.004
"""So long the desk waits for others that may run with the one it has."""


class Abandoned(Refused):
    """Nobody waits for the answer any more: the caller left, or the server stops."""

    def __init__(self) -> None:
        super().__init__(503, "the server is stopping; ask again later")


@dataclass(eq=False)
class Order:
    """Something to do with a model. Orders with equal `key` may run together; None runs alone.

    `run` gets all orders that run together, the first one's, and gives one result each.
    """

    run: Callable[[Sequence[Order]], Sequence[Any]]
    what: Any
    key: Hashable | None = None
    on_text: Callable[[str], None] | None = None
    """Told what may be shown of a growing answer."""
    done: Future[Any] = field(default_factory=Future)
    _left: threading.Event = field(default_factory=threading.Event)

    def leave(self) -> None:
        """Say that nobody waits any more; work that only this order waits for ends at its next token."""
        self._left.set()

    @property
    def is_left(self) -> bool:
        """Whether nobody waits."""
        return self._left.is_set()


def go_on(orders: Sequence[Order]) -> None:
    """Raise Abandoned where nobody waits for any of these; called while an answer grows."""
    if all(order.is_left for order in orders):
        raise Abandoned()


class Desk:
    """Takes orders while fewer than `capacity` wait. Use as a context manager."""

    def __init__(self, *, capacity: int = 64, within: Callable[[], Any] | None = None) -> None:
        self._capacity = capacity
        self._within = within
        self._waiting: deque[Order] = deque()
        self._change = threading.Condition()
        self._is_closed = False
        self._now: list[Order] = []
        self._seconds = 1.0  # that one order took lately
        self._thread = threading.Thread(target=self._work, name="models", daemon=True)

    def __enter__(self) -> Desk:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """End: nobody gets an answer any more, and the one being written stops at its next token."""
        with self._change:
            self._is_closed = True
            for order in (*self._waiting, *self._now):
                order.leave()
            self._change.notify_all()
        self._thread.join(timeout=60)

    def put(self, order: Order) -> None:
        """Queue an order. Raises Refused (503, with Retry-After) where too many wait."""
        with self._change:
            if self._is_closed:
                raise Refused(503, "the server is stopping")
            if (waiting := self.waiting) >= self._capacity:
                seconds = min(60, max(1, math.ceil(self._seconds * waiting)))
                raise Refused(
                    503,
                    f"{waiting} requests wait already; ask again in {seconds} s",
                    code="queue_full",
                    headers={"retry-after": str(seconds)},
                )
            self._waiting.append(order)
            self._change.notify_all()

    @property
    def waiting(self) -> int:
        """Orders that somebody waits for and that are not begun; may be asked from any thread."""
        with self._change:
            return sum(not order.is_left for order in self._waiting)

    def _work(self) -> None:
        if self._within is None:
            self._serve()
            return
        with self._within():
            self._serve()

    def _serve(self) -> None:
        while (orders := self._next()) is not None:
            if not orders:  # all who waited have left
                continue
            began = time.monotonic()
            _do(orders)
            took = (time.monotonic() - began) / len(orders)
            self._seconds += 0.2 * (took - self._seconds)

    def _next(self) -> list[Order] | None:
        """The oldest order that somebody waits for, with those that may run together with it; None at the end."""
        with self._change:
            self._now = []
            self._change.wait_for(lambda: self._waiting or self._is_closed)
            while self._waiting and not self._now:
                first = self._waiting.popleft()
                if not first.done.set_running_or_notify_cancel():
                    continue
                if first.is_left:
                    first.done.set_exception(Abandoned())
                    continue
                self._now = [first]
            if not self._now:
                return None if self._is_closed else []
            if first.key is not None:
                if not self._alike(first):
                    self._change.wait(GATHER_SECONDS)
                for other in self._alike(first)[: TOGETHER - 1]:
                    self._waiting.remove(other)
                    if other.done.set_running_or_notify_cancel():
                        self._now.append(other)
            return self._now

    def _alike(self, first: Order) -> list[Order]:
        return [order for order in self._waiting if order.key == first.key]


def _do(orders: Sequence[Order]) -> None:
    """Run orders together; where they fail, each alone, so that one's fault is not the others'."""
    try:
        for order, result in zip(orders, orders[0].run(orders), strict=True):
            order.done.set_result(result)
    except Exception as error:  # whatever a model raises: who asked is told, and the desk goes on
        if len(orders) > 1 and not isinstance(error, Abandoned):
            for order in orders:
                if not order.done.done():
                    _do([order])
            return
        if not isinstance(error, UserError | Refused):
            frame = traceback.extract_tb(error.__traceback__)[-1]
            # Neither the message nor a traceback: they may hold what somebody asked.
            LOG.error("%s in %s:%s", type(error).__name__, Path(frame.filename).name, frame.lineno)
        for order in orders:
            order.done.set_exception(error)
