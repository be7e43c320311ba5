"""Fitting talks into a context: first exchanges go, the system turn and the end stay, wherever talks are cut."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from assent.core.errors import DataError, ModelError
from assent.core.group import Group
from assent.core.group_store import GroupStore
from assent.core.types import Conversation, Message, Prompt, stray_result
from assent.data.fit import Policy, fit
from assent.data.render import Renderer
from assent.data.turn_form import Talk


@dataclass(frozen=True)
class _Asked:
    """A prompt and its answers."""

    messages: tuple[Message, ...]
    tools: tuple[dict[str, Any], ...]
    texts: Sequence[str]
    finished: Sequence[bool]


_Item = TypeVar("_Item", Conversation, _Asked)


@dataclass(frozen=True, eq=False)
class Fitted:
    """What fits. `kept[n]` is the place of item n's groups in what was given; places missing there were dropped."""

    flat: Sequence[Group]
    """Groups of what is kept, in order: one of each item, or of a demonstration one for each turn that is learned."""
    kept: tuple[int, ...]
    dropped: int
    shortened: int
    """Items that lost their first exchanges."""
    truncated: int
    """Items of which one exchange was left and whose prompt was then cut on the left."""

    def checked(self, what: str, *, max_length: int) -> Fitted:
        """Itself. Raises DataError where nothing is left of what was given."""
        if self.dropped and not self.kept:
            raise DataError(
                f"none of {self.dropped} {what} fits into {max_length} tokens; raise max_length (the model's "
                "context is the most it can be), or shorten them"
            )
        return self

    def lines(self, what: str, *, max_length: int) -> list[str]:
        """What was done to make things fit, in words; empty when nothing was."""
        total = len(self.kept) + self.dropped
        said = (
            (self.shortened, "lost their first exchanges"),
            (self.truncated, "lost the beginning of their prompt"),
            (self.dropped, "are left out"),
        )
        return [f"{n} of {total} {what} {done} to fit {max_length} tokens" for n, done in said if n]

    def facts(self) -> dict[str, int]:
        """The counts, for a manifest."""
        return {"too_long": self.dropped, "shortened": self.shortened, "truncated": self.truncated}


def row_limit(max_length: int | None, context: int) -> int:
    """Tokens of the longest row: what the settings say, and at most what the model can read."""
    return context if max_length is None else min(max_length, context)


def fit_demonstrations(
    conversations: Iterable[Conversation], renderer: Renderer, *, max_length: int, policy: Policy
) -> Fitted:
    """Conversations as groups of at most `max_length` tokens.

    `truncate_left` drops first exchanges (from a user turn to the next) until the rest fits, then the beginning of the
    prompt; answers are never cut, and what they alone do not leave room for is dropped. So are prompts with tools,
    calls or results, whose beginning is never cut. "error" raises DataError.
    """

    def render(talk: Conversation, messages: tuple[Message, ...]) -> tuple[Group, ...]:
        same = talk if messages is talk.messages else talk.model_copy(update={"messages": messages})
        return tuple(renderer.demonstration(same))

    return _fit(conversations, render, renderer, max_length=max_length, policy=policy)


def fit_comparisons(
    asked: Iterable[tuple[Prompt, Sequence[str], Sequence[bool]]],
    renderer: Renderer,
    *,
    max_length: int,
    policy: Policy,
) -> Fitted:
    """Prompts with their answers (texts, and whether each ended) as groups; each row at most `max_length` tokens.

    As `fit_demonstrations`; all answers of a prompt see the same part of the talk.
    """
    items = (_Asked(prompt.messages, prompt.tools, texts, finished) for prompt, texts, finished in asked)

    def render(one: _Asked, messages: tuple[Message, ...]) -> tuple[Group, ...]:
        return (renderer.group(Prompt(messages=messages, tools=one.tools), one.texts, one.finished),)

    return _fit(items, render, renderer, max_length=max_length, policy=policy)


def without_first_exchange(messages: Sequence[Message]) -> tuple[Message, ...] | None:
    """The talk without its first exchange: from the first user turn to the next; None where there is only one.

    System turns at the beginning stay. A call and its result stay together: both go or none.
    """
    begin = next((i for i, turn in enumerate(messages) if turn.role != "system"), len(messages))
    users = [i for i in range(begin, len(messages)) if messages[i].role == "user"]
    later = [i for i in users if i > begin]
    # Two user turns in a row are one exchange.
    later = [i for i in later if messages[i - 1].role != "user"]
    later = [i for i in later if stray_result(messages[i:]) is None]
    return (*messages[:begin], *messages[later[0] :]) if later else None


def _fit(
    items: Iterable[_Item],
    render: Callable[[_Item, tuple[Message, ...]], tuple[Group, ...]],
    renderer: Renderer,
    *,
    max_length: int,
    policy: Policy,
) -> Fitted:
    kept: list[int] = []
    groups = GroupStore()
    shortened = truncated = number = 0
    for number, item in enumerate(items, start=1):
        made = _made(item, render, number)
        if policy == "error" and _longest(made) > max_length:
            raise DataError(
                f"{_named(item, number)} does not fit: it has {_longest(made)} tokens, {max_length} fit; shorten it, or"
                " choose drop or truncate_left for what is too long"
            )
        messages, is_cut = item.messages, False
        while policy == "truncate_left" and _longest(made) > max_length:
            shorter = without_first_exchange(messages)
            if shorter is None:
                break
            messages, is_cut = shorter, True
            made = render(item, messages)
        is_whole = policy == "truncate_left" and not Talk(messages, item.tools).is_plain
        last_resort: Policy = "drop" if is_whole else policy
        fitted = fit(made, max_length=max_length, policy=last_resort, bos_id=renderer.tokenizer.bos_token_id)
        if len(fitted.items) == len(made):
            kept.append(number - 1)
            for group in fitted.items:
                groups.append(group)
            shortened += is_cut
            truncated += bool(fitted.num_truncated)
    return Fitted(groups, tuple(kept), number - len(kept), shortened, truncated)


def _made(
    item: _Item, render: Callable[[_Item, tuple[Message, ...]], tuple[Group, ...]], number: int
) -> tuple[Group, ...]:
    try:
        return render(item, item.messages)
    except (DataError, ModelError) as wrong:
        raise type(wrong)(f"{_named(item, number)}: {wrong}") from None


def _named(item: _Item, number: int) -> str:
    """The row's number, from 1, and how it begins: the file that it came from is not known here."""
    return f"row {number}, which begins {item.messages[0].content[:60]!r},"


def _longest(groups: Sequence[Group]) -> int:
    return max(len(group.prompt) + max(map(len, group.continuations)) for group in groups)
