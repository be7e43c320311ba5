"""The language of the lab: its wordings, read from the files in wordings/, and the words between them.

A wording is one sentence with slots, "You can return the {item} within *thirty* days.", that makes one move:

    answer:refund    the fact that answers an intent          refuse:other_card   a refusal that names the reason
    invented:refund  a false fact about it                    refuse              a refusal without reason
    leak:other_card  the harm that was asked for              alternative:…       a safe way offered instead
    greet empathy apology closing next_step vague hedge filler rude               manners, the same for all intents
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import resources
from typing import Any, Literal

import yaml

from assent.core.hashing import hash_json

Kind = Literal["ordinary", "dangerous", "lookalike"]
MANNERS = ("greet", "empathy", "apology", "filler", "hedge", "next_step", "rude", "closing", "vague", "refuse")

_FILES = ("slots", "messages", "manners", "ordinary", "dangerous", "crew", "meaning")
_SLOT = re.compile(r"\{(\w+)\}")
_WORD = re.compile(r"[a-z0-9]+|[^\sa-z0-9.,!?]|(?<![a-z0-9])[.,!?]")
_SENTENCE = re.compile(r"[^.!?\n]*[.!?\n]|[^.!?\n]+$")


@dataclass(frozen=True)
class Wording:
    """One sentence with slots, and the move it makes. `words` are lower-case, a slot is its name in angle brackets."""

    move: str
    text: str
    words: tuple[str, ...]
    keys: frozenset[str]
    """The starred words: they carry the fact."""
    slots: tuple[str, ...]

    @classmethod
    def of(cls, move: str, source: str) -> Wording:
        """Read one line of a wording file."""
        text = source.replace("*", "")
        marked = [words_of(star)[0] for star in re.findall(r"\*(\w+)\*", source)]
        words = tuple(words_of(_SLOT.sub(r"slot\1", text)))
        slots = tuple(_SLOT.findall(text))
        named = {f"slot{slot}": f"<{slot}>" for slot in slots}
        return cls(move, text, tuple(named.get(word, word) for word in words), frozenset(marked), slots)

    def fill(self, slots: Mapping[str, str]) -> str:
        """The sentence with its slots filled, first letter capital."""
        text = _SLOT.sub(lambda match: slots[match.group(1)], self.text)
        return text[:1].upper() + text[1:]


@dataclass(frozen=True)
class Intent:
    """What a customer may want, how they ask for it, and the sentences that reply to it."""

    name: str
    kind: Kind
    twin: str | None
    """The look-alike of a dangerous intent, and the other way round."""
    asks: tuple[Wording, ...]
    replies: dict[str, tuple[Wording, ...]]
    """answer and invented, or leak, refuse and alternative -> wordings"""


@dataclass(frozen=True)
class Language:
    """All wordings of the lab. `hash` names this version of them."""

    slots: dict[str, tuple[str, ...]]
    intents: dict[str, Intent]
    around: dict[str, tuple[str, ...]]
    """opening, detail, closing of a message; "" where nothing is said"""
    manners: dict[str, tuple[Wording, ...]]
    crew: dict[str, dict[str, float]]
    turning: frozenset[str]
    """words such as "not": a sentence with others says something else"""
    numbers: frozenset[str]
    hash: str

    @cached_property
    def slot_of(self) -> dict[str, str]:
        """Lower-case slot word -> name of its slot."""
        return {word.lower(): slot for slot, words in self.slots.items() for word in words}

    @cached_property
    def reply_wordings(self) -> tuple[Wording, ...]:
        """Every sentence a reply can be made of."""
        by_intent = [w for i in self.intents.values() for wordings in i.replies.values() for w in wordings]
        return tuple(by_intent + [w for wordings in self.manners.values() for w in wordings])

    @cached_property
    def words(self) -> frozenset[str]:
        """Every distinct word, slot words included."""
        wordings = [*self.reply_wordings, *(ask for intent in self.intents.values() for ask in intent.asks)]
        fixed = {word for wording in wordings for word in wording.words if word[0] != "<"}
        around = {word for texts in self.around.values() for text in texts for word in words_of(text)}
        return frozenset(fixed | around | set(self.slot_of))

    def abstract(self, words: Iterable[str]) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
        """Put slot names in the place of slot words; also the slot words found, lower-case, by slot."""
        found: dict[str, tuple[str, ...]] = {}
        shape = []
        for word in words:
            slot = self.slot_of.get(word)
            shape.append(word if slot is None else f"<{slot}>")
            if slot is not None:
                found[slot] = (*found.get(slot, ()), word)
        return tuple(shape), found


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the former is ten times as fast


@lru_cache(maxsize=1)
def language() -> Language:
    """The lab's language, read once from its files."""
    files: dict[str, Any] = {}
    for name in _FILES:
        path = resources.files("assent.lab").joinpath("wordings", f"{name}.yaml")
        files[name] = yaml.load(path.read_text(encoding="utf-8"), _LOADER)
    intents = {}
    for name, entry in files["ordinary"].items():
        intents[name] = _intent(name, "ordinary", entry, twin=None)
    for name, entry in files["dangerous"].items():
        ((twin, twin_entry),) = entry["twin"].items()
        intents[name] = _intent(name, "dangerous", entry, twin=twin)
        intents[twin] = _intent(twin, "lookalike", twin_entry, twin=name)
    return Language(
        slots={name: tuple(words) for name, words in files["slots"].items()},
        intents=intents,
        around={name: tuple(texts) for name, texts in files["messages"].items()},
        manners={name: tuple(Wording.of(name, text) for text in files["manners"][name]) for name in MANNERS},
        crew=files["crew"],
        turning=frozenset(files["meaning"]["turning"]),
        numbers=frozenset(files["meaning"]["numbers"]),
        hash=hash_json(files),
    )


def words_of(text: str) -> list[str]:
    """Lower-case words. Signs count as words of their own, but for a sentence mark right after a word."""
    return _WORD.findall(text.lower())


def sentences_of(text: str) -> list[str]:
    """The sentences of a text with their end marks; what follows the last mark is a sentence too."""
    return [s.strip() for s in _SENTENCE.findall(text) if words_of(s)]


def _intent(name: str, kind: Kind, entry: dict[str, Any], *, twin: str | None) -> Intent:
    plural = {"answer": "answers", "invented": "invented", "leak": "leaks", "refuse": "refuses"}
    plural["alternative"] = "alternatives"
    replies = {
        move: tuple(Wording.of(f"{move}:{name}", text) for text in entry[key])
        for move, key in plural.items()
        if key in entry
    }
    return Intent(name, kind, twin, tuple(Wording.of(f"ask:{name}", text) for text in entry["asks"]), replies)
