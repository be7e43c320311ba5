"""A look at data before training on them: how much, how long, how repetitive, and what the rankings are made of."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from assent.core.shown import turns_shown
from assent.core.types import Comparison, Completion, Conversation, Judgment, Prompt, said_in
from assent.data.duplicates import THRESHOLD, exact_groups, near_pairs
from assent.data.formats import kind_of
from assent.data.render import Renderer
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
) -> DataReport:
    """Report on items of one kind (at least one). Lengths in tokens need a renderer.

    `against` is training data: then items of this set that stand there too are reported.
    """
    if not items:
        raise ValueError("inspect wants at least one item")
    prompts = [prompt_text(item) for item in items]
    near = near_pairs(prompts, threshold=threshold)
    copies = Counter(_content(item) for item in items)
    comparisons = [item for item in items if isinstance(item, Comparison)]
    return DataReport(
        kind=kind_of(items[0]),
        num_items=len(items),
        num_prompts=len(exact_groups(prompts)),
        num_copies=len(items) - len(copies),
        num_near=len(near),
        lengths=_lengths(items, prompts, renderer),
        rankings=_rankings(comparisons) if comparisons else None,
        leakage=None if against is None else leakage(against, items, threshold=threshold),
        offenders=(
            *_extremes(items),
            *(
                f"alike ({pair.similarity:.2f}): {_snippet(prompts[pair.first])} | {_snippet(prompts[pair.second])}"
                for pair in near[:_WORST]
            ),
        ),
    )


def longer_wins(comparisons: Sequence[Comparison]) -> Share:
    """How often the majority of judgments prefers the longer (in characters) of two answers of different length.

    Pairs on which votes are even are left out.
    """
    wins = total = 0
    for comparison in comparisons:
        length = {answer.id: len(answer.text) for answer in comparison.completions}
        for (one, other), votes in _votes(comparison).items():
            if votes and length[one] != length[other]:
                total += 1
                wins += (votes > 0) == (length[one] > length[other])
    return Share(wins, total)


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


def _rankings(comparisons: Sequence[Comparison]) -> Rankings:
    judgments = [judgment for comparison in comparisons for judgment in comparison.judgments]
    pairs = [is_tie for _, _, is_tie in _implied(judgments)]
    gaps = score_gaps(judgments)
    return Rankings(
        answers=dict(sorted(Counter(len(c.completions) for c in comparisons).items())),
        judgments=dict(sorted(Counter(len(c.judgments) for c in comparisons).items())),
        raters=dict(Counter(judgment.rater_id for judgment in judgments).most_common()),
        ties=Share(sum(pairs), len(pairs)),
        unranked=sum(judgment.ranking is None for judgment in judgments),
        longer_wins=longer_wins(comparisons),
        against_scores=Share(sum(gap < 0 for gap in gaps), len(gaps)),
        equal_scores=Share(sum(gap == 0 for gap in gaps), len(gaps)),
    )


def score_gaps(judgments: Sequence[Judgment]) -> list[float]:
    """The overall score of the better answer minus that of the worse, of every ranked pair whose answers have both."""
    gaps = []
    for judgment in judgments:
        scores = {answer: given["overall"] for answer, given in judgment.scores.items() if "overall" in given}
        if judgment.ranking is not None and len(scores) > 1:
            pairs = judgment.ranking.pairs()
            gaps += [scores[a] - scores[b] for a, b, is_tie in pairs if not is_tie and {a, b} <= scores.keys()]
    return gaps


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


def _lengths(items: Sequence[Item], prompts: Sequence[str], renderer: Renderer | None) -> dict[str, Lengths]:
    answers = [text for item in items for text in _answers(item)]
    found: dict[str, Lengths] = {}
    units: list[tuple[str, Callable[[str], int]]] = [("words", lambda text: len(text.split())), ("characters", len)]
    for unit, measure in units:
        found[f"prompt {unit}"] = _percentiles([measure(text) for text in prompts])
        if answers:
            found[f"answer {unit}"] = _percentiles([measure(text) for text in answers])
    if renderer is not None:
        rendered = [_tokens(item, renderer) for item in items]
        found["prompt tokens"] = _percentiles([prompt for prompt, _ in rendered])
        if answers:
            found["answer tokens"] = _percentiles([length for _, lengths in rendered for length in lengths])
            found["row tokens"] = _percentiles([prompt + max(lengths) for prompt, lengths in rendered])
    return found


def _tokens(item: Item, renderer: Renderer) -> tuple[int, list[int]]:
    """Tokens of the prompt, and of each row after it."""
    if isinstance(item, Prompt):
        return len(renderer.prompt(item)), []
    if isinstance(item, Conversation):
        group = max(renderer.demonstration(item), key=lambda found: found.num_tokens)
    else:
        group = renderer.group(item.prompt, [answer.text for answer in item.completions])
    return len(group.prompt), [len(continuation) for continuation in group.continuations]


def _percentiles(values: Sequence[int]) -> Lengths:
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


def _extremes(items: Sequence[Item]) -> list[str]:
    sizes = [(len(prompt_text(item)) + max(map(len, _answers(item)), default=0), n) for n, item in enumerate(items)]
    longest = sorted(sizes, reverse=True)[:_WORST]
    said = [f"longest: item {n + 1}, {size} characters: {_snippet(prompt_text(items[n]))}" for size, n in longest]
    shortest = sorted((len(text), n) for n, item in enumerate(items) for text in _answers(item))[:_WORST]
    return said + [
        f"shortest answer: item {n + 1}, {size} characters: {_snippet(prompt_text(items[n]))}" for size, n in shortest
    ]


def _snippet(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 60 else flat[:57] + "..."
