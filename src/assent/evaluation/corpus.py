"""BLEU, chrF++ and ROUGE by the packages of the field (extra `metrics`), from counts of each answer.

BLEU and chrF++ are of all answers together and no means: what an answer adds is kept as counts among its values, and
the score of any set of answers is made of their sums, so that leaving out clusters gives the interval.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Literal

from assent.core.errors import ConfigError
from assent.evaluation.outcomes import Outcome

CorpusMetric = Literal["bleu", "chrf"]
ROUGES = {"rouge1": "rouge1", "rouge2": "rouge2", "rougeLsum": "rouge_lsum"}
"""Types of rouge-score and the measures they are called here."""


def counts(metric: CorpusMetric, answers: Sequence[str], references: Sequence[Sequence[str]]) -> list[dict[str, float]]:
    """What each answer adds to the corpus score, under names of its own. Raises ConfigError without sacrebleu."""
    most = max(map(len, references))
    streams = [[some[n] if n < len(some) else None for some in references] for n in range(most)]
    found = _metric(metric)._extract_corpus_statistics(list(answers), streams)
    return [{_name(metric, n): float(value) for n, value in enumerate(one)} for one in found]


def corpus_score(metric: CorpusMetric) -> Callable[[Sequence[Outcome]], float | None]:
    """The statistic of outcomes whose values hold counts: the score of all together, 0 to 100; None where none do."""

    def score(outcomes: Sequence[Outcome]) -> float | None:
        first = _name(metric, 0)
        rows = [one.values for one in outcomes if first in one.values]
        if not rows:
            return None
        width = sum(name.startswith(f"{metric}:") for name in rows[0])
        return float(
            _metric(metric)
            ._aggregate_and_compute([[int(r[_name(metric, n)]) for n in range(width)] for r in rows])
            .score
        )

    return score


def signature(metric: CorpusMetric) -> str:
    """Version and settings, as sacrebleu writes them for papers."""
    metric_ = _metric(metric)
    metric_.num_refs = -1  # as many as each prompt has
    return str(metric_.get_signature())


def rouge(answer: str, references: Sequence[str]) -> dict[str, float]:
    """ROUGE-1, -2 and -Lsum as F, with stemming, each of the reference it fits best. Lines are Lsum's sentences."""
    found = _rouge().score_multi(list(references), answer)
    return {name: float(found[kind].fmeasure) for kind, name in ROUGES.items()}


def refuse_absent(metrics: Sequence[str]) -> None:
    """Raise ConfigError where a metric wants a package that is not installed."""
    for metric in metrics:
        if metric == "rouge":
            _rouge()
        elif metric == "bleu" or metric == "chrf":
            _metric(metric)


def _name(metric: str, number: int) -> str:
    return f"{metric}:{number}"


@cache
def _metric(metric: CorpusMetric) -> Any:
    module = _imported("sacrebleu.metrics", metric)
    return module.BLEU() if metric == "bleu" else module.CHRF(word_order=2)


@cache
def _rouge() -> Any:
    return _imported("rouge_score.rouge_scorer", "rouge").RougeScorer(list(ROUGES), use_stemmer=True)


def _imported(module: str, metric: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise ConfigError(
            f'{metric} wants a package that is not here; install it with: pip install "assent[metrics]"'
        ) from None
