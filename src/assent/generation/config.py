"""How answers are drawn: temperature, what is left out, length, stops."""

from __future__ import annotations

from pydantic import Field, field_validator

from assent.core.config import Config


class Sampling(Config):
    """How one answer is drawn from a policy."""

    temperature: float = Field(default=1.0, ge=0.0)
    """Logits are divided by this before the softmax; 0 takes the most likely token."""
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    """Draw only from the smallest set of tokens that holds this much probability; 1 draws from all of them."""
    top_k: int | None = Field(default=None, ge=1, json_schema_extra={"added_later": True})
    """Draw only from this many most likely tokens, and from those as likely as the last of them; null: from all."""
    min_p: float = Field(default=0.0, ge=0.0, le=1.0, json_schema_extra={"added_later": True})
    """Draw no token less likely than this share of the most likely one's probability; 0 leaves none out."""
    repetition_penalty: float = Field(default=1.0, gt=0.0, json_schema_extra={"added_later": True})
    """Logits of tokens in the prompt or the answer so far are divided by this where positive, multiplied where
    negative; 1 changes nothing."""
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

    def shaping(self) -> dict[str, float]:
        """The settings that draw from another distribution than the policy's at the temperature, by name, with values.

        What answers are drawn with must then not be taken for the policy itself.
        """
        plain = {"top_p": 1.0, "top_k": None, "min_p": 0.0, "repetition_penalty": 1.0}
        return {name: getattr(self, name) for name, value in plain.items() if getattr(self, name) != value}

    def cut(self, text: str) -> str:
        """The text before the first stop text: the token that completed it may have carried more."""
        ends = [at for at in (text.find(stop) for stop in self.stop) if at >= 0]
        return text[: min(ends)] if ends else text

    def settled(self, growing: str) -> str:
        """What of a growing text is sure to stay: it ends before a stop text, and before what may become one."""
        text = self.cut(growing)
        begun = (n for stop in self.stop for n in range(1, len(stop)) if text.endswith(stop[:n]))
        return text[: len(text) - max(begun, default=0)]
