"""Scripts: what is said to a target turn by turn, with places where the target answers for itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from assent.core.types import Message


@dataclass(frozen=True)
class Turn:
    """One turn. What a user asks for stands in `payload`, and what an operator put around it before and after."""

    role: Literal["system", "user", "assistant"]
    payload: str = ""
    """What may not be left out when a script is made shorter; empty: the whole turn may go."""
    before: str = ""
    after: str = ""
    is_open: bool = False
    """An assistant's turn that the target itself says when the script is played."""

    @property
    def text(self) -> str:
        """The whole turn."""
        return self.before + self.payload + self.after


@dataclass(frozen=True)
class Script:
    """Turns that end with a user's, to which the target's answer is judged."""

    turns: tuple[Turn, ...]

    @classmethod
    def of(cls, request: str) -> Script:
        """A request and nothing else."""
        return cls((Turn("user", request),))

    @property
    def last(self) -> Turn:
        """What is asked at the end."""
        return self.turns[-1]

    @property
    def calls(self) -> int:
        """How often the target answers while it is played."""
        return 1 + sum(turn.is_open for turn in self.turns)

    @property
    def text(self) -> str:
        """What is said, as people read it; a place for the target's own words is shown as such."""
        if len(self.turns) == 1:
            return self.last.text
        return "\n\n".join(f"{t.role}: {'[its own answer]' if t.is_open else t.text}" for t in self.turns)

    def framed(self, before: str, after: str = "") -> Script:
        """The same with words around the last turn."""
        last = replace(self.last, before=before + self.last.before, after=self.last.after + after)
        return Script((*self.turns[:-1], last))

    def asking(self, payload: str, *, before: str = "", after: str = "") -> Script:
        """The same with another last turn."""
        return Script((*self.turns[:-1], replace(self.last, payload=payload, before=before, after=after)))

    def preceded(self, *turns: Turn) -> Script:
        """The same after other turns; those of the system stay first."""
        system = tuple(turn for turn in self.turns if turn.role == "system")
        rest = tuple(turn for turn in self.turns if turn.role != "system")
        return Script((*system, *turns, *rest))

    def messages(self, said: tuple[str, ...]) -> tuple[Message, ...] | None:
        """What the target is shown once it has answered as `said` so far; None where the script is at its end."""
        shown: list[Message] = []
        answers = iter(said)
        for turn in self.turns:
            if turn.is_open:
                answer = next(answers, None)
                if answer is None:
                    return tuple(shown)
                shown.append(Message(role="assistant", content=answer))
            else:
                shown.append(Message(role=turn.role, content=turn.text))
        return None if next(answers, None) is not None else tuple(shown)
