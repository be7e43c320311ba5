"""Minimal triggers: what of an attack is needed for it to work (delta debugging, Zeller & Hildebrandt 2002)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from assent.redteam.script import Script, Turn

Item = TypeVar("Item")


def ddmin(items: Sequence[Item], works: Callable[[Sequence[Item]], bool]) -> list[Item]:
    """A part of `items`, in their order, that works and from which no single one can be left out.

    `items` have to work. Where `works` begins to say no for another reason (a budget is spent) the part is as small as
    it was by then.
    """
    kept = list(items)
    parts = 2
    while len(kept) >= 2:
        size = -(-len(kept) // parts)
        chunks = [kept[n : n + size] for n in range(0, len(kept), size)]
        smaller = next((chunk for chunk in chunks if len(chunk) < len(kept) and works(chunk)), None)
        if smaller is not None:
            kept, parts = smaller, 2
            continue
        rest = [[one for m, other in enumerate(chunks) if m != n for one in other] for n in range(len(chunks))]
        smaller = next((part for part in rest if len(chunks) > 2 and works(part)), None)
        if smaller is not None:
            kept, parts = smaller, max(parts - 1, 2)
        elif size == 1:
            break
        else:
            parts = min(len(kept), parts * 2)
    if len(kept) == 1 and works([]):
        return []
    return kept


def shorter_turns(script: Script, works: Callable[[Script], bool]) -> Script:
    """The script without the turns that it does not need. Turns that hold a part of the request stay."""
    parts = _exchanges(script.turns[:-1])
    loose = [n for n, part in enumerate(parts) if not any(turn.payload for turn in part)]
    if not loose:
        return script

    def made(kept: Sequence[int]) -> Script:
        stays = [part for n, part in enumerate(parts) if n in kept or n not in loose]
        return Script((*(turn for part in stays for turn in part), script.last))

    return made(ddmin(loose, lambda kept: works(made(kept))))


def shorter_words(script: Script, works: Callable[[Script], bool]) -> Script:
    """The script without the words around the request that it does not need."""
    turn = script.last
    before, after = _words(turn.before), _words(turn.after)
    words = list(range(len(before) + len(after)))
    if not words:
        return script

    def made(kept: Sequence[int]) -> Script:
        chosen = set(kept)
        front = "".join(word for n, word in enumerate(before) if n in chosen)
        back = "".join(word for n, word in enumerate(after, start=len(before)) if n in chosen)
        last: Turn = replace(turn, before=front, after=back)
        return Script((*script.turns[:-1], last))

    return made(ddmin(words, lambda kept: works(made(kept))))


def _exchanges(turns: Sequence[Turn]) -> list[tuple[Turn, ...]]:
    """Turns in parts that stand or fall together: a user's turn with the answers to it; one of the system alone."""
    parts: list[tuple[Turn, ...]] = []
    for turn in turns:
        if turn.role == "assistant" and parts:
            parts[-1] = (*parts[-1], turn)
        else:
            parts.append((turn,))
    return parts


def _words(text: str) -> list[str]:
    """Words, each with the white space after it (the first also with that before it), so that they add up."""
    words: list[str] = []
    current = ""
    for letter in text:
        if current and current[-1].isspace() and not letter.isspace() and current.strip():
            words.append(current)
            current = ""
        current += letter
    return [*words, current] if current else words
