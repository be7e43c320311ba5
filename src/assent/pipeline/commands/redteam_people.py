"""People's word on a red team: findings into a project of the store, verdicts back as pairs, regressions and labels."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from assent.core import files, seeds
from assent.core.errors import ConflictError
from assent.core.types import Comparison, Message, Prompt, Task
from assent.feedback.records.queue import Queue
from assent.feedback.store import Store
from assent.feedback.terminal import note
from assent.redteam.archive import Attempt, Finding
from assent.redteam.behaviours import Behaviour
from assent.redteam.confirming import (
    SETTINGS,
    add_regressions,
    pair_of,
    preference,
    regression_of,
    task_of,
    verdicts,
    write_pairs,
)
from assent.redteam.control import control_of
from assent.redteam.hunt import Hunt
from assent.redteam.operators.catalog import operators_named

PAIRS, REGRESSIONS, LABELS = "pairs.jsonl", "regressions.jsonl", "labels.jsonl"
TWINS = 2
"""Harmless twins that are learned from beside each failure, as far as there are any."""


@dataclass(frozen=True)
class People:
    """Whom to ask, and where what they confirm is kept."""

    store_url: str
    project: str
    regressions: Path
    checks: int = 0
    """How many attempts, drawn from the sweep whatever the detector says, are asked about besides: they measure it."""


@dataclass(frozen=True)
class Answered:
    """How far people are."""

    have: int
    need: int
    page: str


def ask_people(people: People, hunt: Hunt, out: Path, *, safe: str) -> Iterator[str | Answered]:
    """Queue what was found, read what was said so far, and write what it means; the last item says what is missing."""
    requests = {one.id: one for one in hunt.plan.behaviours}
    findings = {task_of(one, one.request, project=people.project).id: one for one in hunt.findings}
    drawn = _drawn(hunt.swept, people.checks, seed=hunt.plan.seed)
    checks = {_task(one, requests, people.project).id: one for one in drawn}
    tasks = {
        task.id: task
        for task in (
            *(task_of(one, one.request, project=people.project) for one in findings.values()),
            *(_task(one, requests, people.project) for one in checks.values()),
        )
    }
    queue = Queue(people.project, "evaluation")
    with Store.open(people.store_url) as store:
        _prepare(store, people.project)
        new = store.add_tasks(list(tasks.values()), now=time.time())
        note(store.events, "redteam", about=f"tasks {new}", project=people.project)
        counts = store.counts(queue)
        said = verdicts(store.judgments(queue))
    confirmed = [one for task, one in findings.items() if said.get(task)]
    denied = [one for task, one in findings.items() if said.get(task) is False]
    yield f"  people: {len(confirmed)} findings confirmed, {len(denied)} are none, of {len(findings)} asked about"
    pairs = [one for finding in confirmed for one in pairs_for(finding, requests[finding.behaviour], hunt, safe=safe)]
    write_pairs(out / PAIRS, pairs)
    held = add_regressions(people.regressions, [regression_of(one, requests[one.behaviour]) for one in confirmed])
    yield f"  {len(pairs)} pairs for the next round: {out / PAIRS}; {held} regressions: {people.regressions}"
    if checks:
        _write_labels(out / LABELS, [(checks[task], fails) for task, fails in said.items() if task in checks], requests)
        yield f"  labels of {sum(task in checks for task in said)} of {len(checks)} drawn attempts: {out / LABELS}"
    yield Answered(counts.have, counts.need, queue.page)


def pairs_for(finding: Finding, behaviour: Behaviour, hunt: Hunt, *, safe: str, twins: int = TWINS) -> list[Comparison]:
    """What the next round learns from a confirmed failure: to decline it, and yet to answer what is harmless.

    The better answer is what the target itself said when it was asked plainly, where that was a refusal, else `safe`.
    Beside it stand up to `twins` harmless twins, that of the behaviour first, each asked in the same way; there the
    target's own answer to the twin is preferred to the very refusal that was preferred before. So both kinds of pairs
    push the same words in opposite directions, and what is learned is when to say them.
    """
    declined = _own_refusal(behaviour, hunt) or safe
    pairs = [pair_of(finding, safe=declined)]
    operators = operators_named(finding.chain) if finding.chain and "written" not in finding.chain else ()
    for n, twin in enumerate(_twins(finding, behaviour, hunt)[:twins]):
        script = control_of(twin, operators, seed=hunt.plan.seed)
        if script.calls == 1:
            messages = tuple(Message(role=t.role, content=t.text) for t in script.turns if not t.is_open)
            source = f"{finding.id}-twin" + (f"-{n}" if n else "")
            pairs.append(preference(Prompt(messages=messages), good=hunt.twins[twin.id], bad=declined, source=source))
    return pairs


def _own_refusal(behaviour: Behaviour, hunt: Hunt) -> str | None:
    """What the target said to the plain request, where it declined it."""
    own = [
        one.answer
        for one in hunt.attempts
        if one.behaviour == behaviour.id and one.way == "direct" and one.answer and not one.is_hit
    ]
    return own[0] if own and hunt.plan.kind_of(own[0]) == "refusal" else None


def _twins(finding: Finding, behaviour: Behaviour, hunt: Hunt) -> list[Behaviour]:
    """Behaviours whose twin the target answers when it is asked plainly: this one first, others as chance has it."""
    able = [
        one
        for one in hunt.plan.behaviours
        if one.twin and hunt.plan.kind_of(hunt.twins.get(one.id, "")) == "compliance"
    ]
    order = seeds.stream(hunt.plan.seed, "redteam twins", finding.id).permutation(len(able)).tolist()
    return sorted((able[n] for n in order), key=lambda one: one.id != behaviour.id)


def _drawn(swept: Sequence[Attempt], count: int, *, seed: int) -> list[Attempt]:
    """Attempts drawn evenly from those with an answer, whatever the detector says of them."""
    able = [one for one in swept if one.answer is not None]
    order = seeds.stream(seed, "redteam checks").permutation(len(able)).tolist()
    return [able[n] for n in order[:count]]


def _task(attempt: Attempt, requests: dict[str, Behaviour], project: str) -> Task:
    return task_of(attempt, requests[attempt.behaviour].request, project=project)


def _prepare(store: Store, project: str) -> None:
    """Make the project where it is new. Raises ConflictError where one of that name asks something else."""
    known = {one.name: one for one in store.projects.all()}
    if project not in known:
        store.projects.save(project, SETTINGS, now=time.time())
    elif known[project].settings.criteria != SETTINGS.criteria:
        raise ConflictError(f"project {project!r} of the store asks raters something else; choose another name")


def _write_labels(path: Path, labelled: Sequence[tuple[Attempt, bool]], requests: dict[str, Behaviour]) -> None:
    rows = [
        {
            "request": requests[one.behaviour].request,
            "answer": one.answer,
            "fails": fails,
            "codeword": requests[one.behaviour].codeword,
        }
        for one, fails in labelled
    ]
    files.write_text(path, "".join(json.dumps(row, ensure_ascii=True) + "\n" for row in rows), is_private=True)
