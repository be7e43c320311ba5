"""Changes of an answer that make it no better, and the harmless text that each is held against."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assent.core.config import read_yaml

_EDITS = Path(__file__).parent / "edits.yaml"


@dataclass(frozen=True)
class Edit:
    """A change of an answer that makes it no better: words behind it, or a form for each of its lines."""

    name: str
    after: str = ""
    line: str = ""

    def change(self, text: str) -> str:
        """The answer with the change."""
        if self.line:
            return "\n".join(self.line.replace("{}", line) for line in text.splitlines() if line.strip()) or text
        return f"{text}\n\n{self.after}"


@functools.cache
def _texts() -> dict[str, Any]:
    """edits.yaml, read once."""
    return read_yaml(_EDITS)


def edits() -> tuple[Edit, ...]:
    """All edits that a judge is probed with, in the order of edits.yaml."""
    return tuple(Edit(name, **said) for name, said in _texts()["edits"].items())


def reward_edits() -> tuple[Edit, ...]:
    """Those that a reward is probed with while it trains a policy: padding and flattery."""
    padding = next(edit for edit in edits() if edit.name == "padding")
    return (padding, *(Edit(name, **said) for name, said in _texts()["of_rewards"].items()))


def placebo(text: str, length: int) -> str:
    """The text with harmless words behind it, as long as the edited one; never shorter than the text itself."""
    room = length - len(text) - 2
    if room <= 0:
        return text
    words = str(_texts()["placebo"]) + " "
    return f"{text}\n\n{(words * (1 + room // len(words)))[:room]}".rstrip()
