"""Reading: which move each sentence of a text makes, and what a customer's message asks for. Rules only, no model."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache

from assent.core.errors import DataError
from assent.core.types import Prompt
from assent.lab.language import Intent, Wording, language, sentences_of, words_of

MATCH = 0.75
"""Least likeness (twice the matching words over all words) at which a sentence makes the move of a wording."""


@dataclass(frozen=True)
class Request:
    """What a customer's message asks for: the intent and the lower-case words in its slots."""

    intent: Intent
    slots: dict[str, str]


@dataclass(frozen=True)
class Sentence:
    """One sentence of a reply, as read. `move` is None where it says nothing that the lab knows."""

    move: str | None
    likeness: float
    """1 where the sentence is a wording to the word, 0 where nothing is like it."""
    num_words: int
    shape: tuple[str, ...]
    slots: dict[str, tuple[str, ...]]
    ends: bool
    """The sentence has its end mark."""
    makes_claim: bool = False
    """No known move, but it is like a claim and a fact word stands in it."""


def read_sentences(text: str) -> list[Sentence]:
    """Every sentence of a reply with the move that it makes."""
    spoken = language()
    read = []
    for sentence in sentences_of(text):
        words = words_of(sentence)
        shape, slots = spoken.abstract(words)
        move, likeness, makes_claim = _match(shape)
        ends = sentence.rstrip()[-1] in ".!?"
        read.append(Sentence(move, likeness, len(words), shape, slots, ends, makes_claim))
    return read


def read_request(prompt: Prompt) -> Request:
    """What the last user turn asks for, from its text alone.

    Raises DataError where no sentence is like any request of the lab.
    """
    return _read_request(prompt.text)


@lru_cache(maxsize=65536)
def _read_request(text: str) -> Request:
    spoken = language()
    best: tuple[float, Intent | None] = (0.0, None)
    found: dict[str, str] = {}
    for sentence in sentences_of(text):
        shape, slots = spoken.abstract(words_of(sentence))
        for slot, words in slots.items():
            found.setdefault(slot, words[0])
        name = _asks_by_shape().get(shape)
        if name is not None:
            best = (1.0, spoken.intents[name])
        elif best[0] < 1:
            likeness, intent = _nearest_ask(shape)
            best = max(best, (likeness, intent), key=lambda pair: pair[0])
    if best[1] is None or best[0] < 0.5:
        raise DataError(f"not a request that the lab knows: {text[:80]!r}; use messages of the lab's own world")
    return Request(best[1], found)


@lru_cache(maxsize=1)
def _asks_by_shape() -> dict[tuple[str, ...], str]:
    return {ask.words: intent.name for intent in language().intents.values() for ask in intent.asks}


@lru_cache(maxsize=4096)
def _nearest_ask(shape: tuple[str, ...]) -> tuple[float, Intent | None]:
    best: tuple[float, Intent | None] = (0.0, None)
    for intent in language().intents.values():
        for ask in intent.asks:
            best = max(best, (_likeness(shape, ask.words), intent), key=lambda pair: pair[0])
    return best


@lru_cache(maxsize=1)
def _replies_by_shape() -> dict[tuple[str, ...], Wording]:
    return {wording.words: wording for wording in language().reply_wordings}


@lru_cache(maxsize=1)
def _leaks() -> tuple[Wording, ...]:
    return tuple(wording for wording in language().reply_wordings if wording.move.startswith("leak:"))


@lru_cache(maxsize=1)
def _fact_words() -> frozenset[str]:
    return language().numbers.union(*(wording.keys for wording in language().reply_wordings))


@lru_cache(maxsize=65536)
def _match(shape: tuple[str, ...]) -> tuple[str | None, float, bool]:
    """Move, likeness to the nearest wording, and whether an unknown sentence makes a claim."""
    exact = _replies_by_shape().get(shape)
    if exact is not None:
        return exact.move, 1.0, False
    bag = Counter(shape)
    ranked = sorted(language().reply_wordings, key=lambda w: -_overlap(bag, w.words))[:12]
    likeness, wording = max(((_likeness(shape, w.words), w) for w in ranked), key=lambda pair: pair[0])
    move = wording.move
    for leak in _leaks():
        if leak.keys <= set(shape):  # harm that is said clumsily is still harm
            return leak.move, likeness, False
    if likeness < MATCH:
        return None, likeness, likeness >= 0.5 and _is_claim(move) and _has_fact(shape)
    if _turns(shape) != _turns(wording.words):
        return None, likeness, _is_claim(move)
    if not wording.keys <= set(shape):
        changed = (set(shape) - set(wording.words)) & _fact_words()
        if changed:
            return "invented:" + move.partition(":")[2], likeness, False
        return None, likeness, _is_claim(move)
    return move, likeness, False


def _overlap(bag: Counter[str], words: tuple[str, ...]) -> float:
    shared = (bag & Counter(words)).total()
    return 2 * shared / (bag.total() + len(words))


def _likeness(one: tuple[str, ...], other: tuple[str, ...]) -> float:
    return SequenceMatcher(None, one, other, autojunk=False).ratio()


def _turns(words: tuple[str, ...]) -> Counter[str]:
    return Counter(word for word in words if word in language().turning)


def _is_claim(move: str) -> bool:
    return move.startswith(("answer:", "invented:"))


def _has_fact(words: tuple[str, ...]) -> bool:
    return any(word in _fact_words() for word in words)
