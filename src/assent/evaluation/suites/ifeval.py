"""IFEval: whether answers do what a program can check (Zhou et al. 2023, arXiv 2311.07911).

Strict looks at the answer as it is; loose forgives a first or a last line and asterisks (any of eight readings).
Prompt-level: all instructions of a prompt hold. Instruction-level: each counts by itself, clustered by prompt. The
checks are our own (`checks/instructions.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from assent.checks.instructions import Instruction
from assent.core.errors import DataError
from assent.core.types import Prompt
from assent.data.rows import Row
from assent.evaluation.exam import Exam, Suite, rows_of
from assent.evaluation.outcomes import Kind, Outcome
from assent.evaluation.suites.config import IFEvalConfig


@dataclass(frozen=True)
class Item:
    """A prompt and what it asks for."""

    id: str
    prompt: Prompt
    instructions: tuple[Instruction, ...]


def load(config: IFEvalConfig) -> list[Item]:
    """The prompts of the file. Raises DataError naming an instruction that is not known, or lacks an argument."""
    items = []
    for row in rows_of(config.path):
        names, arguments = row.listed("instruction_id_list"), row.listed("kwargs")
        if len(names) != len(arguments):
            raise row.error(f"{len(names)} instructions have {len(arguments)} kwargs; each wants its own")
        pairs = zip(names, arguments, strict=True)
        instructions = tuple(_instruction(row, str(name), given) for name, given in pairs)
        prompt = Prompt.of(row.text("prompt"))
        items.append(Item(f"{prompt.id}-{row.line}", prompt, instructions))
    return items


def examine(config: IFEvalConfig, items: Sequence[Item], exam: Exam) -> list[Outcome]:
    """One outcome per prompt, and one per instruction of it."""
    answers = exam.subject.answers([one.prompt for one in items], sampling=config.sampling, seed=exam.seed)
    outcomes = []
    for one, answer in zip(items, answers, strict=True):
        strict = [float(each.holds(answer)) for each in one.instructions]
        loose = [float(each.holds_loosely(answer)) for each in one.instructions]
        outcomes.append(
            Outcome(
                item=one.id,
                cluster=one.prompt.id,
                values={"prompt_strict": min(strict), "prompt_loose": min(loose)},
                prompt=one.prompt.text,
                answer=answer,
                note="; ".join(each.id for each, held in zip(one.instructions, strict, strict=True) if not held),
            )
        )
        outcomes += [
            Outcome(
                item=f"{one.id}-{number}",
                cluster=one.prompt.id,
                values={"instruction_strict": strict[number], "instruction_loose": loose[number]},
                group=each.id,
            )
            for number, each in enumerate(one.instructions)
        ]
    return outcomes


def _instruction(row: Row, name: str, given: Any) -> Instruction:
    if not isinstance(given, dict):
        raise row.error(f"kwargs of {name} should be names and values, got {type(given).__name__}")
    # null says that an argument is not given; 0 and empty text are values.
    try:
        return Instruction(name, {key: value for key, value in given.items() if value is not None})
    except DataError as error:
        raise row.error(str(error)) from None


SUITE = Suite(
    config=IFEvalConfig,
    kinds={
        "prompt_strict": Kind("Share of prompts all of whose instructions hold."),
        "prompt_loose": Kind("The same, forgiving a first or last line and asterisks."),
        "instruction_strict": Kind("Share of instructions that hold."),
        "instruction_loose": Kind("The same, forgiving a first or last line and asterisks."),
    },
    abilities=frozenset({"answers"}),
    load=load,
    examine=examine,
    cluster=lambda item: str(item.prompt.id),
    notes=lambda config, outcomes: {"checks": "this project's own, with its own language detector and sentences"},
)
