"""Having tasks judged: whoever the raters of a run are, tasks go through the store and come back as judgments."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import assert_never, get_args

from assent.core.errors import AwaitingJudgments, ConfigError, StoreError
from assent.core.runlog import RunLog
from assent.core.types import Judgment, Rater, Task
from assent.feedback.config import StoreConfig
from assent.feedback.records.queue import Awaited, Queue, Quorum
from assent.feedback.store import Store
from assent.pipeline.ai_labels import beside_ai, is_ai, without_ai
from assent.pipeline.autoraters import Autorater, open_autorater, open_constitution
from assent.pipeline.backends import Backends
from assent.pipeline.config import LabData
from assent.pipeline.queueing import QueuePlan
from assent.raters.collect import collect
from assent.raters.config import (
    AutoraterConfig,
    ConstitutionConfig,
    FunctionConfig,
    PeopleConfig,
    RatersConfig,
    RewardModelConfig,
    Role,
    SimulatedConfig,
    no_truth,
)
from assent.raters.crowd import crowd
from assent.raters.function import ScoringRater
from assent.raters.panel import Panel
from assent.raters.principles import MeanJudge, PrincipleJudge
from assent.raters.rater import SingleRater
from assent.raters.simulated import lab_truths, lab_utility
from assent.training.rewards import cut_lines

_NAMED = 6  # people who are named where it waits for many


def quorum_of(raters: RatersConfig | None) -> Quorum:
    """How many judgments suffice, and of whom."""
    return Quorum(raters.enough, raters.wait_for, raters.number) if isinstance(raters, PeopleConfig) else Quorum()


def panel_of(raters: RatersConfig, *, lab: LabData | None, role: Role, seed: int, backends: Backends) -> Panel | None:
    """The raters as a panel; None for people, who judge in their own time."""
    match raters:
        case SimulatedConfig():
            if lab is None:
                raise ConfigError(no_truth("judge").line)
            return crowd(raters, lab_utility(), role=role, seed=seed, truth=lab_truths())
        case RewardModelConfig():
            scores = backends.scorer(raters.path, normalize=True)
            rater = Rater(id=next(raters.ids(role, seed)), kind="reward_model")
            return Panel((ScoringRater(rater, scores, raters.tie_threshold),))
        case FunctionConfig():
            return Panel((ScoringRater.load(raters),))
        case AutoraterConfig():
            return Panel((open_autorater(raters, next(raters.ids(role, seed)), backends),))
        case ConstitutionConfig():
            return open_constitution(raters, backends, seed=seed, abstains=role == "train")
        case PeopleConfig():
            return None
        case _ as never:
            assert_never(never)


def judge(
    store: StoreConfig,
    panel: Panel | None,
    tasks: Sequence[Task],
    queue: Queue,
    *,
    slots: int | Mapping[str, int] = 1,
    quorum: Quorum = Quorum(),
    plan: QueuePlan | None = None,
    log: RunLog,
) -> list[Judgment]:
    """Queue tasks and bring back their judgments, sorted by id.

    For people the queue is laid out as `plan` says. Raises AwaitingJudgments where people are needed and less is in
    than the `quorum` of what was asked, as far as people can give it (feedback/queue/reach.py), and StoreError where a
    panel could not give all that was asked.
    """
    queued = [task.model_copy(update={"project": queue.project, "purpose": queue.purpose}) for task in tasks]
    with Store.open(store.url) as opened:
        wanted_first = {} if panel is not None or plan is None else plan.prepare(opened, queue, tasks)
        before = opened.judgments(queue)
        opened.add_tasks(queued, slots=beside_ai(slots, queued, before), now=time.time())
        if wanted_first:
            opened.set_priorities(wanted_first, now=time.time())
        counts = without_ai(opened.counts(queue), before)
        if panel is None:
            now = time.time()
            reach = without_ai(opened.within_reach(queue, now=now, quorum=quorum), before)
            need = max(1, math.floor(quorum.share * reach.need))
            if reach.have < need:
                who = waiting_for(opened.listing.awaited(queue, now=now, quorum=quorum))
                asked = (queue.project, queue.purpose)
                raise AwaitingJudgments(reach.have, need, where=queue.page, queue=asked, who=who)
            if reach.need < counts.need:
                left = counts.need - reach.need
                log.say(
                    f"{left} more judgments were wanted, but everybody who has begun has judged or skipped those tasks,"
                    " so it goes on; to wait for further people set wait_for or number under collect.raters"
                )
            return [one for one in opened.judgments(queue) if not is_ai(one)]
        # Nobody else is asked here: whoever holds a task only looked at it, or was stopped before the panel changed.
        opened.release_others(queue, keep=panel.ids)
        with log.progress("judging", counts.need, done=counts.have) as bar:
            counts = collect(opened, panel, queue, clock=time.time, on_progress=bar.advance)
            counts = without_ai(counts, before)
        for line in worth_knowing(panel.members):
            log.say(line)
        return all_of(panel, opened.judgments(queue), queue, need=counts.need)


def waiting_for(people: Sequence[Awaited]) -> str:
    """For whom a queue waits, and for how long, in words; empty where nobody is waited for."""
    shown, more = people[:_NAMED], len(people) - _NAMED
    return "; ".join(map(_in_words, shown)) + (f"; and {more} more people" if more > 0 else "")


def _in_words(one: Awaited) -> str:
    tasks = f"{one.tasks} task{'s' if one.tasks != 1 else ''}"
    if not one.name:
        return f"{'somebody else' if one.people == 1 else f'{one.people} people who have not begun'} ({tasks})"
    if not one.has_account:
        return f"{one.name} ({tasks}; has no account yet)"
    if one.last is None:
        return f"{one.name} ({tasks}; has not begun)"
    end = "" if one.until is None else f", waited for until {_day(one.until)}"
    return f"{one.name} ({tasks}; judged last on {_day(one.last)}{end})"


def _day(moment: float) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(moment))


def worth_knowing(raters: Sequence[SingleRater]) -> list[str]:
    """What raters say about their work: what was cut for a model, what a judge skipped, which place it leant to."""
    said = cut_lines(*(one.score for one in raters if isinstance(one, ScoringRater)))
    telling = (*get_args(Autorater), PrincipleJudge, MeanJudge)
    return said + [line for one in raters if isinstance(one, telling) for line in one.lines()]


def all_of(panel: Panel, judgments: Sequence[Judgment], queue: Queue, *, need: int) -> list[Judgment]:
    """The judgments that a panel gave. Raises StoreError where they are fewer than needed."""
    own = [judgment for judgment in judgments if judgment.rater_id in panel.ids]
    if len(own) < need:
        others = sorted({judgment.rater_id for judgment in judgments} - panel.ids)
        who = f"; others judged there: {', '.join(others[:3])}" if others else "; others hold some of its tasks"
        raise StoreError(
            f"{len(own)} of {need} judgments of project {queue.project!r} are in, {need - len(own)} are missing{who}; "
            "wait until nobody else works on it, or set store.url to another store"
        )
    return own
