"""Scripted raters for the crowd: people with bad connections and bad habits, who write down what they meant.

Each signs in by invitation, takes tasks, ranks them with ties, flags and skips, and sends every judgment under a UUID
until a server says it has it. Some send twice at once, hang up before the answer, let leases expire, change their
minds, use stale windows, or open tasks and never touch them.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx2

Json = dict[str, Any]


class Refused(Exception):
    """A server's answer that is final: the request will not be kept."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(f"{status}: {body[:300]}")
        self.status = status


@dataclass
class Sent:
    """One judgment as a rater meant it, and what became of it."""

    login: str
    body: Json
    order: tuple[str, ...]
    """Answer ids as they were shown."""
    status: str | None = None
    """What a server acknowledged; None where none ever did."""
    refused: str | None = None
    expected: int | None = None
    """Status that servers are to refuse it with, for a judgment that must not be kept."""


@dataclass
class Tally:
    """What all raters saw together."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: {"next": [], "submit": []})
    """Per kind of request, of every one that was answered."""
    acknowledged: list[float] = field(default_factory=list)
    """From the first attempt to an answer, retries included."""
    counts: Counter[str] = field(default_factory=Counter)
    sent: dict[str, Sent] = field(default_factory=dict)
    opened: set[tuple[str, str]] = field(default_factory=set)
    """(login, task) of what somebody was shown."""
    untouched: set[tuple[str, str]] = field(default_factory=set)
    """(login, task) of what somebody opened and never touched."""
    problems: list[str] = field(default_factory=list)
    brought: set[str] = field(default_factory=set)
    """Ids of the judgments that came in with files."""


@dataclass(frozen=True)
class Habits:
    """How often raters do what; shares of the tasks they open."""

    think: float = 1.0
    """Mean seconds before a task is answered."""
    lease: float = 3.0
    """Seconds after which a lease expires, as the project has it."""
    never: float = 0.04
    late: float = 0.04
    skip: float = 0.05
    forge: float = 0.03
    twice: float = 0.15
    hang_up: float = 0.10
    renew: float = 0.05
    correct: float = 0.10
    withdraw: float = 0.03
    stale: float = 0.04


class ScriptedRater:
    """One rater. `where` gives the address of some server, `is_over` says when to stop taking tasks."""

    def __init__(
        self, name: str, invitation: str, project: str, *, where: Callable[[], str], tally: Tally, habits: Habits
    ) -> None:
        self.login, self._invitation, self._project = name, invitation, project
        self._where, self._tally, self._habits = where, tally, habits
        self._rng = random.Random(name)
        self._client = client(timeout=60)
        self._csrf = ""
        self.joined: float | None = None
        """When they were let in, by the monotonic clock."""
        self._settled: set[str] = set()
        """Tasks this rater has judged or skipped."""
        self._tokens: list[str] = []

    async def work(self, is_over: Callable[[], bool]) -> None:
        """Rate until it is over; everything sent has an answer then."""
        async with self._client:
            await self._join()
            while not is_over():
                items = (await self._ask("GET", "/rating/next", params=self._queue(limit=3)))["items"]
                if not items:
                    await asyncio.sleep(0.5)
                for item in items:
                    if is_over():
                        break
                    self._tally.opened.add((self.login, item["task_id"]))
                    if item["task_id"] in self._settled:
                        self._tally.problems.append(f"{self.login} was given {item['task_id']} again")
                    await asyncio.sleep(self._rng.expovariate(1 / self._habits.think) if self._habits.think else 0)
                    await self._treat(item)

    # Coming in

    async def _join(self) -> None:
        """Sign up by invitation; where the answer was lost, again under another name."""
        path, name = f"/join/{self._invitation}", self.login
        for attempt in range(100):
            form = {"csrf": csrf_in(await self._page(path)), "login": self.login}
            with contextlib.suppress(httpx2.HTTPError):  # whether it was heard is not known
                await self._client.post(self._where() + path, data=form)
            if "assent_session" in self._client.cookies:
                self._csrf = csrf_in(await self._page("/"))
                self.joined = time.monotonic()
                return
            self.login = f"{name}~{attempt}"
        raise AssertionError(f"{self.login} could not join")

    async def _page(self, path: str) -> str:
        """A page of some server that answers. Raises Refused for a final no."""
        while True:
            try:
                page = await self._client.get(self._where() + path, follow_redirects=True)
                if page.status_code < 400:
                    return page.text
                if page.status_code != 503:
                    raise Refused(page.status_code, page.text)
            except httpx2.HTTPError:
                pass
            self._tally.counts["retries"] += 1
            await asyncio.sleep(self._rng.uniform(0.1, 0.6))

    # Rating

    async def _treat(self, item: Json) -> None:
        """One of the things that raters do with a task."""
        habits, task = self._habits, item["task_id"]
        draw = self._rng.random()
        self._tokens.append(item["token"])
        if draw < habits.never:
            self._tally.untouched.add((self.login, task))
            if self._rng.random() < 0.5:
                await self._ask("POST", "/rating/release", json={})
            else:
                await asyncio.sleep(1.3 * habits.lease)
            return
        self._tally.untouched.discard((self.login, task))
        if draw < habits.never + habits.late:
            await asyncio.sleep(1.3 * habits.lease)
        elif draw < habits.never + habits.late + habits.forge:
            await self._forge(item)
        elif self._rng.random() < habits.renew:
            await self._renew(item)
        first = await self._say(item, self._judgment(item, skips=self._rng.random() < habits.skip))
        if first is not None:
            await self._think_again(item, first)

    async def _think_again(self, item: Json, first: str) -> None:
        """Correct or take back what was just said, or say it again from a stale window."""
        habits, draw = self._habits, self._rng.random()
        if draw < habits.correct + habits.withdraw:
            withdraws = draw >= habits.correct
            recent = await self._ask("GET", "/rating/recent", params=self._queue())
            if first not in [one["judgment"]["id"] for one in recent["items"]]:
                self._tally.problems.append(f"{first} of {self.login} is not among what they said last")
            await self._say(item, {**self._judgment(item, skips=withdraws), "supersedes": first})
        elif draw < habits.correct + habits.withdraw + habits.stale:
            await self._say(item, self._judgment(item, skips=False), expected=409)

    def _judgment(self, item: Json, *, skips: bool) -> Json:
        """Something to say about a task: any weak order, some answers unusable, or a skip."""
        said: Json = {"id": str(uuid.UUID(int=self._rng.getrandbits(128))), "task_id": item["task_id"]}
        said |= {"token": item["token"], "seconds": round(self._rng.uniform(5, 90), 1)}
        if skips:
            return said | {"skip_reason": self._rng.choice(["language", "too_long", "other"])}
        ids = [answer["id"] for answer in item["answers"]]
        self._rng.shuffle(ids)
        if self._rng.random() < 0.1 and len(ids) > 2:
            said["flags"] = {ids.pop(): ["unusable"]}
        tiers: list[list[str]] = []
        for i in ids:
            if tiers and self._rng.random() < 0.25:
                tiers[-1].append(i)
            else:
                tiers.append([i])
        strengths = [self._rng.choice([None, 1, 2, 3, 4]) for _ in tiers[1:]]
        return said | {
            "ranking": {"tiers": tiers, "strengths": strengths},
            "critique": self._rng.choice([None, "so “ja”"]),
        }

    async def _say(self, item: Json, body: Json, *, expected: int | None = None) -> str | None:
        """Send a judgment until a server has it; its id, or None where servers refuse it."""
        sent = Sent(self.login, body, tuple(a["id"] for a in item["answers"]), expected=expected)
        self._tally.sent[body["id"]] = sent
        began = time.monotonic()
        try:
            if self._rng.random() < self._habits.hang_up:
                self._tally.counts["hung up"] += 1
                await self._hang_up("/rating/submit", body, after=self._rng.uniform(0.001, 0.15))
            if self._rng.random() < self._habits.twice:
                self._tally.counts["sent twice at once"] += 1
                answers = await asyncio.gather(
                    *(self._ask("POST", "/rating/submit", json=body) for _ in range(2)), return_exceptions=True
                )
                failed = next((a for a in answers if isinstance(a, BaseException)), None)
                if failed is not None:
                    raise failed
                news = [a["status"] for a in answers if isinstance(a, dict) and a["status"] != "known"]
                if len(news) > 1:
                    self._tally.problems.append(f"{body['id']} was taken for new twice: {news}")
                sent.status = news[0] if news else "known"
            else:
                sent.status = (await self._ask("POST", "/rating/submit", json=body))["status"]
        except Refused as refusal:
            sent.refused = str(refusal)
            if refusal.status != expected:
                self._tally.problems.append(f"{self.login} {body['id']} was refused: {refusal}")
            return None
        if expected is not None:
            self._tally.problems.append(f"{self.login} {body['id']} was kept, but should have been refused")
        self._tally.acknowledged.append(time.monotonic() - began)
        self._settled.add(body["task_id"])
        return str(body["id"])

    async def _forge(self, item: Json) -> None:
        """Try what must not work: a lease or task of others, answers that are not there, none at all."""
        good = self._judgment(item, skips=False)
        tiers = good["ranking"]["tiers"]
        bad: list[tuple[int, Json]] = [
            (404, {**good, "task_id": f"guess-{self._rng.random()}"}),
            (422, {**good, "ranking": {"tiers": [*tiers, ["c-nowhere"]]}}),
            (
                422,
                {**good, "ranking": {"tiers": tiers[:1]}, "flags": {}} if len(tiers) > 1 else {**good, "seconds": -1},
            ),
            (422, {**good, "rater_id": "somebody-else"}),
            (422, {**good, "ranking": {"tiers": []}}),
        ]
        expected, body = self._rng.choice(bad)
        body = {**body, "id": str(uuid.UUID(int=self._rng.getrandbits(128)))}
        self._tally.counts["forged"] += 1
        settled = set(self._settled)
        await self._say(item, body, expected=expected)
        self._settled = settled

    async def _renew(self, item: Json) -> None:
        try:
            await self._ask("POST", "/rating/renew", json={"token": item["token"]})
        except Refused as refusal:
            if refusal.status != 409:  # expired and taken by another
                raise

    # Talking to servers

    def _queue(self, **more: Any) -> Json:
        return {"project": self._project, "purpose": "reward", **more}

    async def _hang_up(self, path: str, body: Json, *, after: float) -> None:
        """Send, and close the connection without waiting for the answer."""
        try:
            async with client(timeout=after) as impatient:
                impatient.cookies = self._client.cookies
                await impatient.post(self._where() + path, json=body, headers={"X-CSRF-Token": self._csrf})
        except httpx2.HTTPError:
            pass

    async def _ask(self, method: str, path: str, **options: Any) -> Json:
        """Send a request to one server after another until one answers it. Raises Refused for a final no."""
        kind = path.rpartition("/")[2]
        while True:
            began = time.monotonic()
            try:
                answer = await self._client.request(
                    method, self._where() + path, headers={"X-CSRF-Token": self._csrf}, **options
                )
            except httpx2.HTTPError:
                self._tally.counts["retries"] += 1
                await asyncio.sleep(self._rng.uniform(0.05, 0.5))
                continue
            self._tally.counts[f"{kind} {answer.status_code}"] += 1
            if answer.status_code == 503:
                await asyncio.sleep(self._rng.uniform(0.2, 1.0))
                continue
            if answer.status_code >= 400:
                raise Refused(answer.status_code, answer.text)
            if kind in self._tally.seconds:
                self._tally.seconds[kind].append(time.monotonic() - began)
            found: Json = answer.json()
            return found


def client(*, timeout: float) -> httpx2.AsyncClient:
    """A client for servers on this machine: no proxy, and no certificates, which take long to load."""
    few = httpx2.Limits(max_connections=8, max_keepalive_connections=1)  # 200 raters and four servers: many sockets
    return httpx2.AsyncClient(timeout=timeout, trust_env=False, verify=False, limits=few)


def csrf_in(page: str) -> str:
    """The value that forms and scripts of a page send along."""
    return page.partition('<meta name="csrf" content="')[2].partition('"')[0]
