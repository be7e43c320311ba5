"""Prompts that a policy can answer: those that leave room for an answer in its context."""

from __future__ import annotations

from collections.abc import Sequence

from assent.core.errors import DataError
from assent.core.lazy import Places, pick, places_where
from assent.core.runlog import RunLog
from assent.core.types import Prompt
from assent.data.render import Renderer


def that_fit(
    prompts: Sequence[Prompt], renderer: Renderer, *, context: int, max_new_tokens: int, log: RunLog
) -> Sequence[Prompt]:
    """The prompts of at most `context` - `max_new_tokens` tokens; says how many were left out.

    Raises DataError where none is left.
    """
    return pick(prompts, places_that_fit(prompts, renderer, context=context, max_new_tokens=max_new_tokens, log=log))


def places_that_fit(
    prompts: Sequence[Prompt], renderer: Renderer, *, context: int, max_new_tokens: int, log: RunLog
) -> Places:
    """The places [n] of the prompts that fit, in order; as `that_fit`."""
    room = context - max_new_tokens
    kept = places_where(prompts, lambda one: len(renderer.prompt(one)) <= room)
    if len(prompts) and not len(kept):
        raise DataError(
            f"none of {len(prompts)} prompts fits: the model's context is {context} tokens and answers may take"
            f" {max_new_tokens}; lower max_new_tokens or shorten the prompts"
        )
    if len(kept) < len(prompts):
        log.say(f"{len(prompts) - len(kept)} of {len(prompts)} prompts are left out: longer than {room} tokens")
    return kept
