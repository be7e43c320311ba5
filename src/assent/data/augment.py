"""Counterfactual copies of comparisons: words for one group of people exchanged for another's, in prompt and answers.

Who ranked what above what stays, so what a reward model could learn of the words themselves cancels out (counterfactual
data augmentation, Zmigrod et al. 2019; Maudslay et al. 2019). Copies are marked, and only ever learned from.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from assent.core import seeds
from assent.core.types import Comparison, Message, Prompt
from assent.data.splits import split_key
from assent.data.swaps import Axis, SwapLists

MARK = "counterfactual"
"""Key of a copy's meta: which exchange made it."""


@dataclass(frozen=True)
class Copies:
    """Swapped copies, and what was counted on the way."""

    comparisons: tuple[Comparison, ...]
    of: tuple[int, ...]
    """The place of the comparison that each is a copy of."""
    mentioning: int
    """Comparisons that name a group."""
    alike: int
    """Copies left out because two of their answers would be the same text."""
    held_out: int
    """Copies left out because their prompt is one that is held out."""

    def lines(self) -> list[str]:
        """What was done, in words; a line where anything was."""
        if not self.mentioning:
            return ["no comparison names a group of people, so there are no counterfactual copies"]
        lost = self.alike + self.held_out
        return [
            f"{len(self.comparisons)} copies with words for people exchanged, of {self.mentioning} comparisons"
            + (f"; {lost} left out (answers alike {self.alike}, prompt held out {self.held_out})" if lost else "")
        ]

    def facts(self) -> dict[str, int]:
        """The counts, for the manifest."""
        return {"counterfactual_copies": len(self.comparisons)}


def counterfactual_copies(
    comparisons: Sequence[Comparison], lists: SwapLists, *, held_out: Iterable[Comparison] = (), seed: int = 0
) -> Copies:
    """A copy of each comparison along each axis whose groups it names; the other group is drawn by the seed."""
    kept_apart = {split_key(one) for one in held_out}
    copies, places, mentioning, alike, away = [], [], 0, 0, 0
    for number, comparison in enumerate(comparisons):
        texts = [m.content for m in comparison.prompt.messages] + [c.text for c in comparison.completions]
        is_named = False
        for axis in lists.axes:
            named = sorted(set().union(*(axis.mentions(text) for text in texts)))
            if not named:
                continue
            is_named = True
            copy = _copy(comparison, axis, named, seeds.derive(seed, "augment", axis.axis, number))
            if len({c.text for c in copy.completions}) < len({c.text for c in comparison.completions}):
                alike += 1
            elif split_key(copy) in kept_apart:
                away += 1
            else:
                copies.append(copy)
                places.append(number)
        mentioning += is_named
    return Copies(tuple(copies), tuple(places), mentioning, alike, away)


def _copy(comparison: Comparison, axis: Axis, named: Sequence[str], seed: int) -> Comparison:
    """Two groups that are named are exchanged; a single one is exchanged with one that is not."""
    one = named[seed % len(named)]
    others = [group for group in (named if len(named) > 1 else axis.groups) if group != one]
    other = others[seed // 7 % len(others)]

    def turned(text: str) -> str:
        return axis.exchanged(text, one, other)

    def said(message: Message) -> Message:
        return message.model_copy(update={"content": turned(message.content)})

    old = comparison.prompt
    prompt = Prompt(messages=tuple(said(m) for m in old.messages), meta=old.meta, tools=old.tools)
    answers = tuple(
        c.model_copy(update={"text": turned(c.text), "prompt_id": prompt.id}) for c in comparison.completions
    )
    meta = {**comparison.meta, MARK: f"{axis.axis}: {one} ↔ {other}"}
    return Comparison(prompt=prompt, completions=answers, judgments=comparison.judgments, meta=meta)
