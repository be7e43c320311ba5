"""GSM8K: word problems with a number as the answer (Cobbe et al. 2021, arXiv 2110.14168).

What counts is the number after the last `####`, else the last number of the answer; an answer without a number is wrong
and counted. Several answers to one question are one cluster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from assent.checks.references import final_number
from assent.core import seeds
from assent.core.types import Prompt
from assent.evaluation.exam import Exam, Suite, rows_of
from assent.evaluation.outcomes import Kind, Outcome
from assent.evaluation.suites.config import GSM8KConfig

NO_NUMBER = "no number"


@dataclass(frozen=True)
class Item:
    """A question and the number that answers it."""

    id: str
    prompt: Prompt
    answer: Decimal


def load(config: GSM8KConfig) -> list[Item]:
    """The questions of the file. Raises DataError for an answer without a number."""
    items = []
    for row in rows_of(config.path):
        number = final_number(row.text("answer"))
        if number is None:
            raise row.error("'answer' holds no number; it should end in #### and one")
        text = row.text("question") + (f"\n\n{config.instruction}" if config.instruction else "")
        prompt = Prompt.of(text)
        items.append(Item(prompt.id, prompt, number))
    return items


def examine(config: GSM8KConfig, items: Sequence[Item], exam: Exam) -> list[Outcome]:
    """Whether each answer ends in the right number."""
    outcomes = []
    for sample in range(config.samples):
        seed = exam.seed if sample == 0 else seeds.derive(exam.seed, f"sample {sample}")
        answers = exam.subject.answers([one.prompt for one in items], sampling=config.sampling, seed=seed)
        for one, answer in zip(items, answers, strict=True):
            said = final_number(answer)
            outcomes.append(
                Outcome(
                    item=f"{one.id}-{sample}",
                    cluster=one.id,
                    values={"accuracy": float(said == one.answer)},
                    prompt=one.prompt.text,
                    answer=answer,
                    note=NO_NUMBER if said is None else f"said {said}, wanted {one.answer}",
                )
            )
    return outcomes


SUITE = Suite(
    config=GSM8KConfig,
    kinds={"accuracy": Kind("Share of answers that end in the right number.")},
    abilities=frozenset({"answers"}),
    load=load,
    examine=examine,
    cluster=lambda item: str(item.id),
    notes=lambda config, outcomes: {"answers without a number": sum(one.note == NO_NUMBER for one in outcomes)},
)
