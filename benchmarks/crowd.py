"""Zero lost, zero double, zero default: `python benchmarks/crowd.py` lets 200 scripted raters work over HTTP at once.

Four server processes on one store, SQLite and then a real PostgreSQL that the script starts; servers are killed with -9
at random and started again. Raters write down what they mean (see crowd_raters.py). Four programs follow the judgments
by their last cursor, while one file after another is brought in (see crowd_followers.py). Afterwards every judgment
that was acknowledged must be in the store exactly once as it was meant, no slot judged twice, nothing there that nobody
meant, and every follower must have had every judgment exactly once.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from crowd_check import check
from crowd_followers import Bringer, Follower
from crowd_raters import Habits, ScriptedRater, Tally
from crowd_servers import NoPostgres, Servers, postgres, sqlite

from assent.core.types import Completion, Prompt, Ranking, Task
from assent.feedback.records.queue import Queue
from assent.feedback.records.settings import ProjectSettings
from assent.feedback.store import Store

DATABASES: dict[str, Callable[..., AbstractContextManager[str]]] = {"sqlite": sqlite, "postgresql": postgres}
QUEUE = Queue("crowd")
PATIENCE = 480.0
"""Seconds after the planned ones in which everything must have had an answer."""


@dataclass(frozen=True)
class Plan:
    """How large the crowd is."""

    raters: int = 200
    servers: int = 4
    seconds: float = 60.0
    """From when everybody was let in."""
    tasks: int = 3000
    kills: int = 20
    every: float = 3.0
    """Mean seconds between kills."""
    seed: int = 0
    followers: int = 4
    file: int = 2000
    """Comparisons, or tasks, in each file that is brought in meanwhile; 0: none is."""
    habits: Habits = Habits()


@dataclass(frozen=True)
class Outcome:
    """What happened."""

    problems: list[str]
    tally: Tally
    kills: int
    seconds: float
    failures: list[str]
    """Errors in the servers' logs."""
    followers: Sequence[Follower] = ()
    bringer: Bringer | None = None

    def lines(self) -> Iterator[str]:
        """The figures, as rows of a table."""
        tally, kept = self.tally, [s for s in self.tally.sent.values() if s.status]
        statuses = {name: sum(s.status == name for s in kept) for name in ("stored", "skipped", "surplus", "known")}
        yield f"acknowledged | {len(kept)} ({len(kept) / self.seconds:.1f}/s): {said(statuses)}"
        yield f"kills | {self.kills}"
        for kind, seconds in (*tally.seconds.items(), ("acknowledgment, retries included", tally.acknowledged)):
            p50, p95, p99 = np.percentile(seconds or [0.0], [50, 95, 99]) * 1000
            yield f"{kind}, ms | p50 {p50:.0f}, p95 {p95:.0f}, p99 {p99:.0f} of {len(seconds)}"
        yield f"what raters met | {said(dict(sorted(tally.counts.items())))}"
        yield f"opened, never touched | {len(tally.untouched)}"
        yield f"server errors | {len(self.failures)}"
        yield from self._of_programs()
        yield f"lost, double, default or otherwise wrong | {len(self.problems)}"

    def _of_programs(self) -> Iterator[str]:
        if self.bringer is not None:
            brought = f"{len(self.tally.brought)} judgments among them"
            yield f"files brought in meanwhile | {self.bringer.files}, {brought}; longest {self.bringer.longest:.1f} s"
        missed = sum("missed" in problem for problem in self.problems)
        double = sum("twice" in problem and "follower" in problem for problem in self.problems)
        looks = sum(follower.looks for follower in self.followers)
        had = said({f"follower {n}": len(follower.seen) for n, follower in enumerate(self.followers, start=1)})
        yield f"followers: missed, double | {missed}, {double} in {looks} looks ({had})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    plan = Plan()
    parser.add_argument("--raters", type=int, default=plan.raters)
    parser.add_argument("--servers", type=int, default=plan.servers)
    parser.add_argument("--seconds", type=float, default=plan.seconds)
    parser.add_argument("--tasks", type=int, default=plan.tasks)
    parser.add_argument("--kills", type=int, default=plan.kills)
    parser.add_argument("--every", type=float, default=plan.every, help="mean seconds between kills")
    parser.add_argument("--think", type=float, default=Habits().think, help="mean seconds before a rater answers")
    parser.add_argument("--followers", type=int, default=plan.followers, help="programs that keep the last cursor")
    parser.add_argument("--file", type=int, default=plan.file, help="comparisons in each file brought in; 0: none")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--database", choices=[*DATABASES], action="append")
    given = vars(parser.parse_args())
    databases, think = given.pop("database") or [*DATABASES], given.pop("think")
    plan = Plan(**given, habits=Habits(think=think))
    wrong = 0
    for name in databases:
        folder = Path(tempfile.mkdtemp(prefix="crowd-"))
        print(f"\nlogs of the servers: {folder}")
        outcome = run(name, folder, plan)
        print(f"\n| {name}: {plan.raters} raters, {plan.servers} servers, {outcome.seconds:.0f} s | |\n|---|---|")
        for line in outcome.lines():
            print(f"| {line} |")
        for problem in [*outcome.problems, *outcome.failures][:20]:
            print(problem)
        wrong += len(outcome.problems) + len(outcome.failures)
    if wrong:
        raise SystemExit(1)


def run(database: str, folder: Path, plan: Plan, *, is_durable: bool = True) -> Outcome:
    """One crowd on one kind of database. Raises NoPostgres where that cannot be started.

    A PostgreSQL that need not be durable does not wait for the disk; only servers are killed, so nothing is lost by it.
    """
    with (
        DATABASES[database](folder, is_durable=is_durable) as url,
        Servers.running(url, folder, number=plan.servers) as servers,
    ):
        invitation, token = prepare(url, plan)
        tally, rng = Tally(), random.Random(plan.seed + 1)
        followers = [
            Follower(token, QUEUE.project, lambda: servers.url(rng), with_superseded=n % 2 == 0)
            for n in range(plan.followers)
        ]
        bringer = Bringer(url, QUEUE, tally, plan.file) if plan.file else None
        seconds = asyncio.run(beside(followers, bringer, crowd(servers, invitation, tally, plan)))
        problems = check(url, QUEUE, tally)
        with Store.open(url) as store:
            problems += [problem for follower in followers for problem in follower.problems(store, QUEUE)]
        return Outcome(problems, tally, servers.kills, seconds, servers.failures(), followers, bringer)


async def beside(followers: Sequence[Follower], bringer: Bringer | None, work: Coroutine[None, None, float]) -> float:
    """Let programs follow and bring in while the crowd works, and the followers catch up at the end."""
    following = [asyncio.create_task(follower.follow()) for follower in followers]
    bringing = asyncio.create_task(asyncio.to_thread(bringer.bring)) if bringer is not None else None
    try:
        seconds = await work
    finally:
        for one in following:
            one.cancel()
        ended = await asyncio.gather(*following, return_exceptions=True)
        if bringer is not None and bringing is not None:
            bringer.is_over = True  # whatever became of the work: a thread that goes on would be waited for
            await bringing
    for error in ended:
        if not isinstance(error, asyncio.CancelledError) and error is not None:
            raise error
    for follower in followers:
        await asyncio.wait_for(follower.catch_up(), PATIENCE)
    return seconds


def prepare(url: str, plan: Plan) -> tuple[str, str]:
    """Make the project with its tasks; the token of an invitation for everybody, and that of the programs."""
    now = time.time()
    settings = ProjectSettings(
        lease_seconds=plan.habits.lease, newcomer_tasks=5, repeat_after=5, gold_share=0.05, repeat_share=0.03
    )
    with Store.open(url) as store:
        store.projects.save(QUEUE.project, settings, now=now)
        tasks = [task(i) for i in range(plan.tasks)]
        store.add_tasks(tasks, slots={t.id: 3 if i % 5 == 0 else 1 for i, t in enumerate(tasks)}, now=now)
        for known in tasks[:20]:
            ranking = Ranking(tiers=tuple((c.id,) for c in known.completions))
            store.projects.set_gold(known.id, ranking, now=now)
        made = store.accounts.invitations.add("rater", project=QUEUE.project, max_uses=10 * plan.raters, now=now)
        program = store.accounts.create("program", "adjudicator", now=now)
        return made.token, store.accounts.tokens.add(program.rater_id, "followers", now=now).token


def task(number: int) -> Task:
    """A question with three to six answers."""
    prompt = Prompt.of(f"Question {number}: what is **{number}** plus one?")
    texts = [f"Answer {k} to question {number}.\n\n- `{number + k}`\n- because" for k in range(3 + number % 4)]
    answers = tuple(Completion(prompt_id=prompt.id, text=text, source="crowd") for text in texts)
    return Task(id=f"t-{number:05}", prompt=prompt, completions=answers, project=QUEUE.project)


def said(counts: Mapping[str, int]) -> str:
    """Names with their numbers, in one line."""
    return ", ".join(f"{name} {number}" for name, number in counts.items())


async def crowd(servers: Servers, invitation: str, tally: Tally, plan: Plan) -> float:
    """Let everybody in, and work until time and kills are as planned; the seconds until everything had an answer."""
    rng = random.Random(plan.seed)
    began = time.monotonic()
    raters = [
        ScriptedRater(
            f"rater-{plan.seed}-{i:03}",
            invitation,
            QUEUE.project,
            where=lambda: servers.url(rng),
            tally=tally,
            habits=plan.habits,
        )
        for i in range(plan.raters)
    ]

    def is_over() -> bool:
        came = [rater.joined for rater in raters if rater.joined is not None]
        is_long = len(came) == len(raters) and time.monotonic() - max(came) > plan.seconds
        return is_long and servers.kills >= plan.kills

    # As one group: a rater who fails ends the crowd, and so does who looks after the servers; else the others would
    # ask dead servers for ever.
    async with asyncio.timeout(plan.seconds + PATIENCE), asyncio.TaskGroup() as together:
        around = [
            together.create_task(servers.keep_up()),
            together.create_task(servers.kill_at_random(rng, times=plan.kills, every=plan.every)),
        ]
        await asyncio.wait([together.create_task(rater.work(is_over)) for rater in raters])
        for work in around:
            work.cancel()
    return time.monotonic() - began


if __name__ == "__main__":
    try:
        main()
    except NoPostgres as reason:
        raise SystemExit(str(reason)) from None
