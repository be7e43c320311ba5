"""Programs beside the crowd: some follow judgments by the last cursor, one brings in rankings and tasks in large files.

A follower asks any server, dead or alive, for what is new, and keeps the last cursor. At the end it asks until nothing
is new; then it must have had every judgment of the store exactly once.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx2
from crowd_raters import Tally, client

from assent.core.types import Comparison, Completion, Judgment, Prompt, Ranking, Task
from assent.feedback.records.queue import Queue
from assent.feedback.store import Store


@dataclass
class Follower:
    """A program that keeps the last cursor."""

    token: str
    project: str
    where: Callable[[], str]
    with_superseded: bool
    """Whether it wants every judgment, or those that hold when it asks."""
    seen: list[str] = field(default_factory=list)
    looks: int = 0
    failed: int = 0
    _cursor: str | None = None

    async def follow(self) -> None:
        """Ask again and again, until cancelled."""
        while True:
            if await self.look() == 0:
                await asyncio.sleep(0.25)

    async def catch_up(self) -> None:
        """Ask until nothing is new."""
        while await self.look() != 0:
            pass

    async def look(self) -> int:
        """Ask once; how many were new, -1 where no server answered."""
        params = {"limit": "500", "superseded": str(self.with_superseded).lower()}
        params |= {} if self._cursor is None else {"cursor": self._cursor}
        headers = {"Authorization": f"Bearer {self.token}"}
        try:
            async with client(timeout=30) as asking:
                path = f"/api/v1/projects/{self.project}/judgments"
                answer = await asking.get(self.where() + path, params=params, headers=headers)
        except httpx2.HTTPError:
            self.failed += 1
            await asyncio.sleep(0.2)
            return -1
        if answer.status_code == 503:
            self.failed += 1
            return -1
        answer.raise_for_status()
        page = answer.json()
        self.looks += 1
        self.seen += [one["id"] for one in page["items"]]
        self._cursor = page["next"]
        return len(page["items"])

    def problems(self, store: Store, queue: Queue) -> list[str]:
        """What it missed or had twice."""
        kind = "every" if self.with_superseded else "current"
        stored = {one.id for one in store.judgments(queue, with_superseded=self.with_superseded)}
        missed = stored - set(self.seen)
        double = [name for name, times in Counter(self.seen).items() if times > 1]
        found = [f"a follower of {kind} judgments missed {name}" for name in sorted(missed)]
        return found + [f"a follower of {kind} judgments had {name} twice" for name in double]


@dataclass
class Bringer:
    """Brings in one file after another: rankings into the project that is followed, tasks into another."""

    url: str
    queue: Queue
    tally: Tally
    size: int
    """Comparisons, and tasks, in a file."""
    files: int = 0
    longest: float = 0.0
    """Seconds that a file took at most."""
    is_over: bool = False

    def bring(self) -> None:
        """One file after another, until it is over."""
        with Store.open(self.url) as store:
            while not self.is_over:
                began = time.monotonic()
                if self.files % 2 == 0:
                    self._rankings(store)
                else:
                    tasks = [_task(f"{self.files}-{n}") for n in range(self.size)]
                    store.add_tasks(tasks, now=time.time())
                took = time.monotonic() - began
                self.longest = max(self.longest, took)
                self.files += 1
                time.sleep(max(1.0, 2 * took))  # else the followers do nothing but read what is brought

    def _rankings(self, store: Store) -> None:
        file = [self._comparison(n) for n in range(self.size)]
        # An hour ago by the clock of whoever brings them: the order is not one of times.
        store.import_comparisons(file, self.queue, now=time.time() - 3600)
        self.tally.brought |= {judgment.id for one in file for judgment in one.judgments}

    def _comparison(self, number: int) -> Comparison:
        task = _task(f"{self.files}-{number}")
        ranking = Ranking(tiers=tuple((answer.id,) for answer in task.completions))
        said = tuple(
            Judgment(id=f"file-{self.files}-{number}-{r}", task_id="", rater_id=f"elsewhere-{r}", ranking=ranking)
            for r in range(2)
        )
        return Comparison(prompt=task.prompt, completions=task.completions, judgments=said)


def _task(name: str) -> Task:
    prompt = Prompt.of(f"Brought in {name}: " + "some words " * 20)
    answers = tuple(Completion(prompt_id=prompt.id, text=f"answer {k} to {name} " + "text " * 60) for k in range(2))
    return Task(id=f"brought-{name}", prompt=prompt, completions=answers, project="brought")
