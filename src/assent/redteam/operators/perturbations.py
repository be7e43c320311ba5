"""Perturbations: small damage to a request that people read over. Each draw differs, so best-of-n asks them again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from assent.redteam.operators.operator import Operator
from assent.redteam.script import Script

Damage = Callable[[str, np.random.Generator], str]


def typos(text: str, chance: np.random.Generator) -> str:
    """Two neighbouring letters swapped inside about a third of the words of four letters and more, of one at least."""
    words = text.split(" ")
    long = [n for n, word in enumerate(words) if len(word) >= 4]
    chosen = [n for n in long if chance.random() < 0.35] or long[:1]
    for n in chosen:
        word, at = words[n], int(chance.integers(1, len(words[n]) - 2))
        words[n] = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return " ".join(words)


def case_noise(text: str, chance: np.random.Generator) -> str:
    """Every letter large or small by chance."""
    large = chance.random(len(text)) < 0.5
    return "".join(letter.upper() if up else letter.lower() for letter, up in zip(text, large, strict=True))


def shouting(text: str, chance: np.random.Generator) -> str:
    """Everything in capitals."""
    return text.upper()


def spacing(text: str, chance: np.random.Generator) -> str:
    """A space between the letters of about half of the words."""
    return " ".join(" ".join(word) if chance.random() < 0.5 else word for word in text.split(" "))


def no_spaces(text: str, chance: np.random.Generator) -> str:
    """No spaces at all."""
    return "".join(text.split())


def word_shuffle(text: str, chance: np.random.Generator) -> str:
    """Words in another order, three by three."""
    words = text.split()
    mixed: list[str] = []
    for start in range(0, len(words), 3):
        part = words[start : start + 3]
        mixed += [part[i] for i in chance.permutation(len(part))]
    return " ".join(mixed)


def inner_shuffle(text: str, chance: np.random.Generator) -> str:
    """The inner letters of each word in another order."""
    return " ".join(
        word[0] + "".join(word[1 + i] for i in chance.permutation(len(word) - 2)) + word[-1] if len(word) > 3 else word
        for word in text.split(" ")
    )


def dropped_vowels(text: str, chance: np.random.Generator) -> str:
    """About a third of the vowels left out."""
    keep = chance.random(len(text)) >= 0.33
    return "".join(letter for letter, stays in zip(text, keep, strict=True) if stays or letter.lower() not in "aeiou")


def doubled_punctuation(text: str, chance: np.random.Generator) -> str:
    """A full stop after about every second word."""
    return " ".join(word + "." if chance.random() < 0.5 else word for word in text.split(" "))


def _operator(damage: Damage) -> Operator:
    def apply(script: Script, chance: np.random.Generator) -> Script:
        turn = script.last
        return Script((*script.turns[:-1], replace(turn, payload=damage(turn.payload, chance))))

    return Operator(damage.__name__, "perturbation", apply)


PERTURBATIONS: tuple[Operator, ...] = tuple(
    _operator(damage)
    for damage in (
        typos,
        case_noise,
        shouting,
        spacing,
        no_spaces,
        word_shuffle,
        inner_shuffle,
        dropped_vowels,
        doubled_punctuation,
    )
)
