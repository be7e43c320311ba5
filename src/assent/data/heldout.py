"""Held out of everything: prompts set aside for evaluation, and what is learned from without whatever holds one."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from assent.core.errors import DataError
from assent.core.lazy import joined, pick
from assent.core.types import Comparison, Conversation, Prompt
from assent.data.duplicates import near_across
from assent.data.shingling import Bools, Shingled, normalized
from assent.data.splits import LeakReport, first_user_turn, leakage, prompt_text, split, split_key

FEWEST_PROMPTS = 2
"""A win rate with an interval wants at least so many prompts."""
QUOTED_WORDS = 6
"""A prompt of so many words that stands inside a text is no chance."""
ASKED_WORDS = 4
"""A later turn of a talk counts as the prompt where it has so many words: "yes please" is nobody's prompt."""

_Item = TypeVar("_Item", Prompt, Conversation, Comparison)


@dataclass(frozen=True)
class SetAside:
    """Prompts to learn on and prompts to evaluate on."""

    train: Sequence[Prompt]
    evaluation: Sequence[Prompt]
    leaks: LeakReport
    """Near twins among what was drawn for evaluation: these were given back to `train`."""
    is_given: bool
    """Whether the user named the evaluation prompts."""

    def lines(self) -> list[str]:
        """What was done, in words."""
        count = len(self.evaluation)
        if not count:
            return ["no prompts are held out for evaluation"]
        said = f"{count} prompts are held out for evaluation"
        if back := len(self.leaks.leaked):
            said += f"; {back} more were drawn and given back, as they are nearly equal to prompts that are learned on"
        return [said]


def set_aside(prompts: Sequence[Prompt], given: Sequence[Prompt], *, share: float, seed: int) -> SetAside:
    """The evaluation prompts: those `given`, else a share of the prompts, by prompt.

    A share of 0 is none. Of a drawn share, prompts with a near twin among the others go back to these: all that are
    learned on stay. Given ones stay, and the prompts lose what is equal or nearly equal to them. Raises DataError where
    too few are left to evaluate on, or none to learn on.
    """
    if not given and not share:
        return SetAside(prompts, [], LeakReport(len(prompts), 0, ()), is_given=False)
    if given:
        kept = take_out(prompts, given)
        apart = SetAside(kept.items, given, LeakReport(len(kept.items), len(given), ()), is_given=True)
    else:
        sides = split(prompts, {"train": 1 - share, "evaluation": share}, seed=seed)
        leaks = leakage(sides["train"], sides["evaluation"])
        back = np.isin(np.arange(len(sides["evaluation"])), leaks.leaked)
        drawn, again = (pick(sides["evaluation"], np.flatnonzero(of)) for of in (~back, back))
        apart = SetAside(joined(sides["train"], again), drawn, leaks, is_given=False)
    _check(apart, len(prompts))
    return apart


def _check(apart: SetAside, total: int) -> None:
    if len(apart.evaluation) < FEWEST_PROMPTS:
        twins = len(apart.leaks.leaked)
        near = f", {twins} others are nearly equal to prompts that are learned on" if twins else ""
        raise DataError(
            f"{len(apart.evaluation)} of {total} prompts can be held out for evaluation, which wants {FEWEST_PROMPTS}"
            f" or more{near}; give data.eval_prompts, or more and more varied data.prompts (or evaluate nothing:"
            " evaluate: null and data.eval_share: 0)"
        )
    if not apart.train:
        raise DataError(
            f"all {total} prompts are held out for evaluation or nearly equal to one that is; give more data.prompts"
        )


@dataclass(frozen=True)
class Kept(Generic[_Item]):
    """What may be learned from, and what was taken out."""

    items: Sequence[_Item]
    equal: int
    """Items taken out because they ask an evaluation prompt."""
    near: int
    """Because they ask nearly the same."""
    quoted: int
    """Because they hold one word for word in a longer text."""

    @property
    def out(self) -> int:
        """How many were taken out."""
        return self.equal + self.near + self.quoted

    def line(self, what: str, *, of: int) -> str:
        """What was done, in words."""
        if not self.out:
            return f"none of {of} {what} holds an evaluation prompt"
        kinds = ((self.equal, "ask one"), (self.near, "ask nearly one"), (self.quoted, "hold one inside a longer text"))
        parts = ", ".join(f"{count} {kind}" for count, kind in kinds if count)
        return f"{self.out} of {of} {what} are left out, for they hold evaluation prompts ({parts})"

    def facts(self) -> dict[str, int]:
        """The counts, for a manifest."""
        return {"held_out_equal": self.equal, "held_out_near": self.near, "held_out_quoted": self.quoted}


def take_out(items: Sequence[_Item], evaluation: Sequence[Prompt]) -> Kept[_Item]:
    """The items without those that ask an evaluation prompt in any turn, nearly ask it, or quote it in a long text.

    Items are read once, in order, and none is held: what is kept of a lazy sequence is a view of it.
    """
    why = _Reasons(len(items), evaluation)
    held = Shingled.of(why.texts(items))
    asking = np.array(why.asking, dtype=np.int64)
    why.of[asking[_near(held, len(asking))]] = _NEAR
    count = [int((why.of == reason).sum()) for reason in (_EQUAL, _NEAR, _QUOTED)]
    return Kept(pick(items, np.flatnonzero(why.of == _KEPT)), *count)


_KEPT, _EQUAL, _NEAR, _QUOTED = range(4)


class _Reasons:
    """Why each item is taken out, filled in while they are read."""

    def __init__(self, count: int, evaluation: Sequence[Prompt]) -> None:
        self.of = np.full(count, _KEPT, dtype=np.int8)
        self.asking = array("q")
        """Places of the items whose prompts can be near an evaluation prompt: plain texts ask nothing."""
        self._evaluation = evaluation

    def texts(self, items: Sequence[Prompt | Conversation | Comparison]) -> Iterator[str]:
        """The prompt of each item that is asking, then the evaluation prompts."""
        keys = ((split_key(one), _first_turn(one), _last_turn(one)) for one in self._evaluation)
        asked = {key for three in keys for key in three if key}
        quotes = _Quotes(self._evaluation)
        for place, item in enumerate(items):
            if asked & _asks(item):
                self.of[place] = _EQUAL
            elif not _is_plain_text(item):
                self.asking.append(place)
                yield prompt_text(item)
            elif quotes.stand_in(_whole(item)):
                self.of[place] = _QUOTED
        yield from map(prompt_text, self._evaluation)


def _near(held: Shingled, count: int) -> Bools:
    """Which of the first `count` texts nearly ask what one of the texts after them asks [count]."""
    is_item = held.distinct < count
    pairs = near_across(held, is_item, ~is_item)
    return np.isin(held.first[:count], [pair.first for pair in pairs])


def _asks(item: Prompt | Conversation | Comparison) -> set[str]:
    """Everything that an item asks: its split key, its first turn, and every later turn of a user that says enough."""
    holder = item.prompt if isinstance(item, Comparison) else item
    turns = (normalized(turn.content) for turn in holder.messages if turn.role == "user")
    return {split_key(item), _first_turn(holder), *(turn for turn in turns if len(turn.split()) >= ASKED_WORDS)}


def _first_turn(holder: Prompt | Conversation) -> str:
    return normalized(first_user_turn(holder.messages))


def _last_turn(prompt: Prompt) -> str:
    text = normalized(prompt.text)
    return text if len(text.split()) >= ASKED_WORDS else ""


def _is_plain_text(item: Prompt | Conversation | Comparison) -> bool:
    return isinstance(item, Conversation) and all(turn.role == "assistant" for turn in item.messages)


def _whole(item: Prompt | Conversation | Comparison) -> str:
    holder = item.prompt if isinstance(item, Comparison) else item
    return "\n".join(turn.content for turn in holder.messages)


class _Quotes:
    """Evaluation prompts to be found inside longer texts, by their first words."""

    def __init__(self, prompts: Sequence[Prompt]) -> None:
        self.by_beginning: dict[tuple[str, ...], list[list[str]]] = {}
        for prompt in prompts:
            words = normalized(prompt.text).split()
            if len(words) >= QUOTED_WORDS:
                self.by_beginning.setdefault(tuple(words[:QUOTED_WORDS]), []).append(words)

    def stand_in(self, text: str) -> bool:
        """Whether one of them stands in the text word for word."""
        if not self.by_beginning:
            return False
        words = normalized(text).split()
        return any(
            words[i : i + len(quote)] == quote
            for i in range(len(words) - QUOTED_WORDS + 1)
            for quote in self.by_beginning.get(tuple(words[i : i + QUOTED_WORDS]), ())
        )
