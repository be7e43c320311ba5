"""A look at data before training on them: how much, how long, how repetitive, and what the rankings are made of.

Items are read once, in order, and none is held: of each stay its lengths, the hash of what it says, and its shingles.
"""

from __future__ import annotations

import heapq
import json
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from assent.core.shown import turns_shown
from assent.core.types import Comparison, Completion, Conversation, Judgment, Prompt, said_in
from assent.data.duplicates import THRESHOLD, near_among
from assent.data.formats import kind_of
from assent.data.render import Renderer
from assent.data.shingling import Shingled, hash_text
from assent.data.splits import LeakReport, leakage, prompt_text

Item = Prompt | Conversation | Comparison
_PERCENTILES = (0, 5, 50, 95, 100)
_WORST = 5


@dataclass(frozen=True)
class Lengths:
    """Percentiles 0, 5, 50, 95, 100 and the mean of one length."""

    minimum: float
    low: float
    median: float
    high: float
    maximum: float
    mean: float


@dataclass(frozen=True)
class Share:
    """A count out of a total; `value` is None where there is nothing to count."""

    count: int
    total: int

    @property
    def value(self) -> float | None:
        """The share."""
        return self.count / self.total if self.total else None

    def __str__(self) -> str:
        return f"{self.count / self.total:.1%} ({self.count} of {self.total})" if self.total else "nothing to count"


@dataclass(frozen=True)
class Rankings:
    """What the judgments of comparisons are made of."""

    answers: Mapping[int, int]
    """K -> comparisons with K answers."""
    judgments: Mapping[int, int]
    """Number of judgments -> comparisons with so many."""
    raters: Mapping[str, int]
    """rater -> judgments, busiest first."""
    ties: Share
    """Tied pairs among all pairs that judgments imply."""
    unranked: int
    """Judgments without a ranking (flags or skips)."""
    longer_wins: Share
    """Pairs that the majority decided, the longer answer's way; a reward model has to beat this."""
    against_scores: Share
    """Ranked pairs of which the worse answer has the higher overall score, among those whose answers both have one."""
    equal_scores: Share
    """Ranked pairs whose answers have the same overall score."""


@dataclass(frozen=True)
class DataReport:
    """Everything `assent data inspect` shows."""

    kind: str
    num_items: int
    num_prompts: int
    """Distinct prompts, after normalization."""
    num_copies: int
    """Items that repeat an earlier item word for word."""
    num_near: int
    """Pairs of distinct prompts that nearly say the same."""
    lengths: Mapping[str, Lengths]
    """What was measured, in which unit ("answer words") -> its percentiles."""
    rankings: Rankings | None
    leakage: LeakReport | None
    offenders: tuple[str, ...]
    """The longest, shortest and most alike items, each in one line."""

    def lines(self) -> list[str]:
        """The report as plain text."""
        said = [
            f"{self.num_items} {self.kind}s, {self.num_prompts} distinct prompts, "
            f"{self.num_copies} copies, {self.num_near} near-duplicate pairs of prompts"
        ]
        for name, found in self.lengths.items():
            numbers = (found.minimum, found.low, found.median, found.high, found.maximum)
            said.append(
                f"{name}: min·5%·50%·95%·max " + " · ".join(f"{n:.0f}" for n in numbers) + f", mean {found.mean:.1f}"
            )
        if self.rankings is not None:
            said += _ranking_lines(self.rankings)
        if self.leakage is not None:
            said += self.leakage.lines()
        return said + list(self.offenders)


def inspect(
    items: Sequence[Item],
    renderer: Renderer | None = None,
    *,
    against: Sequence[Item] | None = None,
    threshold: float = THRESHOLD,
    on_item: Callable[[], None] = lambda: None,
) -> DataReport:
    """Report on items of one kind (at least one). Lengths in tokens need a renderer.

    `against` is training data: then items of this set that stand there too are reported. `on_item` is called for each
    item that was read.
    """
    if not len(items):
        raise ValueError("inspect wants at least one item")
    look = _Look(renderer)
    held = Shingled.of(look.prompts(items, on_item))
    near = near_among(held, threshold=threshold)
    alike = [
        (pair.similarity, *(_snippet(prompt_text(items[n])) for n in (pair.first, pair.second)))
        for pair in near[:_WORST]
    ]
    return DataReport(
        kind=kind_of(items[0]),
        num_items=len(items),
        num_prompts=len(held.distinct),
        num_copies=len(items) - len(np.unique(look.said)),
        num_near=len(near),
        lengths=look.lengths(),
        rankings=look.rankings.found() if look.rankings.answers else None,
        leakage=None if against is None else leakage(against, items, threshold=threshold),
        offenders=(*look.offenders(), *(f"alike ({share:.2f}): {one} | {other}" for share, one, other in alike)),
    )


def longer_wins(comparisons: Iterable[Comparison]) -> Share:
    """How often the majority of judgments prefers the longer (in characters) of two answers of different length.

    Pairs on which votes are even are left out.
    """
    tally = _RankingTally()
    for comparison in comparisons:
        tally.add(comparison)
    return tally.found().longer_wins


class _Look:
    """What is known of items, filled in while they are read."""

    def __init__(self, renderer: Renderer | None) -> None:
        self._renderer = renderer
        self._lengths: dict[str, array[int]] = defaultdict(lambda: array("q"))
        self._longest: list[tuple[int, int, str]] = []
        self._shortest: list[tuple[int, int, str]] = []
        self.said = array("Q")
        """Of each item the hash of all that was said in it."""
        self.rankings = _RankingTally()

    def prompts(self, items: Iterable[Item], on_item: Callable[[], None]) -> Iterator[str]:
        """The prompt of each item, which is looked at meanwhile."""
        for place, item in enumerate(items):
            prompt, answers = prompt_text(item), _answers(item)
            self.said.append(hash_text(_content(item)))
            of = (("prompt", [prompt]), ("answer", answers))
            for what, texts in of:
                self._lengths[f"{what} words"].extend(len(text.split()) for text in texts)
            for what, texts in of:
                self._lengths[f"{what} characters"].extend(map(len, texts))
            if self._renderer is not None:
                self._count_tokens(item, self._renderer)
            size = len(prompt) + max(map(len, answers), default=0)
            _push(self._longest, (size, place, prompt))
            for text in answers:
                _push(self._shortest, (-len(text), -place, prompt))
            if isinstance(item, Comparison):
                self.rankings.add(item)
            on_item()
            yield prompt

    def lengths(self) -> dict[str, Lengths]:
        """What was measured; nothing of answers where there are none."""
        return {name: _percentiles(values) for name, values in self._lengths.items() if values}

    def offenders(self) -> list[str]:
        """The longest items and the shortest answers, each in one line."""
        longest = [
            f"longest: item {n + 1}, {size} characters: {_snippet(text)}"
            for size, n, text in sorted(self._longest, reverse=True)
        ]
        return longest + [
            f"shortest answer: item {1 - n}, {-size} characters: {_snippet(text)}"
            for size, n, text in sorted(self._shortest, reverse=True)
        ]

    def _count_tokens(self, item: Item, renderer: Renderer) -> None:
        prompt, rows = _tokens(item, renderer)
        self._lengths["prompt tokens"].append(prompt)
        self._lengths["answer tokens"].extend(rows)
        self._lengths["row tokens"].extend([prompt + max(rows)] if rows else [])


@dataclass
class _RankingTally:
    """Counts over comparisons, one after another."""

    answers: Counter[int] = field(default_factory=Counter)
    judgments: Counter[int] = field(default_factory=Counter)
    raters: Counter[str] = field(default_factory=Counter)
    pairs: Counter[bool] = field(default_factory=Counter)
    """Implied pairs, by whether they are ties."""
    longer: Counter[bool] = field(default_factory=Counter)
    """Pairs that the majority decided, by whether the longer answer won."""
    gaps: Counter[int] = field(default_factory=Counter)
    """Ranked pairs whose answers have overall scores, by the sign of the better one's minus the worse one's."""
    unranked: int = 0

    def add(self, comparison: Comparison) -> None:
        """Count one more."""
        self.answers[len(comparison.completions)] += 1
        self.judgments[len(comparison.judgments)] += 1
        for judgment in comparison.judgments:
            self.raters[judgment.rater_id] += 1
            self.unranked += judgment.ranking is None
            self.gaps.update((gap > 0) - (gap < 0) for gap in _score_gaps(judgment))
        self.pairs.update(is_tie for _, _, is_tie in _implied(comparison.judgments))
        length = {answer.id: len(answer.text) for answer in comparison.completions}
        for (one, other), votes in _votes(comparison).items():
            if votes and length[one] != length[other]:
                self.longer[(votes > 0) == (length[one] > length[other])] += 1

    def found(self) -> Rankings:
        """What was counted."""
        return Rankings(
            answers=dict(sorted(self.answers.items())),
            judgments=dict(sorted(self.judgments.items())),
            raters=dict(self.raters.most_common()),
            ties=Share(self.pairs[True], self.pairs.total()),
            unranked=self.unranked,
            longer_wins=Share(self.longer[True], self.longer.total()),
            against_scores=Share(self.gaps[-1], self.gaps.total()),
            equal_scores=Share(self.gaps[0], self.gaps.total()),
        )


def _push(kept: list[tuple[int, int, str]], one: tuple[int, int, str]) -> None:
    """Keep the largest few."""
    (heapq.heappush if len(kept) < _WORST else heapq.heappushpop)(kept, one)


def _votes(comparison: Comparison) -> dict[tuple[str, str], int]:
    """(one, other) in the order of the completions -> judgments for one minus judgments for other."""
    place = {answer.id: n for n, answer in enumerate(comparison.completions)}
    votes: Counter[tuple[str, str]] = Counter()
    for better, worse, is_tie in _implied(comparison.judgments):
        if not is_tie:
            if place[better] < place[worse]:
                votes[better, worse] += 1
            else:
                votes[worse, better] -= 1
    return dict(votes)


def _implied(judgments: Sequence[Judgment]) -> Iterator[tuple[str, str, bool]]:
    for judgment in judgments:
        if judgment.ranking is not None:
            yield from judgment.ranking.pairs()


def _score_gaps(judgment: Judgment) -> list[float]:
    """The overall score of the better answer minus that of the worse, of every ranked pair whose answers have both."""
    scores = {answer: given["overall"] for answer, given in judgment.scores.items() if "overall" in given}
    if judgment.ranking is None or len(scores) < 2:
        return []
    pairs = judgment.ranking.pairs()
    return [scores[a] - scores[b] for a, b, is_tie in pairs if not is_tie and {a, b} <= scores.keys()]


def _ranking_lines(found: Rankings) -> list[str]:
    busiest = ", ".join(f"{rater} {count}" for rater, count in list(found.raters.items())[:_WORST])
    return [
        "answers per comparison: " + ", ".join(f"K={k}: {n}" for k, n in found.answers.items()),
        "judgments per comparison: " + ", ".join(f"{k}: {n}" for k, n in found.judgments.items()),
        f"raters: {len(found.raters)} (most judgments: {busiest})",
        f"ties: {found.ties}",
        f"longer wins: {found.longer_wins}",
        *([f"scores contradict the ranking: {found.against_scores}"] if found.against_scores.total else []),
        *([f"scores equal where one answer won: {found.equal_scores}"] if found.equal_scores.total else []),
        *([f"judgments without a ranking: {found.unranked}"] if found.unranked else []),
    ]


def _tokens(item: Item, renderer: Renderer) -> tuple[int, list[int]]:
    """Tokens of the prompt, and of each row after it."""
    if isinstance(item, Prompt):
        return len(renderer.prompt(item)), []
    if isinstance(item, Conversation):
        group = max(renderer.demonstration(item), key=lambda found: found.num_tokens)
    else:
        group = renderer.group(item.prompt, [answer.text for answer in item.completions])
    return len(group.prompt), [len(continuation) for continuation in group.continuations]


def _percentiles(values: array[int]) -> Lengths:
    minimum, low, median, high, maximum = (float(v) for v in np.percentile(values, _PERCENTILES))
    return Lengths(minimum, low, median, high, maximum, float(np.mean(values)))


def _answers(item: Item) -> list[str]:
    if isinstance(item, Comparison):
        return [answer.text for answer in item.completions]
    if isinstance(item, Conversation):
        spoken = [turn for turn in item.messages if turn.role == "assistant"]
        return ["\n".join(one.text for one in turns_shown([turn])) for turn in spoken]
    return []


def _content(item: Item) -> str:
    """What makes two items the same: all that was said, ids left out."""
    answers: tuple[Completion, ...] = item.completions if isinstance(item, Comparison) else ()
    said = said_in(item.prompt if isinstance(item, Comparison) else item)
    return json.dumps([said, sorted(answer.text for answer in answers)])


def _snippet(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 60 else flat[:57] + "..."
