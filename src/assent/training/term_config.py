"""What every term of a reward says of itself: its weight, its name, and what it needs of each prompt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from assent.core.config import Config
from assent.core.errors import DataError
from assent.core.types import Prompt

Normalize = Literal["batch", "none"]
"""batch: less the mean of the step's answers, divided by their deviation; none: as it is."""


class TermConfig(Config):
    """Base of the terms."""

    weight: float = 1.0
    """Factor in the sum of rewards; 0: it is logged and does not count."""
    name: str | None = Field(default=None, min_length=1, max_length=60, json_schema_extra={"added_later": True})
    """Its name in logs and reports; null: a name made from its kind."""

    @property
    def title(self) -> str:
        """What it is called."""
        return self.name or str(getattr(self, "kind", ""))

    @property
    def uses_trained(self) -> bool:
        """Whether it asks the reward model that this round trains."""
        return False

    @property
    def reads(self) -> Mapping[str, str]:
        """Which columns of a prompt's row it reads, by what it reads there; empty: none."""
        return {}

    def refuse_prompt(self, prompt: Prompt) -> None:
        """Raise DataError where a prompt lacks what the term reads of it."""


def meta_at(prompt: Prompt, key: str) -> Any:
    """The value of a key of a prompt's meta, or of a key below one (`extra.answer`). Raises DataError without one."""
    if key in prompt.meta:
        return prompt.meta[key]
    value: Any = prompt.meta
    for part in key.split("."):
        if not isinstance(value, Mapping) or part not in value:
            there = ", ".join(map(repr, prompt.meta)) or "nothing"
            raise DataError(
                f"the prompt has no {key!r}, which a term of optimize.rewards or constraints reads; beside the prompt"
                f" it has {there}: correct the row, or the term's key"
            )
        value = value[part]
    return value
