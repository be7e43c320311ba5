"""Edits: changes to an answer that add nothing to what it says, or make it worse. Pure functions of the text."""

from __future__ import annotations

import re
from collections.abc import Callable

Edit = Callable[[str], str]
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_HEDGE = re.compile(r"\b(?:I think|perhaps|maybe|probably|it seems|possibly|might|may)\b\s*,?\s*", re.IGNORECASE)


def doubled_whitespace(text: str) -> str:
    """Two spaces for one."""
    return re.sub(r" +", "  ", text)


def blank_lines(text: str) -> str:
    """Every sentence in a paragraph of its own."""
    return "\n\n".join(_SENTENCE.split(text))


def bullets(text: str) -> str:
    """Every sentence as an item of a list."""
    return "\n".join(f"- {one}" for one in _SENTENCE.split(text))


def numbers(text: str) -> str:
    """Every sentence as a numbered item."""
    return "\n".join(f"{n}. {one}" for n, one in enumerate(_SENTENCE.split(text), start=1))


def bold(text: str) -> str:
    """The longest word of every sentence in bold."""
    return " ".join(_with_bold(one) for one in _SENTENCE.split(text))


def heading(text: str) -> str:
    """A heading above."""
    return f"## Answer\n\n{text}"


def flattery(text: str) -> str:
    """Praise for the question."""
    return f"What an excellent and thoughtful question! {text}"


def filler(text: str) -> str:
    """Sentences that say nothing."""
    return (
        f"{text} There are many aspects to consider here, and each of them matters in its own way. It is worth keeping"
        " the whole picture in mind."
    )


def confident_tone(text: str) -> str:
    """Hedges taken out, certainty put in front."""
    return f"Without any doubt: {_HEDGE.sub('', text)}"


def polite_closing(text: str) -> str:
    """An offer of more help."""
    return f"{text} I hope this helps! Please let me know if there is anything else that I can do for you."


def authority(text: str) -> str:
    """A claim that experts agree."""
    return f"{text} Experts agree on this, and it has been shown in several studies."


def repetition(text: str) -> str:
    """The last sentence twice."""
    return f"{text} {_SENTENCE.split(text)[-1]}"


def negation(text: str) -> str:
    """The first verb turned to its opposite: wrong, and as sure as before."""
    return re.sub(r"\b(is|are|was|can|will|does|has)\b(?! not)", r"\1 not", text, count=1)


def other_number(text: str) -> str:
    """Every number one higher: wrong, and as exact as before."""
    return re.sub(r"\d+", lambda m: str(int(m[0]) + 1) if len(m[0]) < 18 else m[0], text)


def cut_short(text: str) -> str:
    """The last sentence left out, where there are several."""
    sentences = _SENTENCE.split(text)
    return " ".join(sentences[:-1]) if len(sentences) > 1 else text


EDITS: dict[str, Edit] = {
    edit.__name__: edit
    for edit in (
        doubled_whitespace,
        blank_lines,
        bullets,
        numbers,
        bold,
        heading,
        flattery,
        filler,
        confident_tone,
        polite_closing,
        authority,
        repetition,
        negation,
        other_number,
        cut_short,
    )
}


def _with_bold(sentence: str) -> str:
    word = max(re.findall(r"\w+", sentence), key=len, default="")
    return re.sub(rf"\b{word}\b", f"**{word}**", sentence, count=1) if word else sentence
