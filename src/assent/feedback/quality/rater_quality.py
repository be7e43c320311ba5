"""Rater by rater: agreement with others, gold, own repeats, reading pace, leans, ties, flags; each with its interval.

Nothing here is a verdict. Who differs is not thereby wrong, and a few judgments say nothing: every share carries the
interval it deserves, and a sign is raised only where the whole interval lies beyond what is usual in the same project.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import median
from typing import Literal

from assent.core.types import Judgment, Ranking
from assent.feedback.quality.ballots import Hit, Said, hits, pair_values, shared, votes
from assent.feedback.quality.facts import TaskFacts
from assent.stats.clustered import cautious_share
from assent.stats.estimate import Estimate

HASTY_WORDS_PER_MINUTE = 900.0
"""Nobody reads faster, in any language; scripts without spaces are counted so that it holds for them too."""
MIN_TASKS = 10
"""With fewer tasks behind a share no sign is raised."""
LEAN_MARGIN, HASTY_SHARE, TIES_SHARE = 0.05, 0.2, 0.6

Sign = Literal["differs", "opposes", "misses_gold", "inconsistent", "hasty", "leans_position", "leans_length", "ties"]
"""differs: below the agreement usual here. opposes: against the others more often than with them."""


@dataclass(frozen=True)
class RaterQuality:
    """What one rater's judgments show."""

    rater_id: str
    judgments: int
    skipped: int
    agreement: Estimate | None = None
    """Decided votes that go with the majority of the other raters (leave one out)."""
    gold: Estimate | None = None
    """Pairs of gold tasks ordered as their known answer says; a tie counts half."""
    consistency: Estimate | None = None
    """Pairs said alike when the same task came again."""
    ties: Estimate | None = None
    """Pairs tied."""
    first_shown: Estimate | None = None
    """Decided pairs with the answer shown first that it won; orders are drawn, so half is fair."""
    longer: Estimate | None = None
    """Decided pairs of unlike length that the longer answer won; what is usual here is the measure."""
    seconds: float | None = None
    """Median active seconds per judgment."""
    pace: float | None = None
    """Median words per minute over conversation and answers."""
    usual_pace: float | None = None
    """Median pace of raters of the same language."""
    hasty: Estimate | None = None
    """Judgments made faster than anybody reads."""
    flags: Mapping[str, Estimate] = field(default_factory=dict)
    """Answers given each flag."""
    signs: tuple[Sign, ...] = ()


@dataclass(frozen=True)
class Bench:
    """What quality is read from: current judgments, and what is known of their tasks."""

    judgments: Sequence[Judgment]
    facts: Mapping[str, TaskFacts]
    gold: Mapping[str, Ranking] = field(default_factory=dict)
    repeats: Mapping[str, str] = field(default_factory=dict)
    """Task that was shown again -> the task it repeats."""
    languages: Mapping[str, str] = field(default_factory=dict)
    """Rater -> language."""

    @cached_property
    def rankings(self) -> list[Said]:
        """Every ranking of ordinary tasks: gold and repeats measure raters, not the answers."""
        return [
            Said(j.rater_id, self.facts[j.task_id].prompt_id, j.ranking, j)
            for j in self.judgments
            if j.ranking is not None
            and j.task_id in self.facts
            and j.task_id not in self.gold
            and j.task_id not in self.repeats
        ]


def rater_quality(bench: Bench) -> list[RaterQuality]:
    """Quality of every rater who said anything, most judgments first."""
    of_rater: dict[str, list[Judgment]] = {}
    for judgment in bench.judgments:
        of_rater.setdefault(judgment.rater_id, []).append(judgment)
    met: dict[str, list[Hit]] = {}
    for hit in hits(votes(shared(bench.rankings))):
        met.setdefault(hit.rater_id, []).append(hit)
    paces = {rater: _paces(said, bench.facts) for rater, said in of_rater.items()}
    plain = [_plain(rater, said, met.get(rater, []), paces[rater], bench) for rater, said in of_rater.items()]
    usual, usual_paces = _Usual.of(plain), _usual_paces(plain, bench.languages)
    finished = [_finish(one, usual, usual_paces.get(bench.languages.get(one.rater_id))) for one in plain]
    return sorted(finished, key=lambda q: (-q.judgments, q.rater_id))


def _plain(rater: str, said: Sequence[Judgment], met: Sequence[Hit], paces: Sequence[float], b: Bench) -> RaterQuality:
    spoken = [j for j in said if j.ranking is not None or j.flags or j.scores or j.critique or j.notes or j.edits]
    ranked = [(j, pair_values(j.ranking)) for j in said if j.ranking is not None]
    seconds = [j.seconds for j in spoken if j.seconds is not None]
    return RaterQuality(
        rater_id=rater,
        judgments=len(spoken),
        skipped=len(said) - len(spoken),
        agreement=cautious_share((hit.prompt_id, hit.value) for hit in met),
        gold=cautious_share(gold_hits(said, b.gold)),
        consistency=cautious_share(_repeat_hits(said, b.repeats)),
        ties=cautious_share((j.task_id, float(value == 0)) for j, values in ranked for value in values.values()),
        first_shown=cautious_share(_first_wins(ranked)),
        longer=cautious_share(_longer_wins(ranked, b.facts)),
        seconds=median(seconds) if seconds else None,
        pace=median(paces) if paces else None,
        hasty=cautious_share((i, float(pace > HASTY_WORDS_PER_MINUTE)) for i, pace in enumerate(paces)),
        flags=_flag_shares(spoken, b.facts),
    )


@dataclass(frozen=True)
class _Usual:
    """Medians over raters: what is usual in this project."""

    agreement: float | None
    gold: float | None
    consistency: float | None
    longer: float | None

    @classmethod
    def of(cls, everyone: Sequence[RaterQuality]) -> _Usual:
        def middle(values: Iterable[Estimate | None]) -> float | None:
            found = [v.estimate for v in values if v is not None and _is_enough(v)]
            return median(found) if found else None

        return cls(
            middle(q.agreement for q in everyone),
            middle(q.gold for q in everyone),
            middle(q.consistency for q in everyone),
            middle(q.longer for q in everyone),
        )


def _finish(one: RaterQuality, usual: _Usual, usual_pace: float | None) -> RaterQuality:
    raised: dict[Sign, bool] = {
        "differs": _below(one.agreement, usual.agreement),
        "opposes": _below(one.agreement, 0.5),
        "misses_gold": _below(one.gold, usual.gold) or _below(one.gold, 0.5),
        "inconsistent": _below(one.consistency, usual.consistency),
        "hasty": _above(one.hasty, HASTY_SHARE),
        "leans_position": _above(one.first_shown, 0.5 + LEAN_MARGIN) or _below(one.first_shown, 0.5 - LEAN_MARGIN),
        "leans_length": usual.longer is not None
        and (_above(one.longer, usual.longer + LEAN_MARGIN) or _below(one.longer, usual.longer - LEAN_MARGIN)),
        "ties": _above(one.ties, TIES_SHARE),
    }
    signs = tuple(sign for sign, is_raised in raised.items() if is_raised)
    return RaterQuality(**{**one.__dict__, "usual_pace": usual_pace, "signs": signs})


def _is_enough(found: Estimate) -> bool:
    return found.n is not None and found.n >= MIN_TASKS


def _below(found: Estimate | None, level: float | None) -> bool:
    return found is not None and level is not None and _is_enough(found) and found.high < level


def _above(found: Estimate | None, level: float | None) -> bool:
    return found is not None and level is not None and _is_enough(found) and found.low > level


def gold_hits(said: Iterable[Judgment], gold: Mapping[str, Ranking]) -> Iterable[tuple[str, float]]:
    """Each pair that a known answer orders, by task: 1 where it was ordered so, a half where it was tied."""
    for judgment in said:
        known = gold.get(judgment.task_id)
        if judgment.ranking is None or known is None:
            continue
        truth, found = pair_values(known), pair_values(judgment.ranking)
        for pair in truth.keys() & found.keys():
            if truth[pair]:
                yield judgment.task_id, (1 + truth[pair] * found[pair]) / 2


def _repeat_hits(said: Sequence[Judgment], repeats: Mapping[str, str]) -> Iterable[tuple[str, float]]:
    first = {j.task_id: j.ranking for j in said if j.ranking is not None}
    for judgment in said:
        before = first.get(repeats.get(judgment.task_id, ""))
        if judgment.ranking is not None and before is not None:
            once, again = pair_values(before), pair_values(judgment.ranking)
            for pair in once.keys() & again.keys():
                yield judgment.task_id, float(once[pair] == again[pair])


def _first_wins(ranked: Iterable[tuple[Judgment, Mapping[tuple[str, str], int]]]) -> Iterable[tuple[str, float]]:
    for judgment, values in ranked:
        first = judgment.order_shown[0] if judgment.order_shown else None
        for (one, other), value in values.items():
            if value and first in (one, other):
                yield judgment.task_id, float((value > 0) == (first == one))


def _longer_wins(
    ranked: Iterable[tuple[Judgment, Mapping[tuple[str, str], int]]], facts: Mapping[str, TaskFacts]
) -> Iterable[tuple[str, float]]:
    for judgment, values in ranked:
        words = facts[judgment.task_id].answer_words if judgment.task_id in facts else {}
        for (one, other), value in values.items():
            gap = words.get(one, 0) - words.get(other, 0)
            if value and gap:
                yield judgment.task_id, float((value > 0) == (gap > 0))


def _flag_shares(said: Iterable[Judgment], facts: Mapping[str, TaskFacts]) -> dict[str, Estimate]:
    given: dict[str, list[tuple[str, float]]] = {}
    known = [j for j in said if j.task_id in facts]
    for flag in sorted({flag for j in known for flags in j.flags.values() for flag in flags}):
        given[flag] = [
            (j.task_id, float(flag in j.flags.get(answer, ())))
            for j in known
            for answer in facts[j.task_id].answer_words
        ]
    return {flag: found for flag, values in given.items() if (found := cautious_share(values)) is not None}


def _paces(said: Iterable[Judgment], facts: Mapping[str, TaskFacts]) -> list[float]:
    """Words per minute of every judgment whose time is known; none for tasks of no words."""
    return [
        60 * facts[j.task_id].words / j.seconds
        for j in said
        if j.skip_reason is None and j.seconds and j.task_id in facts and facts[j.task_id].words
    ]


def _usual_paces(everyone: Iterable[RaterQuality], languages: Mapping[str, str]) -> dict[str | None, float]:
    """Language, or None where it is not known -> the median pace of its raters."""
    found: dict[str | None, list[float]] = {}
    for one in everyone:
        if one.pace is not None:
            found.setdefault(languages.get(one.rater_id), []).append(one.pace)
    return {language: median(paces) for language, paces in found.items()}
