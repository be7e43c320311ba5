"""Fitting token sequences into a model's context: refuse, drop, or cut prompts on the left, and count what was done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar, cast

import numpy as np

from assent.core.errors import DataError
from assent.core.group import Group, TokenIds

Policy = Literal["error", "drop", "truncate_left"]
_Item = TypeVar("_Item")


@dataclass(frozen=True, eq=False)
class Fitted(Generic[_Item]):
    """What fits. `kept[n]` is the position of `items[n]` in what was given; positions missing there were dropped."""

    items: tuple[_Item, ...]
    kept: tuple[int, ...]
    num_dropped: int
    num_truncated: int

    def checked(self, what: str, *, max_length: int) -> Fitted[_Item]:
        """Itself. Raises DataError where nothing is left of what was given."""
        if self.num_dropped and not self.items:
            raise DataError(
                f"none of {self.num_dropped} {what} fits into {max_length} tokens; raise max_length (the model's "
                "context is the most it can be), or shorten them"
            )
        return self

    def lines(self) -> list[str]:
        """What was done to make things fit, in words; empty when nothing was."""
        said = [f"{self.num_truncated} prompts cut on the left to fit the context"] if self.num_truncated else []
        return said + ([f"{self.num_dropped} dropped, longer than the context"] if self.num_dropped else [])


def fit(groups: Sequence[Group], *, max_length: int, policy: Policy, bos_id: int | None = None) -> Fitted[Group]:
    """Make every row (prompt and its longest continuation) at most `max_length` tokens.

    `truncate_left` cuts the beginning of the prompt, keeping a `bos_id` that stands first; a group whose answer alone
    leaves no room for one prompt token is dropped. Answers are never cut. "error" raises DataError at the first.
    """
    return _fit([_room(group, max_length) for group in groups], list(groups), policy, bos_id)


def fit_prompts(
    prompts: Sequence[TokenIds], *, max_length: int, policy: Policy, bos_id: int | None = None
) -> Fitted[TokenIds]:
    """The same for prompts that are still to be answered: at most `max_length` tokens, room for the answer left out."""
    return _fit([max_length] * len(prompts), list(prompts), policy, bos_id)


def _room(group: Group, max_length: int) -> int:
    return max_length - max(len(continuation) for continuation in group.continuations)


def _fit(rooms: Sequence[int], items: list[_Item], policy: Policy, bos_id: int | None) -> Fitted[_Item]:
    """`rooms[n]` is how many tokens the prompt of item n may have."""
    kept: list[int] = []
    fitting: list[_Item] = []
    truncated = 0
    for number, (room, item) in enumerate(zip(rooms, items, strict=True)):
        length = len(_prompt(item))
        if length <= room:
            kept.append(number)
            fitting.append(item)
        elif policy == "error":
            raise DataError(
                f"item {number + 1} does not fit: its prompt has {length} tokens, {max(room, 0)} fit; "
                "shorten it, or choose drop or truncate_left for what is too long"
            )
        elif policy == "truncate_left" and room >= 1:
            truncated += 1
            kept.append(number)
            fitting.append(_with_prompt(item, _cut(_prompt(item), room, bos_id)))
    return Fitted(tuple(fitting), tuple(kept), len(items) - len(kept), truncated)


def _prompt(item: object) -> TokenIds:
    return item.prompt if isinstance(item, Group) else np.asarray(item)


def _with_prompt(item: _Item, prompt: TokenIds) -> _Item:
    fitted: Any = Group(prompt, item.continuations, item.is_scored) if isinstance(item, Group) else prompt
    return cast("_Item", fitted)


def _cut(prompt: TokenIds, room: int, bos_id: int | None) -> TokenIds:
    if bos_id is not None and prompt[0] == bos_id and room > 1:
        return np.concatenate([prompt[:1], prompt[len(prompt) - room + 1 :]])
    return prompt[len(prompt) - room :]
