"""The passport of a profile: everything that its publication rests on, as one record beside its file."""

from __future__ import annotations

import datetime
from pathlib import Path

from pydantic import ValidationError

from assent.core import files
from assent.core.errors import DataError
from assent.core.types import Record
from assent.evaluation.gate.decide import Decision
from assent.evaluation.winrate import WinRate
from assent.profiles.config import Evidence
from assent.profiles.trial import OffsetTrial


class Passport(Record):
    """What was found of a profile when it was last fitted or asked to be published."""

    id: str
    parents: tuple[str, ...]
    """Whom it descends from, the root first."""
    audience: dict[str, tuple[str, ...]]
    """With what the parents say."""
    principles: tuple[str, ...]
    tone: dict[str, float]
    floor: tuple[str, ...]
    """Each line of the inherited safety floor, in words."""
    evidence: Evidence | None = None
    trial: OffsetTrial | None = None
    """Of the offset; None where evidence allows none."""
    wins: WinRate | None = None
    """Blind verdicts of people of the audience who were not learned from, against the parent's policy."""
    left_out: int = 0
    """Verdicts of others."""
    floor_held: Decision | None = None
    """What the gate says of the floor; None where there is no line, or nothing was measured yet."""
    expires: datetime.date | None = None
    reasons: tuple[str, ...] = ()
    """Why it is not published; empty: it is."""
    published: datetime.date | None = None

    def write(self, folder: Path) -> Path:
        """Write it beside the profile."""
        path = place_of(folder, self.id)
        files.write_json(path, self.model_dump(mode="json"))
        return path

    @classmethod
    def read(cls, folder: Path, name: str) -> Passport | None:
        """The last one of a profile; None where it has none. Raises DataError for a file that holds none."""
        path = place_of(folder, name)
        if not path.is_file():
            return None
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8"))
        except ValidationError:
            again = f"holds no passport; make it again: assent profile publish {name}"
            raise DataError(again, path=path) from None


def place_of(folder: Path, name: str, ending: str = "json") -> Path:
    """Where a profile's passport lies."""
    return folder / "passports" / f"{name}.{ending}"
