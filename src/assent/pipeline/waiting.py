"""Waiting for people: `assent run --wait` serves the rating pages itself and carries on when the judgments are in."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from assent.core.errors import AwaitingJudgments
from assent.feedback.records import Queue
from assent.feedback.store import Store
from assent.pipeline.serve import Place, ServeOptions, prepare, served, warnings

POLL_SECONDS, SAY_SECONDS = 2.0, 30.0


@dataclass
class Waiter:
    """Serves from the first wait on until it is closed; use as a context manager."""

    store_url: str
    place: Place
    say: Callable[[str], None]
    _open: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _base_url: str | None = None

    def __enter__(self) -> Waiter:
        return self

    def __exit__(self, *exception: object) -> None:
        self._open.close()

    def wait(self, waiting: AwaitingJudgments) -> None:
        """Return when as many judgments are in as are needed."""
        project, purpose = waiting.queue
        queue = Queue(project, "evaluation" if purpose == "evaluation" else "reward")
        self._serve()
        self.say(f"{waiting.have} of {waiting.need} judgments are in; rate at {self._base_url}{waiting.where}")
        said, at = waiting.have, time.monotonic()
        with Store.open(self.store_url) as store:
            while (now := store.counts(queue).have) < waiting.need:
                if now != said and time.monotonic() - at > SAY_SECONDS:
                    self.say(f"{now} of {waiting.need} judgments are in")
                    said, at = now, time.monotonic()
                time.sleep(POLL_SECONDS)
        self.say(f"{waiting.need} judgments are in; the run goes on, and the pages stay open until it ends")

    def _serve(self) -> None:
        if self._base_url is None:
            self._base_url = self._open.enter_context(served(self.store_url, self.place))
            with Store.open(self.store_url) as store:
                for line in (*warnings(self.place), *prepare(store, ServeOptions(self.place), self._base_url)):
                    self.say(line)
