"""Principles as a policy is told them: one system turn before a conversation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from assent.core.types import Message, Prompt


def told(turns: Sequence[Message], principles: Sequence[str]) -> tuple[Message, ...]:
    """The turns after the principles; those of an own system turn are kept below them."""
    if not principles:
        return tuple(turns)
    text = "\n".join(principles)
    if turns and turns[0].role == "system":
        return (Message(role="system", content=f"{text}\n\n{turns[0].content}"), *turns[1:])
    return (Message(role="system", content=text), *turns)


def prompt_under(prompt: Prompt, principles: Sequence[str]) -> Prompt:
    """A prompt whose policy is told principles; it keeps its id, since to raters it is the same question."""
    return prompt.model_copy(update={"messages": told(prompt.messages, principles)})


def of_tone(tone: Mapping[str, float]) -> str:
    """A tone in words: "very polite, rather not direct"; empty where there is none."""
    words = []
    for axis, value in tone.items():
        if value:
            much = "very" if abs(value) > 2 / 3 else "" if abs(value) > 1 / 3 else "rather"
            words.append(" ".join(part for part in (much, "not" if value < 0 else "", axis) if part))
    return ", ".join(words)
