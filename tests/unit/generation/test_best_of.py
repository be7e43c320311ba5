"""The best of n as a way to answer: which answer is given, from which draws, and how often by the order of scores."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from assent.algorithms.kl import best_of_n_kl
from assent.core.errors import ConfigError, FunctionError
from assent.core.types import Asked, Prompt
from assent.generation.best_of import BestOf, best_rows
from assent.generation.config import Sampling
from assent.generation.writer import SoFar, Written

SAMPLING = Sampling(max_new_tokens=4)
CHANCE = {"bad": 0.5, "fair": 0.3, "good": 0.2}
SCORES = {"bad": 0.0, "fair": 1.0, "good": 2.0}


def by_table(prompts: Sequence[Prompt], texts: Sequence[str]) -> list[float]:
    assert len(prompts) == len(texts)
    return [SCORES[text] for text in texts]


@dataclass
class Chance:
    """A writer that knows three answers, each with its own probability."""

    name: str = "chance"
    context: int | None = 100

    def room(self, asked: Asked) -> int | None:
        return 7

    def write(
        self,
        asked: Sequence[Asked],
        *,
        num_samples: int,
        sampling: Sampling,
        seed: int,
        on_progress: Callable[[int], None] | None = None,
        on_token: Callable[[SoFar], None] | None = None,
    ) -> list[list[Written]]:
        assert on_token is None
        drawn = np.random.default_rng(seed).choice(
            list(CHANCE), p=list(CHANCE.values()), size=(len(asked), num_samples)
        )
        if on_progress is not None:
            on_progress(drawn.size)
        return [[Written(str(text), True) for text in row] for row in drawn]


def test_the_first_of_the_best_is_given_and_scores_are_asked_for_once() -> None:
    asked = [Prompt.of("one"), Prompt.of("two")]
    rows = [
        [Written("fair", True), Written("good", True), Written("good", False)],
        [Written("bad", True)],
    ]
    calls: list[tuple[list[str], list[str]]] = []

    def score(prompts: Sequence[Prompt], texts: Sequence[str]) -> list[float]:
        calls.append(([one.text for one in prompts], list(texts)))
        return by_table(prompts, texts)

    given = best_rows(asked, rows, score)
    assert [(one.text, one.finished) for one in given] == [("good", True), ("bad", True)]
    assert calls == [(["one", "one", "one", "two"], ["fair", "good", "good", "bad"])]


def test_each_answer_is_the_best_of_its_own_draws() -> None:
    told: list[int] = []
    asked = [Prompt.of("one"), Prompt.of("two").messages]
    chance = Chance()
    best = BestOf(chance, by_table, 4, "best of 4")
    rows = best.write(asked, num_samples=3, sampling=SAMPLING, seed=5, on_progress=told.append)
    drawn = chance.write(asked, num_samples=12, sampling=SAMPLING, seed=5)
    for row, from_these in zip(rows, drawn, strict=True):
        expected = [max((one.text for one in from_these[i : i + 4]), key=SCORES.__getitem__) for i in (0, 4, 8)]
        assert [one.text for one in row] == expected
    assert told == [24] and best.room(asked[0]) == 7 and best.context == 100


@pytest.mark.parametrize("n", [1, 2, 8])
def test_answers_come_as_often_as_the_largest_of_n_draws(n: int) -> None:
    """P(the best is at most x) = F(x)^n: 0.5, 0.8, 1 to the power n, whose distance stays below the bound."""
    many = 4000
    rows = BestOf(Chance(), by_table, n, "best").write([Prompt.of("q")], num_samples=many, sampling=SAMPLING, seed=0)
    counts = Counter(one.text for one in rows[0])
    below = {"bad": 0.5**n, "fair": 0.8**n, "good": 1.0}
    exact = {"bad": below["bad"], "fair": below["fair"] - below["bad"], "good": 1 - below["fair"]}
    for text, p in exact.items():
        assert abs(counts[text] / many - p) < 4 * math.sqrt(p * (1 - p) / many) + 1e-12
    kl = sum(p * math.log(p / CHANCE[text]) for text, p in exact.items())
    assert 0 <= kl <= best_of_n_kl(n) + 1e-12


def test_what_is_no_number_or_no_choice_is_refused() -> None:
    with pytest.raises(ConfigError, match="the best of 0 answers is none; give 1 or more"):
        BestOf(Chance(), by_table, 0, "best")
    rows = [[Written("good", True), Written("fair", True)]]
    with pytest.raises(FunctionError, match=r"the score of answers returned nan at index 1, for the answer 'fair'"):
        best_rows([Prompt.of("q")], rows, lambda prompts, texts: [1.0, math.nan])
