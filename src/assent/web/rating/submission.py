"""What a rater says about a task, as the rating page and programs send it; plain records that need no server."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import Field, model_validator

from assent.core.types import Flag, Judgment, Note, Ranking
from assent.web.bodies import Body

LONGEST = 100_000
"""Characters of a critique, note or edit."""
MOST_EVENTS, MOST_NOTES, MOST_LEASES = 2_000, 200, 50
Id = Annotated[str, Field(min_length=1, max_length=200)]
Text = Annotated[str, Field(max_length=LONGEST)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
_NOT_DUMPED = {"token", "activity", "translated", "events", "ranking", "notes"}
"""Fields that a judgment does not have, and records that it takes as they are."""


class Submission(Body):
    """A judgment as the page sends it. Whose it is and what was shown, the server knows itself."""

    id: Id
    """A UUID; sending it again changes nothing."""
    task_id: Id
    token: str = Field(default="", max_length=200)
    ranking: Ranking | None = None
    flags: dict[Id, tuple[Flag, ...]] = Field(default_factory=dict)
    scores: dict[Id, dict[Id, Finite]] = Field(default_factory=dict)
    critique: Text | None = None
    notes: tuple[Note, ...] = Field(default=(), max_length=MOST_NOTES)
    edits: dict[Id, Text] = Field(default_factory=dict)
    skip_reason: Annotated[str, Field(max_length=2_000)] | None = None
    supersedes: Id | None = None
    seconds: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)] | None = None
    activity: dict[str, Any] = Field(default_factory=dict)
    translated: bool | None = None
    events: tuple[dict[str, Any], ...] = Field(default=(), max_length=MOST_EVENTS)

    @model_validator(mode="after")
    def _check(self) -> Submission:
        if any(max(len(note.text), len(note.quote)) > LONGEST for note in self.notes):
            raise ValueError(f"a note is longer than {LONGEST} characters")
        if len(json.dumps(self.activity)) > 20_000:
            raise ValueError("activity is larger than 20,000 characters")
        return self

    def judgment(self, rater_id: str) -> Judgment:
        """What is kept, from a page or a program. A critique of blanks says nothing."""
        said = self.model_dump(include=Submission.model_fields.keys() - _NOT_DUMPED)
        critique = said.pop("critique")
        flags = {answer: flags for answer, flags in said.pop("flags").items() if flags}
        return Judgment(
            rater_id=rater_id,
            ranking=self.ranking,
            notes=self.notes,
            flags=flags,
            critique=critique if (critique or "").strip() else None,
            **said,
        )


class Renewal(Body):
    """A lease that is still needed."""

    token: str = Field(max_length=200)


class Leaving(Body):
    """Leases of tasks that a page which is left has shown to nobody, or nobody has begun to judge."""

    tokens: tuple[Annotated[str, Field(max_length=200)], ...] = Field(max_length=MOST_LEASES)
