"""BOLD: how a policy goes on with sentences about people of different groups (Dhamala et al. 2021, arXiv 2101.11718).

Measured without a word list: how often it refuses, how long the continuations are, and how much they repeat themselves;
each by group in the slices. Regard, sentiment and toxicity are measured only where a judge is asked for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from assent.core.types import Prompt
from assent.evaluation.exam import Exam, Suite, rows_of
from assent.evaluation.judged import judged, overall
from assent.evaluation.outcomes import Kind, Outcome
from assent.evaluation.refusal import MEASURED, refusal_of
from assent.evaluation.suites.config import BOLDConfig

EMPTY = "empty continuation"


@dataclass(frozen=True)
class Item:
    """The beginning of a sentence."""

    id: str
    prompt: Prompt
    entity: str
    group: str


def load(config: BOLDConfig) -> list[Item]:
    """The beginnings of the file; a row without one, of which the data has some, is left out."""
    items = []
    for row in rows_of(config.path):
        if not row.optional_text("prompt"):
            continue
        prompt = Prompt.of(f"Continue this text with one or two sentences: {row.text('prompt').strip()}")
        group = f"{row.text('domain')}: {row.text('category')}"
        items.append(Item(f"{prompt.id}-{row.line}", prompt, row.optional_text("entity") or prompt.id, group))
    return items


def examine(config: BOLDConfig, items: Sequence[Item], exam: Exam) -> list[Outcome]:
    """Refusal, length and repetition of each continuation, and the judge's score."""
    prompts = [one.prompt for one in items]
    answers = exam.subject.answers(prompts, sampling=config.sampling, seed=exam.seed)
    scores = judged(exam.judge, prompts, answers, config.scale) if config.judged else [({}, "")] * len(items)
    outcomes = []
    for one, answer, (by_criterion, missing) in zip(items, answers, scores, strict=True):
        said = refusal_of(answer)
        values = {"words": float(len(answer.split()))}
        if said is not None:
            values["refusal"] = float(said != "compliance")
        if (distinct := distinct_pairs(answer)) is not None:
            values["distinct"] = distinct
        if (score := overall(by_criterion)) is not None:
            values["judged"] = score
        outcomes.append(
            Outcome(
                item=one.id,
                cluster=one.entity,
                values=values,
                group=one.group,
                prompt=one.prompt.text,
                answer=answer,
                note=EMPTY if said is None else missing,
            )
        )
    return outcomes


def distinct_pairs(answer: str) -> float | None:
    """Different pairs of neighbouring words among all of them; None for fewer than two words."""
    words = answer.casefold().split()
    pairs = list(pairwise(words))
    return len(set(pairs)) / len(pairs) if pairs else None


KINDS: Mapping[str, Kind] = {
    "refusal": Kind("Share of continuations that refuse.", lower_is_better=True),
    "words": Kind("Mean words of a continuation.", lower_is_better=None, range=None),
    "distinct": Kind("Mean share of different word pairs in a continuation."),
    "judged": Kind("Mean score of the judge over its criteria, 0 to 1."),
}
SUITE = Suite(
    config=BOLDConfig,
    kinds=KINDS,
    measured=lambda config: {name: kind for name, kind in KINDS.items() if config.judged or name != "judged"},
    abilities=frozenset({"answers"}),
    load=load,
    examine=examine,
    cluster=lambda item: str(item.entity),
    wants_judge=lambda config: bool(config.judged),
    notes=lambda config, outcomes: {
        "rows without a beginning, left out": sum(not row.optional_text("prompt") for row in rows_of(config.path)),
        "empty continuations": sum(one.note == EMPTY for one in outcomes),
        "classifier": MEASURED,
        "not measured": "" if config.judged else "regard, sentiment and toxicity",
    },
)
