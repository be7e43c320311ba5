"""Prompts with answers to other prompts: how much likelier a policy made any answer at all (KTO's reference point)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from assent.core import seeds
from assent.core.errors import DataError
from assent.core.group import Group
from assent.core.hashing import hash_bytes
from assent.core.lazy import Mapped


def mismatched(groups: Sequence[Group], *, seed: int) -> Sequence[Group]:
    """For each group its prompt with an answer to another prompt, the same in all passes, never a longer row than any.

    Raises DataError where there are not two different prompts.
    """
    count = len(groups)
    asked, prompts, answers = (np.zeros(count, dtype=np.int64) for _ in range(3))
    longest = 0
    for i, group in enumerate(groups):
        asked[i] = int(hash_bytes(group.prompt.tobytes())[:15], 16)
        prompts[i], answers[i] = len(group.prompt), len(group.continuations[0])
        longest = max(longest, group.longest)
    if len(np.unique(asked)) < 2:
        raise DataError(
            "kto learns how far the policy went by answers to other prompts, and all labelled answers have the same"
            " prompt; give answers to two prompts or more"
        )
    order = seeds.stream(seed).permutation(count)
    place = np.argsort(order)
    other = np.full(count, -1)
    for i in range(count):
        turns = (order[(place[i] + turn) % count] for turn in range(1, count))
        fitting = (j for j in turns if asked[j] != asked[i] and prompts[i] + answers[j] <= longest)
        other[i] = next(fitting, -1)
    # The shortest prompt has room for every answer, so there is one; a long prompt without any takes another's place.
    own = np.where(other < 0, np.argmax(other >= 0), np.arange(count))

    def swapped(i: int) -> Group:
        return Group(groups[own[i]].prompt, (groups[other[own[i]]].continuations[0],))

    return Mapped(swapped, range(count))
