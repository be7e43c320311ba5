"""`assent feedback criteria`: what scores in a project say, as lines and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from assent.core.files import write_text
from assent.feedback.quality.corrected import ByCriteria, Corrected
from assent.feedback.quality.criteria import Scored
from assent.feedback.quality.facts import TaskFacts
from assent.feedback.records.queue import Queue
from assent.feedback.store import Store
from assent.feedback.terminal import note
from assent.pipeline.commands.feedback import StoreQueue, open_store
from assent.stats.estimate import Estimate


def criteria_of(asked: StoreQueue, *, beside: Sequence[str] = (), to: Path | None) -> Iterator[str]:
    """Means, agreement and weights by criterion of a queue, and judges corrected by people; also into a file.

    `beside` names projects in which others, such as programs, judged the same answers; what to ask is the first's.
    """
    with open_store(asked.store_url) as store:
        queue = asked.queue(store)
        others = [replace(asked, project=name).queue(store) for name in beside]
        found = read(store, [queue, *others])
        for one in (queue, *others):
            note(store.events, "feedback criteria", project=one.project)
    if to is not None:
        values = None if found is None else found.model_dump(mode="json")
        write_text(to, json.dumps(values, ensure_ascii=False, indent=2) + "\n", is_private=True)
    if found is None:
        yield f"nobody has scored an answer in project {queue.project} ({queue.purpose})"
    else:
        for who, side in (("people", found.people), ("judges", found.judges)):
            yield from () if side is None else _lines(who, side)
        if found.corrected:
            yield "judges corrected by people (right if what people labelled was drawn at random):"
            yield from (_corrected(one) for one in found.corrected)
    if to is not None:
        yield f"wrote {to}"


def read(store: Store, queues: Sequence[Queue]) -> ByCriteria | None:
    """What the current judgments of queues say by the criteria of the first; None where nobody scored anything."""
    judgments = [one for queue in queues for one in store.judgments(queue)]
    tasks = store.tasks(sorted({one.task_id for one in judgments}))
    return ByCriteria.of(
        judgments,
        {name: TaskFacts.of(task) for name, task in tasks.items()},
        store.projects.get(queues[0].project).settings.criteria,
        kinds={rater.id: rater.kind for rater in store.raters()},
        gold={task for queue in queues for task in store.projects.gold(queue.project)},
        repeats={row.task_id for queue in queues for row in store.said(queue.project) if row.repeat_of},
    )


def _lines(who: str, side: Scored) -> Iterator[str]:
    out = "".join(f", {number} {why}" for why, number in side.left_out.items())
    yield f"{who}: {side.raters} raters, {side.judgments} judgments{f'; left out{out[1:]}' if out else ''}"
    for one in side.criteria:
        scale = "no known scale" if one.scale is None else f"{one.scale[0]:g} to {one.scale[1]:g}"
        beyond = f", {one.off_scale} beyond the scale" if one.off_scale else ""
        yield f"  {one.name} ({scale}): {one.scored} scores, {one.missing} missing{beyond}"
        for model, mean in one.means.items():
            yield f"    {model or 'not named'}: {_said(mean)}"
        for gap in one.differences:
            yield f"    {gap.model or 'not named'} - {gap.other or 'not named'}: {_said(gap.difference)}"
        if one.alpha is not None:
            yield f"    alpha {_said(one.alpha)}, same score {_said(one.same)}"
        if one.weight is not None:
            yield f"    weight in the choice {_said(one.weight)}"
    if side.choices or side.choices_left_out:
        yield f"  weights rest on {side.choices} ranked pairs; {side.choices_left_out} more lack a score"
    for flag, shares in side.flags.items():
        yield f"  {flag}: " + ", ".join(f"{model or 'not named'} {_said(one)}" for model, one in shares.items())


def _corrected(one: Corrected) -> str:
    of = f"{one.model} against {one.other}" if one.other else one.model or "not named"
    sides = f"people alone {one.labels_alone}, judges alone {one.judge_alone:.3f}"
    counts = f"{one.labels} of {one.items} labelled, {one.saved} labels saved"
    unjudged = f", {one.unjudged} labelled that no judge knows left out" if one.unjudged else ""
    return f"  {one.what}, {of}: {one.corrected}; {sides}, λ {one.judge_weight:.2f}, {counts}{unjudged}"


def _said(found: Estimate | None) -> str:
    return "-" if found is None else f"{found} ({found.n} prompts)"
