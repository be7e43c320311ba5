"""Labels of an AI beside people's: judged into the same project, held against people before use, weighed after.

A judgment comes in with a slot of its own, so that it takes no person's and nobody waits for it. Which rater gave it
changes with every word of the constitution and every setting of its judge, so that older ones are told apart.
"""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from assent.artifacts.store import Artifact
from assent.core import seeds
from assent.core.errors import DataError, RunError
from assent.core.runlog import RunLog
from assent.core.types import Comparison, Judgment, Record, Task
from assent.data.task_records import TaskRecord
from assent.evaluation.validation.agreement import Agreement, agreement
from assent.evaluation.validation.labels import LabelledPair, Said, Validated, clustered, labelled_pairs, vote
from assent.feedback.config import StoreConfig
from assent.feedback.records.queue import Counts, Queue
from assent.feedback.store import Store
from assent.pipeline.constitution_config import AILabelsConfig
from assent.raters.panel import Panel
from assent.raters.rater import given
from assent.stats.clustered import clustered_share
from assent.stats.estimate import Estimate

FILE = "ai_labels.json"
"""In a judgments artifact: what each judgment of these raters weighs."""
AI = "ai"
"""What `details.panel` of such a judgment says."""
_BATCH = 64


class AIAgreement(Record):
    """How an AI's labels agree with people's on the tasks that both judged."""

    whole: Agreement
    """By vote, by majority, and how people agree with each other."""
    by_principle: dict[str, Estimate]
    """Agreement with votes where each principle decided; those seen on fewer than two prompts are missing."""

    def lines(self) -> list[str]:
        """The same in words."""
        found, people = self.whole.with_votes, self.whole.people
        if found is None:
            return []
        said = f"the AI agrees with votes of people on {found} of {self.whole.pairs - self.whole.abstained} pairs"
        if people is not None:
            said += f"; people with each other on {people}"
        each = [f"{name} {one} (n {one.n})" for name, one in self.by_principle.items()]
        return [said, *([f"by principle: {', '.join(each)}"] if each else [])]


def for_people(tasks: Sequence[Task], config: AILabelsConfig | None, *, seed: int) -> list[Task]:
    """The tasks that people judge: all, or the share that is drawn by their ids and the seed, at least one."""
    if config is None or config.people_share == 1:
        return list(tasks)
    drawn = sorted(tasks, key=lambda task: seeds.derive(seed, "people share", task.prompt.id))
    kept = {task.id for task in drawn[: math.ceil(config.people_share * len(tasks))]}
    return [task for task in tasks if task.id in kept]


def judge_beside(
    store: StoreConfig, panel: Panel, tasks: Sequence[Task], queue: Queue, *, log: RunLog
) -> list[Judgment]:
    """Have a panel judge tasks of a queue that others judge too, and bring back what it said of them.

    Interrupted and called again it goes on. Each portion is kept as it comes.
    """
    queued = [task.model_copy(update={"project": queue.project, "purpose": queue.purpose}) for task in tasks]
    shares = panel.shares({task.id: 1 for task in queued})
    with Store.open(store.url) as opened:
        done = {(one.rater_id, one.task_id) for one in opened.judgments(queue)}
        with log.progress("judging by the constitution", len(queued)) as bar:
            for member in panel.members:
                opened.register_rater(member.record, now=time.time())
                own = [task for task in queued if task.id in shares[member.record.id]]
                left = [task for task in own if (member.record.id, task.id) not in done]
                bar.advance(len(own) - len(left))
                for start in range(0, len(left), _BATCH):
                    batch = left[start : start + _BATCH]
                    of = {task.id: task for task in batch}
                    for said in given(member, batch):
                        records = [TaskRecord(task=of[one.task_id], judgments=(_marked(one),)) for one in said]
                        opened.import_comparisons(records, queue, rater_kind=member.record.kind, now=time.time())
                        bar.advance(len(said))
        asked = {task.id for task in queued}
        return [one for one in opened.judgments(queue) if one.rater_id in panel.ids and one.task_id in asked]


def is_ai(judgment: Judgment) -> bool:
    """Whether a judgment came in beside those of people."""
    return judgment.details.get("panel") == AI


def beside_ai(slots: int | Mapping[str, int], tasks: Iterable[Task], judgments: Iterable[Judgment]) -> dict[str, int]:
    """How many slots tasks need for so many judgments of others, where each of an AI's brought one of its own."""
    brought = Counter(one.task_id for one in judgments if is_ai(one) and one.skip_reason is None)
    wanted = {task.id: slots if isinstance(slots, int) else slots.get(task.id, 1) for task in tasks}
    return {name: count + brought[name] for name, count in wanted.items()}


def without_ai(counts: Counts, judgments: Iterable[Judgment]) -> Counts:
    """The counts of a queue without the slots that came with an AI's judgments."""
    beside = sum(is_ai(one) and one.skip_reason is None for one in judgments)
    return replace(counts, have=counts.have - beside, need=counts.need - beside)


def only_by(comparisons: Iterable[Comparison], ai: frozenset[str]) -> Iterator[Comparison]:
    """The comparisons without judgments of an AI other than these raters: of an earlier constitution, or of none."""
    for one in comparisons:
        kept = tuple(j for j in one.judgments if not is_ai(j) or j.rater_id in ai)
        if kept:
            yield one if len(kept) == len(one.judgments) else one.model_copy(update={"judgments": kept})


def agreement_of(comparisons: Iterable[Comparison], judgments: Iterable[Judgment]) -> AIAgreement:
    """The AI's judgments against people's on the pairs that have both."""
    by_answers: dict[frozenset[str], list[Judgment]] = {}
    for one in judgments:
        if one.ranking is not None:
            by_answers.setdefault(frozenset(one.ranking.ids), []).append(one)
    pairs: list[LabelledPair] = []
    said: list[Said] = []
    rows: dict[str, list[tuple[float, str]]] = {}
    for comparison in comparisons:
        people = tuple(j for j in comparison.judgments if not is_ai(j))
        theirs = by_answers.get(frozenset(one.id for one in comparison.completions), [])
        if not people or not theirs:
            continue
        for pair in labelled_pairs([comparison.model_copy(update={"judgments": people})]):
            picks = [(one, vote(one, pair.first.id, pair.second.id)) for one in theirs]
            for judgment, pick in picks:
                if pick is not None:
                    pairs.append(pair)
                    said.append(Said(pick))
                    alike = [(1 - abs(pick - one), pair.prompt.id) for one in pair.votes.values() if pick != 0.5]
                    rows.setdefault(str(judgment.details.get("principle", "")), []).extend(alike)
    each = {name: clustered(clustered_share, some) for name, some in sorted(rows.items())}
    whole = agreement(Validated(tuple(pairs), tuple(said)))
    return AIAgreement(whole=whole, by_principle={name: one for name, one in each.items() if one is not None})


def refuse_low(found: AIAgreement, config: AILabelsConfig) -> str:
    """What stands against using the labels, in words, where it may be passed over; else empty.

    Raises RunError where they agree with people too little, or where that cannot be measured and must be.
    """
    with_votes = found.whole.with_votes
    if with_votes is None:
        said = f"the AI's labels have {found.whole.pairs} pairs in common with people's, too few to measure agreement"
        if config.without_overlap == "use_unmeasured":
            return f"{said}; they are used all the same (collect.ai.without_overlap)"
        raise RunError(
            f"{said}, so they are not used: have people judge more tasks (collect.ai.people_share), or set"
            " collect.ai.without_overlap: use_unmeasured"
        )
    if with_votes.low <= config.bar:
        raise RunError(
            f"the AI agrees with votes of people on {with_votes} of {found.whole.pairs} pairs, and the lower end must"
            f" lie above {config.bar}: its labels are not used. Look at its principles with `assent constitution"
            " check`, take another judge, have people judge more, or set collect.ai: null"
        )
    return ""


def weights_in(judgments: Artifact) -> dict[str, float]:
    """What a judgment of each AI rater counts, as a judgments artifact says; empty where there is none."""
    path = judgments.folder / FILE
    if not path.is_file():
        return {}
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        said = None
    if not isinstance(said, Mapping) or not all(isinstance(one, int | float) for one in said.values()):
        raise DataError(f"{path} cannot be read; run the project again to write it anew")
    return {str(name): float(weight) for name, weight in said.items()}


def weighed(labels: Mapping[str, float], others: Mapping[str, float] | None) -> Mapping[str, float] | None:
    """What a judgment of each rater counts by both: the product, 1 where one of them names nobody."""
    if not labels:
        return others
    known = others or {}
    return {name: labels.get(name, 1.0) * known.get(name, 1.0) for name in {*labels, *known}}


def by_people(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """What people said alone, for measuring; all as it is where they said nothing."""
    kept = [(one, tuple(j for j in one.judgments if not is_ai(j))) for one in comparisons]
    theirs = [one.model_copy(update={"judgments": said}) for one, said in kept if said]
    return theirs or list(comparisons)


def _marked(judgment: Judgment) -> Judgment:
    return judgment.model_copy(update={"details": judgment.details | {"panel": AI}})
