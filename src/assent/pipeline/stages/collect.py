"""Collect: have the samples ranked, and put all judgments so far together."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any

from assent.artifacts.jsonl import Records, read_records, write_records
from assent.artifacts.stage import StageContext
from assent.artifacts.store import Artifact
from assent.core import files
from assent.core.errors import DataError
from assent.core.hashing import hash_json, short
from assent.core.types import Comparison, Judgment, Marked, Prompt, Task
from assent.data.heldout import Kept, take_out
from assent.feedback.quality.opinions import second_opinions
from assent.feedback.queue.assign import overlap
from assent.feedback.records.queue import Queue
from assent.feedback.store import Store
from assent.pipeline.ai_labels import FILE as AI_LABELS
from assent.pipeline.ai_labels import agreement_of, for_people, judge_beside, only_by, refuse_low, weights_in
from assent.pipeline.backends import Backends
from assent.pipeline.config import CollectConfig
from assent.pipeline.constitution_config import AILabelsConfig
from assent.pipeline.decisions import Stood, decided_in, in_words, stand_in
from assent.pipeline.imported import IMPORTED, MARKS, Tried, check_for, count_of, imported_comparisons, imported_marks
from assent.pipeline.judges import judges_of, take_queue
from assent.pipeline.judging import judge, panel_of, quorum_of, worth_knowing
from assent.pipeline.late import Before, late_before, snapshot_name, with_late
from assent.pipeline.queueing import QueuePlan, predicted
from assent.pipeline.stages.settings import CollectStage
from assent.pipeline.stages.since import known_raters
from assent.raters.config import PeopleConfig


def run_collect(
    ctx: StageContext,
    config: CollectStage,
    *,
    samples: Artifact | None = None,
    earlier: Artifact | None = None,
    given: Artifact | None = None,
    advisor: Artifact | None = None,
    held_out: Artifact | None = None,
    reader: Artifact | None = None,
) -> dict[str, Any]:
    """Write comparisons.jsonl: those given, those imported, those of earlier rounds, and this round's; so marks.jsonl.

    Imported ones that hold an evaluation prompt of `held_out` are left out; the others never do. With a `reader`, a
    base, those that it cannot take are left out too, into quarantine.jsonl.

    raters.jsonl holds what those who ranked have told about themselves, and consented to have used. `advisor` is the
    reward model of the round before: by what it predicts, people are asked first what teaches most.
    """
    comparisons: Iterable[Comparison]
    left_out: dict[str, int] = {}
    asks_people = config.collect is not None and isinstance(config.collect.raters, PeopleConfig)
    late = late_before(config.store, earlier if asks_people else None, key=short(ctx.key))
    if late.judgments:
        ctx.log.say(str(late))
    if earlier is not None:
        comparisons = with_late(Records(earlier.file("comparisons.jsonl"), Comparison), late.comparisons)
    else:
        usable = usable_imports(ctx, config, reader)
        own = learned(ctx, usable.good, held_out)
        comparisons = own.items
        left_out = usable.facts() | (own.facts() if own.out else {})
    if given is not None:
        comparisons = without_repeats(chain(Records(given.file("comparisons.jsonl"), Comparison), comparisons))
    new = None
    if samples is not None and config.collect is not None:
        new = new_comparisons(ctx, config, config.collect, samples, advisor)
        comparisons = chain(comparisons, new.comparisons)
    marks = collected_marks(ctx, config, new, earlier, held_out, late.marked) if config.marks else None
    path, tally = ctx.output / "comparisons.jsonl", Tally()
    if not write_records(path, tally.counted(comparisons), is_private=True) and not marks:
        raise DataError("there are no judgments to learn from: import some with `assent import`, or set collect.raters")
    stood: dict[str, int] = {}
    if config.decisions == "stand":
        projects = [*late.read, *([IMPORTED.project] if earlier is None else []), *([new.project] if new else [])]
        decided = standing(config, Records(path, Comparison), projects)
        stood, tally = decided.facts(), Tally()
        ctx.log.say(in_words(stood))
        write_records(path, tally.counted(decided.comparisons), is_private=True)
    write_records(ctx.output / "raters.jsonl", known_raters(config.store, tally.raters), is_private=True)
    if weights := ({} if earlier is None else weights_in(earlier)) | ({} if new is None else new.weights):
        files.write_json(ctx.output / AI_LABELS, weights)
    marked = {} if marks is None else {"marked": len(marks)}
    return facts_of(tally, new, late) | left_out | stood | marked | ({} if new is None else new.facts)


@dataclass
class Tally:
    """What was counted while comparisons went by."""

    comparisons: int = 0
    judgments: int = 0
    raters: set[str] = field(default_factory=set)

    def counted(self, comparisons: Iterable[Comparison]) -> Iterator[Comparison]:
        """The same, each counted."""
        for one in comparisons:
            self.comparisons += 1
            self.judgments += len(one.judgments)
            self.raters.update(judgment.rater_id for judgment in one.judgments)
            yield one


def facts_of(tally: Tally, new: NewComparisons | None, late: Before) -> dict[str, Any]:
    """How much there is to learn from, and where in the store it stands."""
    facts = {
        "comparisons": tally.comparisons,
        "judgments": tally.judgments,
        "new_judgments": 0 if new is None else count_of(new.comparisons),
        "raters": len(tally.raters),
        "snapshot": None if new is None else new.snapshot,
        "project": None if new is None else new.project,
        "read": late.read | ({} if new is None else {new.project: new.snapshot}),
    }
    return facts | ({"late": late.judgments} if late.judgments else {})


def collected_marks(
    ctx: StageContext,
    config: CollectStage,
    new: NewComparisons | None,
    earlier: Artifact | None,
    held_out: Artifact | None,
    late: Sequence[Marked],
) -> list[Marked]:
    """Write marks.jsonl: what was said without ranking two answers, imported, in earlier rounds and in this one."""
    marks: list[Marked] = list(late)
    if earlier is not None:
        marks += read_records(earlier.file(MARKS), Marked)
    else:
        imported = imported_marks(config.store)
        asked = [one.prompt for one in imported]
        kept = take_out(asked, read_records(held_out.file("eval.jsonl"), Prompt) if held_out is not None else [])
        if imported and held_out is not None:
            ctx.log.say(kept.line("imported tasks with flags or scores alone", of=len(asked)))
        usable = {prompt.id for prompt in kept.items}
        marks += [one for one in imported if one.prompt.id in usable]
    if new is not None and config.collect is not None:
        queue = Queue(new.project, "reward")
        with Store.open(config.store.url) as store:
            found, repeats = store.listing.marked(queue, snapshot=new.snapshot), store.listing.repeats(queue)
        raters = config.collect.raters
        ids = None if isinstance(raters, PeopleConfig) else set(raters.ids("train", config.people_seed))
        for one in found:
            said = (j for j in one.judgments if j.task_id not in repeats and (ids is None or j.rater_id in ids))
            if own := tuple(said):
                marks.append(one.model_copy(update={"judgments": own}))
    write_records(ctx.output / MARKS, marks, is_private=True)
    return marks


def usable_imports(ctx: StageContext, config: CollectStage, reader: Artifact | None) -> Tried:
    """The imported comparisons; what a `reader` cannot take apart, and in the quarantine."""
    imported = imported_comparisons(config.store)
    if reader is None or not imported:
        return Tried(imported, [])
    tried = Tried.of(imported, check_for(reader, config.model, config.limits))
    if tried.bad:
        ctx.log.say(tried.line(config.store))
        files.write_text(ctx.output / "quarantine.jsonl", "".join(tried.quarantined()), is_private=True)
    return tried


def standing(config: CollectStage, comparisons: Sequence[Comparison], projects: Sequence[str]) -> Stood:
    """The comparisons with decisions in place of judgments: of their files, and of these projects of the store."""
    with Store.open(config.store.url) as store:
        return stand_in(comparisons, decided_in(store, projects))


def learned(ctx: StageContext, imported: Sequence[Comparison], held_out: Artifact | None) -> Kept[Comparison]:
    """The imported comparisons without those that hold an evaluation prompt."""
    if held_out is None or not imported:
        return Kept(imported, 0, 0, 0)
    kept = take_out(imported, read_records(held_out.file("eval.jsonl"), Prompt))
    ctx.log.say(kept.line("imported comparisons", of=len(imported)))
    return kept


@dataclass(frozen=True)
class NewComparisons:
    """What was judged in a round, and where it stands in the store."""

    comparisons: Sequence[Comparison]
    snapshot: str
    """Hash of the fixed set of judgments."""
    project: str
    weights: dict[str, float]
    """What a judgment of each AI rater counts; empty where there is none."""
    facts: dict[str, Any]
    """What is known of the AI's labels."""


def new_comparisons(
    ctx: StageContext, config: CollectStage, collecting: CollectConfig, samples: Artifact, advisor: Artifact | None
) -> NewComparisons:
    """Have this round's tasks judged; the judgments are fixed in a snapshot."""
    every = read_records(samples.file("tasks.jsonl"), Task)
    asked = Queue(project=samples.name, purpose="reward")
    judges = judges_of(collecting.raters, role="train", seed=config.people_seed)
    queue, every = take_queue(config.store, asked, judges, every)
    tasks = for_people(every, collecting.ai, seed=config.people_seed)
    slots = overlap(
        [t.id for t in tasks], share=collecting.overlap_share, depth=collecting.overlap, seed=config.people_seed
    )
    backends = Backends(config.model, config.compute)
    panel = panel_of(collecting.raters, lab=config.lab, role="train", seed=config.people_seed, backends=backends)
    if panel is not None:
        depth = min(collecting.overlap, len(panel.members))
        slots = {task: min(count, depth) for task, count in slots.items()}
    predict = None if advisor is None else partial(predicted, backends, advisor)
    plan = QueuePlan(config.title, config.place, config.like, collecting.goal, predict)
    quorum = quorum_of(collecting.raters)
    said = judge(config.store, panel, tasks, queue, slots=slots, quorum=quorum, plan=plan, log=ctx.log)
    if collecting.second_opinions:
        slots = with_second_opinions(ctx, collecting, slots, said, raters=None if panel is None else len(panel.members))
        said = judge(config.store, panel, tasks, queue, slots=slots, quorum=quorum, plan=plan, log=ctx.log)
    need = min(math.floor(quorum.share * sum(slots.values())), sum(j.skip_reason is None for j in said))
    ai = None if collecting.ai is None else beside(ctx, config, collecting.ai, backends, every, queue)
    need += 0 if ai is None else ai.ranked
    with Store.open(config.store.url) as store:
        named = snapshot_name(store, queue) + ("" if ai is None else f" with {ai.mark}")
        snapshot = store.snapshot(named, queue, now=time.time())
        if snapshot.judgments < need:  # taken when fewer were asked for
            snapshot = store.snapshot(f"{named} for {short(ctx.key)}", queue, now=time.time())
        repeats, ids = store.listing.repeats(queue), frozenset() if ai is None else ai.ids

        def learned_from(found: Iterable[Comparison]) -> Records[Comparison]:
            found = once(ctx, found, repeats)
            return Records.aside(Comparison, only_by(found if panel is None else only_of(panel.ids | ids, found), ids))

        comparisons = store.listing.with_comparisons(queue, learned_from, snapshot=snapshot.hash)
    weights = {} if ai is None or collecting.ai is None else dict.fromkeys(sorted(ai.ids), collecting.ai.weight)
    return NewComparisons(comparisons, snapshot.hash, queue.project, weights, {} if ai is None else ai.facts)


@dataclass(frozen=True)
class Beside:
    """What an AI said beside people, once it was seen that they agree."""

    ids: frozenset[str]
    """Its raters."""
    mark: str
    """What all that decides its judgments is known by."""
    ranked: int
    """Judgments that say something."""
    facts: dict[str, Any]


def beside(
    ctx: StageContext, config: CollectStage, ai: AILabelsConfig, backends: Backends, tasks: list[Task], queue: Queue
) -> Beside:
    """Have the AI judge every task, and hold it against people. Raises RunError where its labels may not be used."""
    panel = panel_of(ai.raters, lab=config.lab, role="train", seed=config.people_seed, backends=backends)
    assert panel is not None
    said = judge_beside(config.store, panel, tasks, queue, log=ctx.log)
    for line in worth_knowing(panel.members):
        ctx.log.say(line)
    with Store.open(config.store.url) as store:
        found = agreement_of(store.comparisons(queue), said)
    for line in found.lines():
        ctx.log.say(line)
    if warned := refuse_low(found, ai):
        ctx.log.say(warned)
    ranked = sum(one.ranking is not None for one in said)
    facts = {"judgments": ranked, "silent": len(said) - ranked, "agreement": found.model_dump(mode="json")}
    return Beside(panel.ids, ai.raters.mark, ranked, {"ai": facts})


def with_second_opinions(
    ctx: StageContext,
    collecting: CollectConfig,
    slots: Mapping[str, int],
    said: Sequence[Judgment],
    *,
    raters: int | None,
) -> dict[str, int]:
    """The slots, and one more where it tells most; `raters` are those of a panel, None for people.

    What was chosen is kept beside the unfinished stage: asked again, with further judgments in, it is the same.
    """
    chosen = ctx.scratch / "second_opinions.json"
    if not chosen.is_file():
        open_to = {task for task, count in slots.items() if raters is None or count < raters}
        labels = round(collecting.second_opinions * len(slots))
        more = second_opinions([one for one in said if one.task_id in open_to], labels=labels)
        files.write_json(chosen, sorted(more))
        ctx.log.say(f"{len(more)} tasks get one more judgment, where it tells most of which answer is better")
    again = set(json.loads(chosen.read_text(encoding="utf-8")))
    return {task: count + (task in again) for task, count in slots.items()}


def once(ctx: StageContext, comparisons: Iterable[Comparison], repeats: Collection[str]) -> Iterator[Comparison]:
    """The comparisons without tasks that raters were asked again to see whether they say the same: no second vote."""
    again = 0
    for one in comparisons:
        if one.judgments[0].task_id in repeats:
            again += len(one.judgments)
        else:
            yield one
    if again:
        ctx.log.say(f"{again} judgments of tasks that were asked again measure raters and are not learned from")


def only_of(ids: frozenset[str], comparisons: Iterable[Comparison]) -> Iterator[Comparison]:
    """What these raters said, without what others said about the same tasks."""
    for one in comparisons:
        if kept := tuple(j for j in one.judgments if j.rater_id in ids):
            yield one if len(kept) == len(one.judgments) else one.model_copy(update={"judgments": kept})


def without_repeats(comparisons: Iterable[Comparison]) -> Iterator[Comparison]:
    """Each judgment once: a file may be listed under data.comparisons and imported too."""
    seen: set[bytes] = set()
    for comparison in comparisons:
        said = {c.id: c.text for c in comparison.completions}
        new = []
        for judgment in comparison.judgments:
            tiers = [sorted(said[i] for i in tier) for tier in judgment.ranking.tiers] if judgment.ranking else None
            name = bytes.fromhex(hash_json([comparison.prompt.id, judgment.rater_id, tiers, judgment.critique]))[:16]
            if name not in seen:
                seen.add(name)
                new.append(judgment)
        if new:
            yield comparison.model_copy(update={"judgments": tuple(new)})
