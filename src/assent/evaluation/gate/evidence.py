"""Evidence: what was found of two policies, an outcome per item, as the gate reads it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from assent.core.errors import DataError
from assent.core.hashing import hash_json, short
from assent.evaluation.catalog import SUITES
from assent.evaluation.length_control import length_controlled
from assent.evaluation.outcomes import OF_REWARD, Found, Kind, Outcome
from assent.evaluation.report import EvaluationReport, Judge, KnownJudge, read_samples
from assent.evaluation.reward_report import REWARD_KINDS
from assent.evaluation.suites import lab
from assent.evaluation.suites.config import OwnConfig
from assent.evaluation.suites.team import criterion
from assent.evaluation.winrate import kept_verdicts
from assent.lab.truth import AXES
from assent.stats.estimate import Estimate

WINRATE, LAB, ANSWERS, REWARD = "winrate", "lab", "answers", "reward"
OWN = (WINRATE, LAB, ANSWERS, REWARD)
"""What a run gives without a suite: its blind evaluation, the lab's truth, and its reward model on held-out pairs."""
_LONGER = "longer"


def _length_controlled(outcomes: Sequence[Outcome], confidence: float) -> Estimate:
    judged = [one for one in outcomes if "win_rate" in one.values]
    scores, longer = (np.array([one.values[name] for one in judged]) for name in ("win_rate", _LONGER))
    return length_controlled(scores, longer, [one.cluster for one in judged], confidence=confidence)


def distinct_words(outcomes: Sequence[Outcome]) -> float | None:
    """Different words over the square root of all words (Guiraud 1954), which depends little on how many there are."""
    words = [word for one in outcomes for word in one.answer.lower().split()]
    return len(set(words)) / math.sqrt(len(words)) if words else None


def _lab_kind(name: str) -> Kind:
    way = None if name in lab.NEITHER_IS_BETTER else name in lab.LOWER_IS_BETTER
    return Kind(f"The lab's truth: {name.replace('_', ' ')}.", way, None if name == "mean_length" else (0.0, 1.0))


KINDS: Mapping[str, Mapping[str, Kind]] = {
    **{suite.kind: suite.kinds for suite in SUITES},
    WINRATE: {
        "win_rate": Kind("Share of verdicts for the new policy's answer, ties half."),
        "length_controlled": Kind("What that would be if both answers were equally long.", interval=_length_controlled),
    },
    LAB: {name: _lab_kind(name) for name in (*AXES, "harm", "mean_length")},
    REWARD: REWARD_KINDS,
    ANSWERS: {
        "length": Kind("Characters of an answer.", lower_is_better=None, range=None),
        "empty": Kind("Share of answers without a word.", lower_is_better=True),
        "repeated": Kind(
            "Share of answers that were given to an earlier prompt already, word for word.", lower_is_better=True
        ),
        "distinct_words": Kind(
            "Different words over the square root of all words.", range=None, statistic=distinct_words
        ),
    },
}
"""Kind of suite -> measure -> what it is."""
AGAINST: Mapping[str, float] = {WINRATE: 0.5}
"""Suites that measure both policies together, and what "no difference" is there."""


def kinds_of(suite: str) -> Mapping[str, Kind]:
    """What the measures of a kind of suite are. Raises DataError for one that this version does not know."""
    if suite not in KINDS:
        raise DataError(f"no suite of this version is of kind {suite!r}; measure it again")
    return KINDS[suite]


@dataclass(frozen=True)
class Compared:
    """What one suite found of both policies."""

    after: Found
    before: Found | None = None
    """None where the suite measures both together, or the old policy was not examined."""

    def __post_init__(self) -> None:
        if self.before is not None and self.before.source != self.after.source:
            raise DataError(
                f"{self.after.suite}: {self.before.subject} and {self.after.subject} were asked other items; measure"
                " both anew"
            )

    @property
    def kind(self) -> str:
        """Kind of the suite."""
        return self.after.kind or self.after.suite.removesuffix(OF_REWARD)

    @property
    def kinds(self) -> Mapping[str, Kind]:
        """What its measures are. Raises DataError for a suite that this version does not know."""
        kinds = kinds_of(self.kind)
        if self.kind != OwnConfig.model_fields["kind"].default:
            return kinds
        # A team's own suite has a measure for each of its criteria, which only its outcomes name.
        names = dict.fromkeys(name for one in self.after.outcomes for name in one.values)
        return {**kinds, **{name: criterion(name) for name in names if name not in kinds}}

    @property
    def against(self) -> float | None:
        """What a measure of both policies together is held against."""
        return AGAINST.get(self.kind)

    def of_group(self, group: str) -> Compared:
        """The same of one slice."""
        if not group:
            return self
        return Compared(_of_group(self.after, group), None if self.before is None else _of_group(self.before, group))


@dataclass(frozen=True)
class Evidence:
    """Everything that a gate looks at."""

    after: str
    """The policy that wants to be released."""
    before: str
    """The one it is held against."""
    suites: Mapping[str, Compared]
    """By title."""
    judge: Judge | None = None
    """Who compared the answers."""
    known_judge: KnownJudge | None = None
    """What is known of a judge that is no person."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Where it comes from: settings, seeds, hashes of data and weights."""

    @property
    def hash(self) -> str:
        """Of all outcomes and of who judged."""
        found = {
            title: [_rows(one.after), None if one.before is None else _rows(one.before)]
            for title, one in self.suites.items()
        }
        judges = [None if one is None else one.model_dump(mode="json") for one in (self.judge, self.known_judge)]
        return short(hash_json([found, judges]))


def of_evaluation(folder: Path) -> tuple[dict[str, Compared], EvaluationReport]:
    """What a blind evaluation's folder holds, outcome by outcome, and its report for who judged.

    Numbers of the report are not looked at, and people's names do not go along.

    Raises DataError where a file cannot be read.
    """
    samples, report = read_samples(folder), EvaluationReport.read(folder)
    found = {ANSWERS: Compared(_answers(samples, "after"), _answers(samples, "before"))}
    if any(row.get("truth_after") for row in samples):
        found[LAB] = Compared(_truths(samples, "after"), _truths(samples, "before"))
    if report.win_rate is None or report.judge is None:
        return found, report
    verdicts = kept_verdicts(folder)
    unjudged = len(samples) - len({one.prompt_id for one in verdicts}) if verdicts else 0
    outcomes = [
        Outcome(
            item=short(hash_json([one.pair_id, one.rater_id, one.is_new_first])),
            cluster=one.prompt_id,
            values={"win_rate": one.score, _LONGER: float(one.new_length - one.baseline_length)},
            group="" if report.judge.kind == "people" else one.rater_id,
        )
        for one in verdicts
    ] or [
        # An evaluation from before verdicts were kept: what all verdicts on a prompt say together.
        Outcome(
            item=str(i),
            cluster=row["prompt"],
            values={"win_rate": row["preferred"], _LONGER: float(len(row["after"]) - len(row["before"]))},
        )
        for i, row in enumerate(samples)
        if row.get("preferred") is not None
    ]
    # Prompts on which every judge abstained: asked, and not read.
    outcomes += [Outcome(item=f"unjudged {i}", cluster=f"unjudged {i}", values={}) for i in range(unjudged)]
    found[WINRATE] = Compared(_found(WINRATE, "after", outcomes))
    return found, report


def _found(kind: str, subject: str, outcomes: Sequence[Outcome]) -> Found:
    source = short(hash_json([[one.item, one.prompt] for one in outcomes]))
    return Found(suite=kind, subject=subject, source=source, kind=kind, outcomes=tuple(outcomes))


def _outcome(row: Mapping[str, Any], number: int, values: dict[str, float], answer: str = "") -> Outcome:
    prompt = str(row["prompt"])
    group = str(row.get("kind") or "")
    return Outcome(item=str(number), cluster=prompt, values=values, group=group, prompt=prompt, answer=answer)


def _answers(samples: Sequence[Mapping[str, Any]], side: str) -> Found:
    """What every answer shows by itself, and whether it was given to an earlier prompt: more prompts change no item."""
    outcomes: list[Outcome] = []
    first: dict[str, str] = {}
    for i, row in enumerate(samples):
        text, prompt = str(row[side]), str(row["prompt"])
        is_repeated = first.setdefault(" ".join(text.split()), prompt) != prompt
        values = {"length": float(len(text)), "empty": float(not text.strip()), "repeated": float(is_repeated)}
        outcomes.append(_outcome(row, i, values, text))
    return _found(ANSWERS, side, outcomes)


def _truths(samples: Sequence[Mapping[str, Any]], side: str) -> Found:
    """The lab's truth of every answer; length in words."""
    outcomes = []
    for i, row in enumerate(samples):
        truth = row.get(f"truth_{side}")
        read = {name: lab.truth_value(truth, name, kind=row.get("kind")) for name in KINDS[LAB]}
        values = {name: value for name, value in read.items() if value is not None}
        outcomes.append(_outcome(row, i, {**values, "mean_length": float(len(str(row[side]).split()))}))
    return _found(LAB, side, outcomes)


def _of_group(found: Found, group: str) -> Found:
    return found.model_copy(update={"outcomes": tuple(one for one in found.outcomes if one.group == group)})


def _rows(found: Found) -> list[Any]:
    return [[one.item, one.cluster, one.values, one.group] for one in found.outcomes]
