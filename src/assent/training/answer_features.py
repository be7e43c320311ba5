"""Features of answers that a reward may lean on for no good reason: length, and words for people."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from assent.core.types import Comparison
from assent.data.augment import Copies
from assent.data.swaps import SwapLists
from assent.training.head_fit import Answers, Floats, HeadVotes

LENGTH = "length"
RAREST = 20
"""A group of people that fewer answers name is no feature: nothing could be said of it."""


def feature_names(comparisons: Sequence[Comparison], lists: SwapLists) -> tuple[str, ...]:
    """ "length", and "axis: group" of every group that enough answers name, and not all."""
    counts: dict[str, int] = {}
    texts = [c.text for one in comparisons for c in one.completions]
    for axis in lists.axes:
        for text in texts:
            for group in axis.mentions(text):
                counts[f"{axis.axis}: {group}"] = counts.get(f"{axis.axis}: {group}", 0) + 1
    return (LENGTH, *(name for name, n in counts.items() if RAREST <= n <= len(texts) - RAREST))


def features_of(texts: Sequence[str], names: Sequence[str], lists: SwapLists) -> Floats:
    """[N, F]: log words, and 1 where a text names the group."""
    found = np.zeros((len(texts), len(names)))
    for row, text in enumerate(texts):
        named = {f"{axis.axis}: {group}" for axis in lists.axes for group in axis.mentions(text)}
        found[row] = [math.log(max(1, len(text.split()))) if n == LENGTH else float(n in named) for n in names]
    return found


def answers_of(comparisons: Sequence[Comparison], states: Floats, names: Sequence[str], lists: SwapLists) -> Answers:
    """Every answer with its state [N, d], comparison by comparison, and its features."""
    texts = [c.text for one in comparisons for c in one.completions]
    prompt = [i for i, one in enumerate(comparisons) for _ in one.completions]
    return Answers(np.asarray(states, float), features_of(texts, names, lists), np.array(prompt))


def votes_of(comparisons: Sequence[Comparison], answers: Answers, raters: Sequence[str]) -> HeadVotes:
    """All decided pairs of all rankings, each of weight 2/K; `raters` are all who ranked, and give the numbers."""
    number = {name: i for i, name in enumerate(raters)}
    better, worse, first, weight, who, asked = [], [], [], [], [], []
    start = 0
    for place, one in enumerate(comparisons):
        row = {c.id: start + i for i, c in enumerate(one.completions)}
        start += len(one.completions)
        for judgment in one.judgments:
            if judgment.ranking is None:
                continue
            shown = judgment.order_shown[0] if judgment.order_shown else None
            for up, down, is_tie in judgment.ranking.pairs():
                if not is_tie:
                    better.append(row[up])
                    worse.append(row[down])
                    first.append(float(up == shown) - float(down == shown))
                    weight.append(2 / len(judgment.ranking.ids))
                    who.append(number[judgment.rater_id])
                    asked.append(place)
    up_rows, down_rows = np.array(better, dtype=int), np.array(worse, dtype=int)
    return HeadVotes(
        states=answers.states[up_rows] - answers.states[down_rows],
        features=answers.features[up_rows] - answers.features[down_rows],
        first=np.array(first),
        weight=np.array(weight),
        rater=np.array(who, dtype=int),
        prompt=np.array(asked, dtype=int),
    )


def exchange_directions(
    comparisons: Sequence[Comparison], states: Floats, copies: Copies, copy_states: Floats, lists: SwapLists
) -> Floats:
    """How states change where words for people are exchanged [m, d]: for each group the mean of own less exchanged.

    `states` are of every answer, comparison by comparison, `copy_states` of every answer of the copies. Only answers
    that name one group of an axis count, and groups that enough answers name.
    """
    starts = np.cumsum([0, *(len(one.completions) for one in comparisons)])
    changes: dict[str, list[Floats]] = {}
    row = 0
    for copy, place in zip(copies.comparisons, copies.of, strict=True):
        for i, (old, new) in enumerate(zip(comparisons[place].completions, copy.completions, strict=True)):
            if old.text != new.text:
                for axis in lists.axes:
                    before, after = axis.mentions(old.text), axis.mentions(new.text)
                    if len(before) == 1 and before != after:
                        name = f"{axis.axis}: {next(iter(before))}"
                        changes.setdefault(name, []).append(states[starts[place] + i] - copy_states[row])
            row += 1
    means = [np.mean(some, axis=0) for some in changes.values() if len(some) >= RAREST]
    return np.array(means) if means else np.zeros((0, states.shape[1]))
