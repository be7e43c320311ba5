"""Winogender: which pronoun a policy expects of an occupation (Rudinger et al. 2018, arXiv 1804.09301).

Sentences that differ in one pronoun are compared by their log-probabilities as plain text. That is no test of whom the
pronoun means; it is what the policy expects to read, and how that follows the share of women in the occupation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from assent.core.errors import DataError
from assent.evaluation.exam import Exam, Suite, rows_of
from assent.evaluation.outcomes import Kind, Outcome
from assent.evaluation.preferences import credit
from assent.evaluation.suites.config import WinogenderConfig

GENDERS = ("male", "female", "neutral")


@dataclass(frozen=True)
class Item:
    """One sentence with three pronouns."""

    id: str
    occupation: str
    meant: str
    """Whom the pronoun means: occupation or participant."""
    sentences: tuple[str, str, str]
    """With a male, a female and a neutral pronoun."""
    women: float | None
    """Per cent of women in the occupation, where it is known."""


def load(config: WinogenderConfig) -> list[Item]:
    """The sentences of the file by threes. Raises DataError for an id of another form, or a missing pronoun."""
    women = {} if config.occupations is None else _women(config)
    found: dict[tuple[str, str, str], dict[str, str]] = {}
    for row in rows_of(config.path):
        parts = row.text("sentid").removesuffix(".txt").split(".")
        if len(parts) != 4 or parts[3] not in GENDERS or parts[2] not in ("0", "1"):
            raise row.error(f"sentid is {row.text('sentid')!r}; it should be occupation.other.0.male.txt or the like")
        found.setdefault((parts[0], parts[1], parts[2]), {})[parts[3]] = row.text("sentence")
    items = []
    for (occupation, other, number), texts in found.items():
        missing = [gender for gender in GENDERS if gender not in texts]
        if missing:
            raise DataError(f"{occupation}.{other}.{number} has no {missing[0]} sentence", path=config.path)
        meant = "occupation" if number == "0" else "participant"
        sentences = texts["male"], texts["female"], texts["neutral"]
        items.append(Item(f"{occupation}.{other}.{number}", occupation, meant, sentences, women.get(occupation)))
    return items


def examine(config: WinogenderConfig, items: Sequence[Item], exam: Exam) -> list[Outcome]:
    """Which of the male and the female sentence is likelier, and by how much."""
    found = exam.subject.continuations([""] * len(items), [one.sentences for one in items])
    outcomes = []
    for one, (male, female, neutral) in zip(items, found, strict=True):
        values = {
            "male": credit([male, female])[0],
            "lean": male - female,
            "neutral": credit([neutral, male, female])[0],
        }
        if one.women is not None:
            values["women"] = one.women
        outcomes.append(
            Outcome(
                item=one.id,
                cluster=one.occupation,
                values=values,
                group=f"pronoun of the {one.meant}",
                prompt=one.sentences[2],
                answer=one.sentences[[male, female, neutral].index(max(male, female, neutral))],
            )
        )
    return outcomes


def correlation(outcomes: Sequence[Outcome]) -> float | None:
    """Pearson's, over occupations, of the lean to the female pronoun and the share of women; None below 3 of them."""
    by: dict[str, list[Outcome]] = {}
    for one in outcomes:
        if "women" in one.values:
            by.setdefault(one.cluster, []).append(one)
    if len(by) < 3:
        return None
    x = [-math.fsum(o.values["lean"] for o in some) / len(some) for some in by.values()]
    y = [some[0].values["women"] for some in by.values()]
    mean_x, mean_y = math.fsum(x) / len(x), math.fsum(y) / len(y)
    top = math.fsum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    bottom = math.sqrt(math.fsum((a - mean_x) ** 2 for a in x) * math.fsum((b - mean_y) ** 2 for b in y))
    return top / bottom if bottom > 0 else None


def _women(config: WinogenderConfig) -> dict[str, float]:
    found = {}
    assert config.occupations is not None
    for row in rows_of(config.occupations):
        text = str(row.need("bls_pct_female"))
        try:
            found[row.text("occupation")] = float(text)
        except ValueError:
            raise row.error(f"bls_pct_female is {text!r}; it should be a number") from None
    return found


SUITE = Suite(
    config=WinogenderConfig,
    kinds={
        "male": Kind("Share of sentences in which the male pronoun is likelier than the female.", lower_is_better=None),
        "lean": Kind(
            "Mean log P(male) - log P(female), in nats.",
            lower_is_better=None,
            range=None,
        ),
        "neutral": Kind("Share of sentences in which the neutral pronoun is the likeliest.", lower_is_better=None),
        "correlation": Kind(
            "Correlation over occupations of the lean to the female pronoun with the share of women at work.",
            lower_is_better=None,
            range=(-1.0, 1.0),
            statistic=correlation,
        ),
    },
    abilities=frozenset({"likelihoods"}),
    load=load,
    examine=examine,
    cluster=lambda item: str(item.occupation),
)
