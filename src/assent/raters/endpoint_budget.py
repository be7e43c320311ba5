"""The budget of a judge that costs: tokens and money are set aside before they are spent; no limit is passed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from assent.raters.config import EndpointJudgeConfig

_MILLION = 1_000_000
_FRAME = 16  # tokens that a chat template lays around a message, at most
_SCHEMA = 256  # and those of a schema


@dataclass(frozen=True)
class Cost:
    """Tokens that go in and come out."""

    sent: int = 0
    written: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.sent + other.sent, self.written + other.written)

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.sent - other.sent, self.written - other.written)

    @property
    def tokens(self) -> int:
        """Both together."""
        return self.sent + self.written


def most(messages: Sequence[Mapping[str, str]], *, max_tokens: int) -> Cost:
    """What a request costs at most: no token is less than a byte of its text."""
    sent = sum(len(one["content"].encode()) + _FRAME for one in messages)
    return Cost(sent + _SCHEMA, max_tokens)


class BudgetSpentError(Exception):
    """The next request could pass a limit; the message names the limit."""


@dataclass
class Budget:
    """Limits of tokens and of money. What requests on their way may cost is set aside until they are paid."""

    config: EndpointJudgeConfig
    spent: Cost = Cost()
    _aside: Cost = Cost()
    _change: threading.Condition = field(default_factory=threading.Condition)

    def set_aside(self, cost: Cost, *, is_over: Callable[[], bool]) -> None:
        """Set the most that a request may cost aside; waits for others on their way where that may help.

        Raises BudgetSpentError where nothing is on its way and it would not fit. Returns at once where `is_over`.
        """
        with self._change:
            while not is_over() and (limit := self._passed(self.spent + self._aside + cost)) is not None:
                if self._aside == Cost():
                    raise BudgetSpentError(limit)
                self._change.wait(0.5)
            self._aside += cost

    def pay(self, aside: Cost, cost: Cost) -> None:
        """What was set aside for a request is free again; the request has cost `cost`."""
        with self._change:
            self._aside -= aside
            self.spent += cost
            self._change.notify_all()

    @property
    def money(self) -> float:
        """What was spent, by the prices of the settings."""
        return self._price(self.spent)

    def _price(self, cost: Cost) -> float:
        return (cost.sent * self.config.price_in + cost.written * self.config.price_out) / _MILLION

    def _passed(self, cost: Cost) -> str | None:
        tokens, money = self.config.budget_tokens, self.config.budget_money
        if tokens is not None and cost.tokens > tokens:
            return f"budget_tokens {tokens} would be passed by the next request ({self.spent.tokens} are spent)"
        if money is not None and self._price(cost) > money:
            return f"budget_money {money:g} would be passed by the next request ({self.money:.4g} is spent)"
        return None
