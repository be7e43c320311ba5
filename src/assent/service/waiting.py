"""Waiting for people: `assent run --wait` serves the rating pages itself and carries on when the judgments are in."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from assent.core.errors import AwaitingJudgments
from assent.feedback.records.queue import Queue, Quorum
from assent.feedback.store import Store
from assent.pipeline.judging import waiting_for
from assent.service.heeding import heeding
from assent.service.serve import ServeOptions, ServerAddress, prepare, served, warnings

POLL_SECONDS, SAY_SECONDS = 2.0, 30.0


@dataclass
class Waiter:
    """Serves from the first wait on until it is closed; use as a context manager."""

    store_url: str
    at: ServerAddress
    say: Callable[[str], None]
    quorum: Quorum = Quorum()
    _open: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _base_url: str | None = None

    def __enter__(self) -> Waiter:
        return self

    def __exit__(self, *exception: object) -> None:
        self._open.close()

    def wait(self, waiting: AwaitingJudgments) -> None:
        """Return when as many judgments are in as are needed, or as the people at work can give."""
        project, purpose = waiting.queue
        queue = Queue(project, "evaluation" if purpose == "evaluation" else "reward")
        self._serve()
        self.say(f"{waiting.have} of {waiting.need} judgments are in; rate at {self._base_url}{waiting.where}")
        if waiting.who:
            self.say(f"  it waits for {waiting.who}")
        said, at = waiting.have, time.monotonic()
        with heeding() as is_stopped, Store.open(self.store_url) as store:
            while True:
                if is_stopped():
                    raise KeyboardInterrupt
                counts = store.within_reach(queue, now=time.time(), quorum=self.quorum)
                need = max(1, min(counts.need, waiting.need))
                if counts.have >= need:
                    break
                if counts.have != said and time.monotonic() - at > SAY_SECONDS:
                    who = waiting_for(store.listing.awaited(queue, now=time.time(), quorum=self.quorum))
                    self.say(f"{counts.have} of {need} judgments are in; it waits for {who or 'somebody'}")
                    said, at = counts.have, time.monotonic()
                time.sleep(POLL_SECONDS)
        self.say(f"{counts.have} judgments are in; the run goes on, and the pages stay open until it ends")

    def _serve(self) -> None:
        if self._base_url is None:
            self._base_url = self._open.enter_context(served(self.store_url, self.at))
            with Store.open(self.store_url) as store:
                for line in (*warnings(self.at), *prepare(store, ServeOptions(self.at, command="run"), self._base_url)):
                    self.say(line)
