"""How answers are drawn: temperature, nucleus, length, stops."""

from __future__ import annotations

from pydantic import Field, field_validator

from assent.core.config import Config


class Sampling(Config):
    """How one answer is drawn from a policy."""

    temperature: float = Field(default=1.0, ge=0.0, allow_inf_nan=False)
    """Logits are divided by this before the softmax; 0 takes the most likely token."""
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    """Draw only from the smallest set of tokens that holds this much probability; 1 draws from all of them."""
    max_new_tokens: int = Field(default=128, ge=1)
    """An answer that has not ended after this many tokens is cut and flagged as unfinished."""
    stop: tuple[str, ...] = ()
    """Texts that end an answer, besides the end-of-turn tokens of the policy."""

    @field_validator("stop")
    @classmethod
    def _check_stop(cls, stop: tuple[str, ...]) -> tuple[str, ...]:
        if "" in stop:
            raise ValueError("a stop text may not be empty")
        return stop

    def cut(self, text: str) -> str:
        """The text before the first stop text: the token that completed it may have carried more."""
        ends = [at for at in (text.find(stop) for stop in self.stop) if at >= 0]
        return text[: min(ends)] if ends else text

    def settled(self, growing: str) -> str:
        """What of a growing text is sure to stay: it ends before a stop text, and before what may become one."""
        text = self.cut(growing)
        begun = (n for stop in self.stop for n in range(1, len(stop)) if text.endswith(stop[:n]))
        return text[: len(text) - max(begun, default=0)]
