"""Tasks on which raters disagree most, for somebody to decide."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from assent.core.types import Judgment
from assent.feedback.quality.ballots import Said, distance
from assent.feedback.quality.facts import TaskFacts

CALM = 0.2
"""Below this distance raters are said to agree: in a ranking of four, one pair of six the other way round."""


@dataclass(frozen=True)
class Dispute:
    """One prompt's answers, ranked by several raters who do not agree."""

    task_id: str
    """The task whose decision counts for all that hold the same answers."""
    opening: str
    distance: float
    """Mean over every two raters: share of pairs ordered differently, a tie against a decision half."""
    judgments: tuple[Judgment, ...]
    split_flags: tuple[str, ...] = ()
    """Flags that some raters gave to an answer and others did not."""

    @property
    def raters(self) -> int:
        """How many people said something about it."""
        return len({judgment.rater_id for judgment in self.judgments})

    @property
    def weight(self) -> float:
        """What it is sorted by: disagreement about unsafe weighs like a reversed order."""
        return max(self.distance, 1.0 if "unsafe" in self.split_flags else 0.5 if self.split_flags else 0.0)


def disputes(
    judgments: Iterable[Judgment], facts: Mapping[str, TaskFacts], *, decided: Collection[str] = ()
) -> list[Dispute]:
    """Undecided disputes, the worst first; more raters first where they are equally far apart."""
    settled = frozenset(decided)
    groups: dict[tuple[str, frozenset[str]], list[Judgment]] = {}
    for judgment in judgments:
        known = facts.get(judgment.task_id)
        if known is not None and (judgment.ranking is not None or judgment.flags):
            groups.setdefault((known.prompt_id, frozenset(known.answer_words)), []).append(judgment)
    found = []
    for said in groups.values():
        tasks = {j.task_id for j in said}
        if tasks & settled or len({j.rater_id for j in said}) < 2:
            continue
        dispute = _dispute(_one_each(said), facts)
        if dispute.weight > CALM:
            found.append(dispute)
    return sorted(found, key=lambda d: (-d.weight, -d.distance, -d.raters, d.task_id))


def _one_each(said: Sequence[Judgment]) -> list[Judgment]:
    """One judgment per rater: a repeat is a rater's second look at what they have judged."""
    first: dict[str, Judgment] = {}
    for judgment in sorted(said, key=lambda j: (j.task_id, j.id)):
        first.setdefault(judgment.rater_id, judgment)
    return list(first.values())


def _dispute(said: Sequence[Judgment], facts: Mapping[str, TaskFacts]) -> Dispute:
    by_task = sorted({j.task_id for j in said}, key=lambda t: (-sum(j.task_id == t for j in said), t))
    known = facts[by_task[0]]
    ranked = [Said(j.rater_id, known.prompt_id, j.ranking, j) for j in said if j.ranking is not None]
    gaps = [distance(a.values, b.values) for a, b in combinations(ranked, 2)]
    known_gaps = [gap for gap in gaps if gap is not None]
    return Dispute(
        task_id=by_task[0],
        opening=known.opening,
        distance=sum(known_gaps) / len(known_gaps) if known_gaps else 0.0,
        judgments=tuple(said),
        split_flags=_split_flags(said, known),
    )


def _split_flags(said: Sequence[Judgment], known: TaskFacts) -> tuple[str, ...]:
    split = set()
    for answer in known.answer_words:
        for flag in {flag for j in said for flag in j.flags.get(answer, ())}:
            if not all(flag in j.flags.get(answer, ()) for j in said):
                split.add(flag)
    return tuple(sorted(split))
