"""Null answers: what can be said without any thought. Whatever likes one of them measures something else."""

from __future__ import annotations

from collections.abc import Callable

from assent.core.types import Prompt

CONSTANT = "I am not sure, but here is what I can say about that."
"""The same to everything."""


def echo(prompt: Prompt) -> str:
    """What was asked, said back."""
    return prompt.messages[-1].content if prompt.messages else ""


NULL_ANSWERS: dict[str, Callable[[Prompt], str]] = {
    "empty": lambda prompt: "",
    "constant": lambda prompt: CONSTANT,
    "echo": echo,
    "repeated": lambda prompt: " ".join([CONSTANT] * 4),
}
"""Those that a reward is asked about, by name."""
