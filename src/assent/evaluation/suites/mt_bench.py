"""MT-Bench: questions of two turns, each answer scored by a judge (Zheng et al. 2023, arXiv 2306.05685).

The second answer is scored with the whole dialogue in view. Each category has the temperature of the paper. The score
is the mean over both turns, brought onto 0 to 1; it is only as good as the judge, and another judge gives other scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from assent.core.types import Message, Prompt
from assent.evaluation.exam import Exam, Suite, rows_of
from assent.evaluation.judged import EMPTY, UNJUDGED, judged, overall
from assent.evaluation.outcomes import Kind, Outcome
from assent.evaluation.suites.config import MTBenchConfig
from assent.generation.config import Sampling

TURNS = ("first_turn", "second_turn")


@dataclass(frozen=True)
class Item:
    """Two questions, one after the other, and what good answers to them say where that is known."""

    id: str
    turns: tuple[str, str]
    references: tuple[str, ...]
    group: str


def load(config: MTBenchConfig) -> list[Item]:
    """The questions of the file, with references where there are some. Raises DataError for other than 2 turns."""
    known = {} if config.references is None else _references(config)
    items = []
    for row in rows_of(config.path):
        turns = [row.spoken(one, "turns") for one in row.listed("turns")]
        if len(turns) != 2:
            raise row.error(f"'turns' holds {len(turns)} questions; it should hold 2")
        number = str(row.need("question_id"))
        items.append(Item(number, (turns[0], turns[1]), known.get(number, ()), row.optional_text("category")))
    return items


def examine(config: MTBenchConfig, items: Sequence[Item], exam: Exam) -> list[Outcome]:
    """The judge's scores of both answers to each question."""
    first = _answers(config, items, [(_said("user", one.turns[0]),) for one in items], exam)
    talks = [
        (_said("user", one.turns[0]), _said("assistant", answer), _said("user", one.turns[1]))
        for one, answer in zip(items, first, strict=True)
    ]
    second = _answers(config, items, talks, exam)
    prompts = [_shown(one, 0, talk[:1]) for one, talk in zip(items, talks, strict=True)]
    prompts += [_shown(one, 1, talk) for one, talk in zip(items, talks, strict=True)]
    scores = judged(exam.judge, prompts, [*first, *second], config.scale)
    outcomes = []
    for place, (scored, missing) in enumerate(scores):
        one, turn = items[place % len(items)], place // len(items)
        score = overall(scored)
        outcomes.append(
            Outcome(
                item=f"{one.id}-{turn + 1}",
                cluster=one.id,
                values={} if score is None else {"score": score, TURNS[turn]: score},
                group=one.group,
                prompt=one.turns[turn],
                answer=[*first, *second][place],
                note=missing,
            )
        )
    return outcomes


def _answers(
    config: MTBenchConfig, items: Sequence[Item], talks: Sequence[tuple[Message, ...]], exam: Exam
) -> list[str]:
    """An answer to each talk, drawn at the temperature of its category."""
    by: dict[float, list[int]] = {}
    for place, one in enumerate(items):
        by.setdefault(config.temperatures.get(one.group, 0.0), []).append(place)
    found = [""] * len(items)
    for temperature, places in by.items():
        sampling = Sampling(temperature=temperature, max_new_tokens=config.max_new_tokens)
        prompts = [Prompt(messages=talks[place]) for place in places]
        for place, answer in zip(places, exam.subject.answers(prompts, sampling=sampling, seed=exam.seed), strict=True):
            found[place] = answer
    return found


def _said(role: str, text: str) -> Message:
    return Message.model_validate({"role": role, "content": text})


def _shown(one: Item, turn: int, talk: tuple[Message, ...]) -> Prompt:
    """What the judge sees: the talk, before it the reference answer where there is one."""
    if turn >= len(one.references):
        return Prompt(messages=talk)
    told = f"A reference answer to the last question, for whoever judges:\n{one.references[turn]}"
    return Prompt(messages=(_said("system", told), *talk))


def _references(config: MTBenchConfig) -> dict[str, tuple[str, ...]]:
    found = {}
    assert config.references is not None
    for row in rows_of(config.references):
        choice = row.listed("choices")[0]
        turns = choice.get("turns") if isinstance(choice, Mapping) else None
        if not isinstance(turns, list):
            raise row.error("'choices' should hold a choice with 'turns', a list of answers")
        found[str(row.need("question_id"))] = tuple(row.spoken(one, "turns") for one in turns)
    return found


SUITE = Suite(
    config=MTBenchConfig,
    kinds={
        "score": Kind("Mean score of both turns by the judge, 0 to 1."),
        "first_turn": Kind("Mean score of the first answers, 0 to 1."),
        "second_turn": Kind("Mean score of the second answers, 0 to 1."),
    },
    abilities=frozenset({"answers"}),
    load=load,
    examine=examine,
    cluster=lambda item: str(item.id),
    wants_judge=lambda config: True,
    notes=lambda config, outcomes: {
        "answers without a score": sum(one.note.startswith(UNJUDGED) for one in outcomes),
        "empty answers, scored lowest": sum(one.note == EMPTY for one in outcomes),
        "scale of the judge": f"{config.scale[0]:g} to {config.scale[1]:g}, here 0 to 1",
    },
)
