"""Which turns of a demonstration are learned."""

from __future__ import annotations

from collections.abc import Sequence

from assent.core.errors import DataError
from assent.core.types import Conversation, Message


def learned(conversation: Conversation, turns: Sequence[Message]) -> list[int]:
    """Where the assistant turns stand that are to be learned; what opens a conversation never is.

    Meta `learn` is all, last, or a list of numbers of assistant turns counted from the last. Raises DataError where it
    is something else.
    """
    learn = conversation.meta.get("learn", "all")
    spoken = [i for i, turn in enumerate(turns) if turn.role == "assistant"]
    if learn == "last":
        chosen = spoken[-1:]
    elif isinstance(learn, list) and learn and all(type(n) is int and n > 0 for n in learn):
        chosen = [i for number, i in enumerate(reversed(spoken), start=1) if number in learn][::-1]
    elif learn == "all":
        chosen = spoken
    else:
        raise DataError(
            f"conversation {conversation.id} has meta learn: {learn!r}; it should be all, last or numbers of"
            " assistant turns, counted from the last"
        )
    return [i for i in chosen if i > 0]
