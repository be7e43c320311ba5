"""The desk of the endpoint: orders in their turn, together where alike, refused when full, ended when nobody waits."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest

from assent.service.endpoint.desk import Desk, Order, go_on
from assent.service.endpoint.refused import Refused


class Work:
    """Orders that wait until they are let go, and what ran together."""

    def __init__(self) -> None:
        self.together: list[list[Any]] = []
        self.begun, self.gate = threading.Event(), threading.Event()

    def run(self, orders: Sequence[Order]) -> list[Any]:
        self.together.append([order.what for order in orders])
        self.begun.set()
        assert self.gate.wait(30)
        if any(order.what == "bad" for order in orders):
            raise ValueError("bad")
        return [order.what for order in orders]

    def order(self, what: Any, key: str | None = None) -> Order:
        return Order(self.run, what, key)


def test_orders_of_one_key_run_together_and_others_in_their_turn() -> None:
    work = Work()
    with Desk() as desk:
        first = work.order("first")
        desk.put(first)
        assert work.begun.wait(30)
        orders = [work.order(1, "a"), work.order("between"), work.order(2, "a"), work.order(3, "a")]
        for order in orders:
            desk.put(order)
        work.gate.set()
        assert [order.done.result(30) for order in (first, *orders)] == ["first", 1, "between", 2, 3]
    assert work.together == [["first"], [1, 2, 3], ["between"]]


def test_a_full_desk_refuses_with_the_seconds_to_wait() -> None:
    work = Work()
    with Desk(capacity=2) as desk:
        desk.put(work.order(0))
        assert work.begun.wait(30)
        waiting = [work.order(1), work.order(2)]
        for order in waiting:
            desk.put(order)
        with pytest.raises(Refused, match="2 requests wait already") as refused:
            desk.put(work.order(3))
        assert refused.value.status == 503 and int(refused.value.headers["retry-after"]) >= 1
        work.gate.set()
        assert [order.done.result(30) for order in waiting] == [1, 2]


def test_one_order_that_fails_is_not_the_fault_of_those_beside_it() -> None:
    work = Work()
    work.gate.set()
    hold = threading.Event()
    with Desk() as desk:
        desk.put(Order(lambda orders: [hold.wait(30)], None))
        orders = [work.order(1, "a"), work.order("bad", "a"), work.order(2, "a")]
        for order in orders:
            desk.put(order)
        hold.set()
        assert orders[0].done.result(30) == 1 and orders[2].done.result(30) == 2
        with pytest.raises(ValueError, match="bad"):
            orders[1].done.result(30)


def test_work_ends_when_everybody_who_waits_for_it_has_left() -> None:
    begun, steps = threading.Event(), []

    def endless(orders: Sequence[Order]) -> list[Any]:
        while True:
            steps.append(0)
            begun.set()
            go_on(orders)

    with Desk() as desk:
        order, after = Order(endless, None), Order(lambda orders: ["done"], None)
        desk.put(order)
        desk.put(after)
        assert begun.wait(30)
        order.leave()
        assert after.done.result(30) == "done"
        assert isinstance(order.done.exception(30), Refused)


def test_orders_that_are_left_while_they_wait_are_not_run_and_the_desk_goes_on() -> None:
    work = Work()
    with Desk() as desk:
        running, waiting, cancelled = work.order("running"), work.order("waiting"), work.order("cancelled")
        for order in (running, waiting, cancelled):
            desk.put(order)
        assert work.begun.wait(30)
        waiting.leave()
        cancelled.done.cancel()
        work.gate.set()
        assert isinstance(waiting.done.exception(30), Refused)
        later = work.order("later")
        desk.put(later)
        assert later.done.result(30) == "later"
    assert work.together == [["running"], ["later"]]


def test_what_still_waits_at_the_end_is_told_so() -> None:
    begun = threading.Event()

    def endless(orders: Sequence[Order]) -> list[Any]:
        while True:
            begun.set()
            go_on(orders)

    with Desk() as desk:
        running, waiting = Order(endless, None), Order(endless, None)
        desk.put(running)
        desk.put(waiting)
        assert begun.wait(30)
    for order in (running, waiting):
        with pytest.raises(Refused, match="stopping"):
            order.done.result(30)
    with pytest.raises(Refused, match="stopping"):
        desk.put(Order(endless, None))
