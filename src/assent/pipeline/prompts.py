"""Prompts that a policy can answer: those that leave room for an answer in its context."""

from __future__ import annotations

from collections.abc import Sequence

from assent.core.errors import DataError
from assent.core.runlog import RunLog
from assent.core.types import Prompt
from assent.data.render import Renderer


def that_fit(
    prompts: Sequence[Prompt], renderer: Renderer, *, context: int, max_new_tokens: int, log: RunLog
) -> list[Prompt]:
    """The prompts of at most `context` - `max_new_tokens` tokens; says how many were left out.

    Raises DataError where none is left.
    """
    room = context - max_new_tokens
    kept = [p for p in prompts if len(renderer.prompt(p)) <= room]
    if prompts and not kept:
        raise DataError(
            f"none of {len(prompts)} prompts fits: the model's context is {context} tokens and answers may take"
            f" {max_new_tokens}; lower max_new_tokens or shorten the prompts"
        )
    if len(kept) < len(prompts):
        log.say(f"{len(prompts) - len(kept)} of {len(prompts)} prompts are left out: longer than {room} tokens")
    return kept
