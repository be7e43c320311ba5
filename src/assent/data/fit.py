"""Fitting token sequences into a model's context: refuse, drop, or cut prompts on the left, and count what was done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from assent.core.errors import DataError
from assent.core.group import Group, TokenIds

Policy = Literal["error", "drop", "truncate_left"]


@dataclass(frozen=True, eq=False)
class Fitted:
    """What fits. `kept[n]` is the position of `items[n]` in what was given; positions missing there were dropped."""

    items: tuple[Group, ...]
    kept: tuple[int, ...]
    num_dropped: int
    num_truncated: int

    def checked(self, what: str, *, max_length: int) -> Fitted:
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


def fit(groups: Sequence[Group], *, max_length: int, policy: Policy, bos_id: int | None = None) -> Fitted:
    """Make every row (prompt and its longest continuation) at most `max_length` tokens.

    `truncate_left` cuts the beginning of the prompt, keeping a `bos_id` that stands first; a group whose answer alone
    leaves no room for one prompt token is dropped. Answers are never cut. "error" raises DataError at the first.
    """
    kept: list[int] = []
    fitting: list[Group] = []
    truncated = 0
    for number, group in enumerate(groups):
        room = max_length - max(len(continuation) for continuation in group.continuations)
        length = len(group.prompt)
        if length <= room:
            kept.append(number)
            fitting.append(group)
        elif policy == "error":
            raise DataError(
                f"item {number + 1} does not fit: its prompt has {length} tokens, {max(room, 0)} fit; "
                "shorten it, or choose drop or truncate_left for what is too long"
            )
        elif policy == "truncate_left" and room >= 1:
            truncated += 1
            kept.append(number)
            fitting.append(Group(_cut(group.prompt, room, bos_id), group.continuations, group.is_scored))
    return Fitted(tuple(fitting), tuple(kept), len(groups) - len(kept), truncated)


def _cut(prompt: TokenIds, room: int, bos_id: int | None) -> TokenIds:
    if bos_id is not None and prompt[0] == bos_id and room > 1:
        return np.concatenate([prompt[:1], prompt[len(prompt) - room + 1 :]])
    return prompt[len(prompt) - room :]
