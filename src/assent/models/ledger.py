"""The waste ledger: what a model computed beside what was asked of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class WasteLedger:
    """Running counts of one model; every ratio is 1 where nothing is wasted."""

    positions: int = 0
    """Positions that went through the decoder, padding and repeated prompts included."""
    tokens: int = 0
    """Real tokens, prompts counted once."""
    head_rows: int = 0
    """Rows multiplied with the language model's head."""
    scored: int = 0
    """Tokens whose log-probability was asked for."""

    def count(self, *, positions: int = 0, tokens: int = 0, head_rows: int = 0, scored: int = 0) -> None:
        """Add one batch."""
        self.positions += positions
        self.tokens += tokens
        self.head_rows += head_rows
        self.scored += scored

    def facts(self) -> dict[str, float]:
        """Computed positions per real token and head rows per scored token; NaN before the first batch."""
        return {
            "positions_per_token": self.positions / self.tokens if self.tokens else float("nan"),
            "head_rows_per_scored": self.head_rows / self.scored if self.scored else float("nan"),
        }

    def clear(self) -> None:
        """Start counting anew."""
        self.positions = self.tokens = self.head_rows = self.scored = 0
