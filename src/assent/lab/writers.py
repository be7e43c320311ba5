"""Writers: the crew that answers customers, each reply put together from several moves in one of their wordings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from math import prod

import numpy as np

from assent.core.errors import ConfigError
from assent.lab.config import DemoQuality
from assent.lab.language import Intent, Wording, language
from assent.lab.parse import Request

MAX_SENTENCES = 5

_PLACES = (("greet",), ("empathy", "apology"), ("filler",), ("main",), ("hedge",), ("extra",), ("rude",), ("closing",))
"""The order of a reply: at each place nothing or one sentence of these sorts, the main one always."""


@dataclass(frozen=True)
class Reply:
    """A written reply and the moves that it was made of, in order."""

    text: str
    moves: tuple[str, ...]


def write(request: Request, quality: DemoQuality, random: np.random.Generator) -> Reply:
    """One reply by one of the crew: its main sentence as good as `quality` says, its manners the writer's own."""
    main = _main_move(request.intent, quality, random)
    habits = language().crew[_writer(quality.crew, random)]
    sorts = []
    for place in _PLACES:
        drawn = random.random()
        for sort in place:
            drawn -= 1.0 if sort == "main" else habits[sort]
            if drawn < 0:
                sorts.append(sort)
                break
    while len(sorts) > MAX_SENTENCES:
        sorts.remove([sort for sort in sorts if sort != "main"][int(random.integers(len(sorts) - 1))])
    moves = [_resolve(sort, main, request.intent) for sort in sorts]
    return compose(request, moves, random)


def compose(request: Request, moves: list[str], random: np.random.Generator) -> Reply:
    """Say these moves in this order, each in a wording drawn at random, the slots filled from the request."""
    sentences = []
    for move in moves:
        wordings = wordings_of(move)
        sentences.append(wordings[int(random.integers(len(wordings)))].fill(_slots(request, random)))
    return Reply(" ".join(sentences), tuple(moves))


def wordings_of(move: str) -> tuple[Wording, ...]:
    """All wordings of a move such as "greet" or "answer:refund"."""
    sort, _, intent = move.partition(":")
    return language().intents[intent].replies[sort] if intent else language().manners[sort]


def main_moves(intent: Intent) -> list[str]:
    """Every move that the crew may put at the centre of a reply to `intent`."""
    everyone = ["vague", "refuse"]
    if intent.kind == "dangerous":
        return [f"leak:{intent.name}", f"refuse:{intent.name}", *everyone]
    own = [f"answer:{intent.name}", f"invented:{intent.name}"]
    if intent.kind == "lookalike":
        return [*own, f"refuse:{intent.twin}", *everyone]
    return [*own, *(f"answer:{other}" for other in _ordinary() if other != intent.name), *everyone]


def count_replies(intent: Intent) -> int:
    """How many different replies the crew can write to one message of `intent`, counted, not estimated."""
    total = 0
    for main in main_moves(intent):
        for sorts in product(*((("main",) if p == ("main",) else ("", *p)) for p in _PLACES)):
            moves = [_resolve(sort, main, intent) for sort in sorts if sort]
            if len(moves) <= MAX_SENTENCES:
                total += prod(_count_sentences(move) for move in moves)
    return total


def _count_sentences(move: str) -> int:
    """Different sentences of a move; a leak may name any city."""
    return sum(len(language().slots["city"]) if "city" in w.slots else 1 for w in wordings_of(move))


def _main_move(intent: Intent, quality: DemoQuality, random: np.random.Generator) -> str:
    drawn = random.random()
    for sort, rate in quality.rates(intent.kind).items():
        drawn -= rate
        if drawn < 0:
            return _faulty_move(sort, intent, random)
    return f"refuse:{intent.name}" if intent.kind == "dangerous" else f"answer:{intent.name}"


def _faulty_move(sort: str, intent: Intent, random: np.random.Generator) -> str:
    match sort:
        case "invented":
            return f"invented:{intent.name}"
        case "leaked":
            return f"leak:{intent.name}"
        case "vague":
            return "vague"
        case "off_topic":
            others = [name for name in _ordinary() if name != intent.name]
            return f"answer:{others[int(random.integers(len(others)))]}"
        case "refused" if intent.kind == "lookalike" and random.random() < 0.5:
            return f"refuse:{intent.twin}"
        case "refused" | "bare":
            return "refuse"
    raise ConfigError(f"the crew knows no faulty sentence of sort {sort!r}")


def _resolve(sort: str, main: str, intent: Intent) -> str:
    """The move of a sort of sentence; the extra after a refusal is an alternative, if the request was dangerous."""
    if sort == "main":
        return main
    if sort != "extra":
        return sort
    return f"alternative:{intent.name}" if intent.kind == "dangerous" and main.startswith("refuse") else "next_step"


def _ordinary() -> list[str]:
    return [name for name, intent in language().intents.items() if intent.kind == "ordinary"]


def _writer(crew: Mapping[str, float], random: np.random.Generator) -> str:
    known = language().crew
    for name in crew:
        if name not in known:
            raise ConfigError(f"crew: there is no writer {name!r}; known writers: {', '.join(sorted(known))}")
    drawn = random.random() * sum(crew.values())
    for name, share in crew.items():
        drawn -= share
        if drawn < 0:
            return name
    return next(iter(crew))


def _slots(request: Request, random: np.random.Generator) -> dict[str, str]:
    """Slots for a reply: from the request; a city is made up. Names and cities get their capital back."""
    cities = language().slots["city"]
    slots = {slot: word.capitalize() if slot == "name" else word for slot, word in request.slots.items()}
    return {**slots, "city": cities[int(random.integers(len(cities)))]}
