"""Blind pairwise win rate of a new policy against a baseline, plain and length-controlled.

pairs     = [Pair(prompt, new, baseline), …]
tasks     = blind_tasks(pairs)                       each pair in both orders, origins stripped
verdicts  = read_verdicts(pairs, tasks, judgments)   by any raters; a judgment without a ranking is missing, not a tie
result    = win_rate(verdicts)
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from assent.core import files
from assent.core.errors import DataError
from assent.core.hashing import hash_json, short
from assent.core.types import Completion, Judgment, Prompt, Record, Task
from assent.evaluation.judge_scores import is_one_sided
from assent.feedback.arena import VERDICTS, style_of
from assent.feedback.quality.agreement import hit
from assent.feedback.quality.facts import TaskFacts
from assent.feedback.quality.sheets import Score, Sheets
from assent.stats.clustered import clustered_share, two_way_share
from assent.stats.estimate import Estimate


@dataclass(frozen=True)
class Pair:
    """Two answers to one prompt; raters never learn which is which."""

    prompt: Prompt
    new: Completion
    baseline: Completion


@dataclass(frozen=True)
class Verdict:
    """One rater's view of one pair in one order."""

    prompt_id: str
    rater_id: str
    pair_id: str
    score: float
    """1 the new answer is better, 0.5 a tie, 0 the baseline's is better."""
    is_new_first: bool
    new_length: int
    """Characters."""
    baseline_length: int
    style: tuple[float, ...] = ()
    """How the answers differ in style, new - baseline (`feedback.arena.style_of`); empty where that was not kept."""


class WinRate(Record):
    """How often the new policy's answer is preferred."""

    win_rate: Estimate
    """Ties count half; 0.5 means no difference. The interval is over prompts: for these raters and no others."""
    length_controlled: Estimate
    """What it would be if both answers were equally long; see `is_extrapolated`."""
    over_raters: Estimate | None
    """The win rate with an interval that also holds over other raters; None for a single rater."""
    ties: float
    """Share of verdicts that are ties."""
    first_shown: Estimate
    """How often the answer shown first is preferred; 0.5 means no position bias."""
    swap_consistency: float | None
    """Share of pairs that a rater saw in both orders without contradicting themselves; None where nobody saw both."""
    new_is_longer: float
    """Share of verdicts on pairs whose new answer is longer."""
    new_is_shorter: float | None = None
    """The same of shorter ones; None in reports from before it was kept."""
    new_length: float
    """Mean characters."""
    baseline_length: float
    prompts: int
    raters: int
    verdicts: int

    @property
    def is_extrapolated(self) -> bool:
        """Whether hardly any answers are on one side of equal length, so that what is said of it was not seen."""
        return is_one_sided(self.new_is_longer, self.new_is_shorter)

    @property
    def headline(self) -> Estimate:
        """The win rate with the interval that promises least: over prompts and, where there are several, raters."""
        return self.over_raters or self.win_rate


def blind_tasks(pairs: Iterable[Pair], *, project: str = "evaluation") -> list[Task]:
    """Two tasks per pair, one for each order of showing, with origin and meta stripped from the answers."""
    tasks = []
    for pair in pairs:
        new, baseline = (_stripped(c) for c in (pair.new, pair.baseline))
        for shown in ((new, baseline), (baseline, new)):
            name = "ab-" + short(hash_json([pair.prompt.id, *(c.id for c in shown)]))
            tasks.append(Task(id=name, prompt=pair.prompt, completions=shown, purpose="evaluation", project=project))
    return tasks


def read_verdicts(pairs: Iterable[Pair], tasks: Iterable[Task], judgments: Iterable[Judgment]) -> list[Verdict]:
    """Turn judgments of `tasks` into verdicts. Judgments without a ranking, or of other tasks, are left out.

    An answer that was flagged unusable has no place in its ranking; it lies below those that have one.
    """
    shown = {task.id: task for task in tasks}
    known = {frozenset((pair.new.id, pair.baseline.id)): pair for pair in pairs}
    verdicts = []
    for judgment in judgments:
        task = shown.get(judgment.task_id)
        if task is None or judgment.ranking is None:
            continue
        pair = known[frozenset(c.id for c in task.completions)]
        rank, unusable = judgment.ranking.rank(), len(judgment.ranking.tiers)
        new, baseline = rank.get(pair.new.id, unusable), rank.get(pair.baseline.id, unusable)
        first = (judgment.order_shown or tuple(c.id for c in task.completions))[0]
        verdicts.append(
            Verdict(
                prompt_id=pair.prompt.id,
                rater_id=judgment.rater_id,
                pair_id=f"{pair.new.id}/{pair.baseline.id}",
                score=hit(baseline - new),
                is_new_first=first == pair.new.id,
                new_length=len(pair.new.text),
                baseline_length=len(pair.baseline.text),
                style=style_of(pair.new.text, pair.baseline.text),
            )
        )
    return verdicts


def read_scores(pairs: Iterable[Pair], tasks: Iterable[Task], judgments: Iterable[Judgment]) -> list[Score]:
    """Scores by criterion in judgments of `tasks`; the model of each is "before", the baseline, or "after"."""
    sides = {one.id: side for pair in pairs for one, side in ((pair.new, "after"), (pair.baseline, "before"))}
    facts = {
        task.id: replace(TaskFacts.of(task), models={c.id: sides[c.id] for c in task.completions}) for task in tasks
    }
    return Sheets.read(judgments, facts).scores


def write_verdicts(folder: Path, verdicts: Sequence[Verdict], *, are_people: bool) -> None:
    """Write verdicts.jsonl, a line per verdict; no file where there is none.

    In place of a person's id there is a hash of it with the pair: it tells raters of a pair apart, and follows nobody.
    """
    if are_people:
        verdicts = [replace(one, rater_id=short(hash_json([one.pair_id, one.rater_id]))) for one in verdicts]
    if verdicts:
        files.write_text(
            folder / VERDICTS, "".join(json.dumps(asdict(one)) + "\n" for one in verdicts), is_private=True
        )


def kept_verdicts(folder: Path) -> list[Verdict]:
    """What `write_verdicts` wrote; empty where there is no such file. Raises DataError for a line that is none."""
    path = folder / VERDICTS
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines() if path.is_file() else (), start=1):
        try:
            values = json.loads(line)
            found.append(Verdict(**{**values, "style": tuple(values.get("style", ()))}))
        except (ValueError, TypeError):
            raise DataError("no verdict; make it again with: assent run", path=path, line=number) from None
    return found


def win_rate(verdicts: Sequence[Verdict], *, confidence: float = 0.95) -> WinRate:
    """Everything there is to say about a blind comparison. Raises ValueError for fewer than two prompts."""
    from assent.evaluation.length_control import (
        length_controlled,  # where settings alone are read, nothing of scipy is loaded
    )

    if len({v.prompt_id for v in verdicts}) < 2:
        raise ValueError(f"a win rate wants verdicts on at least two prompts, got {len(verdicts)} verdicts")
    scores = np.array([v.score for v in verdicts])
    is_first = np.array([v.is_new_first for v in verdicts])
    lengths = np.array([[v.new_length, v.baseline_length] for v in verdicts], float)
    prompts, raters = [v.prompt_id for v in verdicts], [v.rater_id for v in verdicts]
    num_raters = len(set(raters))
    return WinRate(
        win_rate=clustered_share(scores, prompts, confidence=confidence),
        length_controlled=length_controlled(scores, lengths[:, 0] - lengths[:, 1], prompts, confidence=confidence),
        over_raters=two_way_share(scores, prompts, raters, confidence=confidence) if num_raters > 1 else None,
        ties=float((scores == 0.5).mean()),
        first_shown=clustered_share(np.where(is_first, scores, 1 - scores), prompts, confidence=confidence),
        swap_consistency=_swap_consistency(verdicts),
        new_is_longer=float((lengths[:, 0] > lengths[:, 1]).mean()),
        new_is_shorter=float((lengths[:, 0] < lengths[:, 1]).mean()),
        new_length=float(lengths[:, 0].mean()),
        baseline_length=float(lengths[:, 1].mean()),
        prompts=len(set(prompts)),
        raters=num_raters,
        verdicts=len(verdicts),
    )


def _swap_consistency(verdicts: Sequence[Verdict]) -> float | None:
    orders: dict[tuple[str, str], dict[bool, float]] = defaultdict(dict)
    for verdict in verdicts:
        orders[verdict.pair_id, verdict.rater_id][verdict.is_new_first] = verdict.score
    both = [seen for seen in orders.values() if len(seen) == 2]
    if not both:
        return None
    return math.fsum(abs(seen[True] - seen[False]) < 1 for seen in both) / len(both)


def _stripped(completion: Completion) -> Completion:
    return Completion(prompt_id=completion.prompt_id, text=completion.text, id=completion.id)
