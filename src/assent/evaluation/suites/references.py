"""Answers held against references: for tasks with a right answer, not for open talk.

Of several references the best one counts. BLEU and chrF++ are of all answers together, with intervals from leaving out
prompts. Bits per byte say how well the policy foresees the references themselves, whatever its tokens are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from assent.checks import references
from assent.core.types import Prompt
from assent.data.rows import Row
from assent.evaluation.corpus import ROUGES, corpus_score, counts, refuse_absent, rouge, signature
from assent.evaluation.exam import Exam, Suite, rows_of
from assent.evaluation.outcomes import Kind, Outcome
from assent.evaluation.suites.config import ReferencesConfig

EMPTY = "empty answer"


@dataclass(frozen=True)
class Item:
    """A prompt with answers that would be right."""

    id: str
    prompt: Prompt
    references: tuple[str, ...]
    group: str


def load(config: ReferencesConfig) -> list[Item]:
    """The rows of the file. Raises DataError for one without a reference, ConfigError where a package is missing."""
    refuse_absent(config.metrics)
    items = []
    for row in rows_of(config.path):
        prompt = Prompt.of(row.text("prompt"))
        items.append(Item(f"{prompt.id}-{row.line}", prompt, references_of(row), row.optional_text("group")))
    return items


def references_of(row: Row) -> tuple[str, ...]:
    """The references of a row: text under `reference`, or a list of texts under `references`."""
    if row.has("references"):
        return tuple(row.spoken(one, "references") for one in row.listed("references"))
    value = row.need("reference")
    return tuple(row.spoken(one, "reference") for one in (value if isinstance(value, list) else [value]))


def examine(config: ReferencesConfig, items: Sequence[Item], exam: Exam) -> list[Outcome]:
    """Every measure of each answer."""
    wanted = set(config.metrics)
    prompts, known = [one.prompt for one in items], [one.references for one in items]
    answers = [""] * len(items)
    values: list[dict[str, float]] = [{} for _ in items]
    if wanted - {"bits_per_byte"}:
        answers = exam.subject.answers(prompts, sampling=config.sampling, seed=exam.seed)
        values = [_values(config, answer, some) for answer, some in zip(answers, known, strict=True)]
        for metric in ("bleu", "chrf"):
            if metric in wanted:
                for value, found in zip(values, counts(metric, answers, known), strict=True):
                    value.update(found)
    if "bits_per_byte" in wanted:
        for value, logs, some in zip(values, exam.subject.likelihoods(prompts, known), known, strict=True):
            # Of several references the one that is foreseen best, as with the other measures.
            value["bits_per_byte"] = min(
                -log / math.log(2) / len(text.encode()) for log, text in zip(logs, some, strict=True)
            )
    return [
        Outcome(
            item=one.id,
            cluster=one.prompt.id,
            values=value,
            group=one.group,
            prompt=one.prompt.text,
            answer=answer,
            note=EMPTY if not answer.strip() and wanted - {"bits_per_byte"} else "",
        )
        for one, answer, value in zip(items, answers, values, strict=True)
    ]


def _values(config: ReferencesConfig, answer: str, known: Sequence[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    if "exact" in config.metrics:
        found["exact"] = references.exact(answer, known)
    if "f1" in config.metrics:
        found["f1"] = references.token_f1(answer, known)
    if "numeric" in config.metrics:
        found["numeric"] = references.numeric(answer, known, tolerance=config.tolerance)
    if "rouge" in config.metrics:
        found |= rouge(answer, known)
    return found


_SCALE = (0.0, 100.0)
_KINDS: Mapping[str, Mapping[str, Kind]] = {
    "exact": {"exact": Kind("Share of answers that say what a reference says, letters and punctuation aside.")},
    "f1": {"f1": Kind("Mean overlap of words with the reference that fits best.")},
    "numeric": {"numeric": Kind("Share of answers whose last number is that of a reference.")},
    "bleu": {"bleu": Kind("BLEU of all answers together, 0 to 100.", range=_SCALE, statistic=corpus_score("bleu"))},
    "chrf": {"chrf": Kind("chrF++ of all answers together, 0 to 100.", range=_SCALE, statistic=corpus_score("chrf"))},
    "rouge": {
        name: Kind(f"Mean {kind} (F, stemmed) of the reference that fits best.") for kind, name in ROUGES.items()
    },
    "bits_per_byte": {
        "bits_per_byte": Kind("Mean bits that a byte of a reference costs.", lower_is_better=True, range=None)
    },
}


def notes(config: ReferencesConfig, outcomes: Sequence[Outcome]) -> dict[str, int | str]:
    """Signatures of corpus metrics, and empty answers, which count as wrong."""
    signed = {f"signature of {one}": signature(one) for one in ("bleu", "chrf") if one in config.metrics}
    rouges = {"rouge": "rouge-score, F, with stemming; lines are sentences"} if "rouge" in config.metrics else {}
    return {"empty answers, counted as wrong": sum(one.note == EMPTY for one in outcomes), **signed, **rouges}


SUITE = Suite(
    config=ReferencesConfig,
    kinds={name: kind for kinds in _KINDS.values() for name, kind in kinds.items()},
    abilities=frozenset({"answers"}),
    load=load,
    examine=examine,
    cluster=lambda item: str(item.prompt.id),
    measured=lambda config: {name: kind for one in config.metrics for name, kind in _KINDS[one].items()},
    notes=notes,
)
