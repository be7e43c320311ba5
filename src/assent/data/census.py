"""What became of the columns of a source: which were read, which ignored, what was left out of rows, with counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Census:
    """Counts over the rows of one file that were read."""

    used: Mapping[str, int] = field(default_factory=dict)
    """Column -> rows in which it was read."""
    kept: Mapping[str, int] = field(default_factory=dict)
    """Column -> prompts that carry it as meta, for reward functions."""
    ignored: Mapping[str, int] = field(default_factory=dict)
    """Column (or "messages.name", a key of turns) -> rows in which it said something that was not read."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """What was left out or taken another way, in words -> how often."""

    def lines(self) -> list[str]:
        """The census in words; nothing where nothing was counted."""
        parts = [("columns read", self.used), ("kept as meta", self.kept), ("ignored", self.ignored)]
        parts += [("noted", self.dropped)]
        said = "; ".join(f"{what}: {_counts(counts)}" for what, counts in parts if counts)
        return [said] if said else []

    def as_dict(self) -> dict[str, dict[str, int]]:
        """The census as JSON."""
        return {name: dict(getattr(self, name)) for name in ("used", "kept", "ignored", "dropped")}


@dataclass
class Tally:
    """Counts while rows are read; a row has its own, which counts only once the row is used."""

    used: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    ignored: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)

    def read(self, *names: str) -> None:
        """Columns that a reader has read; once a row however often."""
        for name in names:
            self.used[name] = max(1, self.used[name])

    def keep(self, name: str) -> None:
        """A column that became meta of a prompt."""
        self.kept[name] = 1

    def ignore(self, *names: str) -> None:
        """Columns that say something and are not read; once a row however often."""
        for name in names:
            self.ignored[name] = max(1, self.ignored[name])

    def drop(self, what: str) -> None:
        """Something left out of a row, or taken in another way than it is written."""
        self.dropped[what] += 1

    def add(self, other: Tally) -> None:
        """Count what another has counted."""
        self.used += other.used
        self.kept += other.kept
        self.ignored += other.ignored
        self.dropped += other.dropped

    def census(self) -> Census:
        """The counts so far."""
        return Census(dict(self.used), dict(self.kept), dict(self.ignored), dict(self.dropped))


def together(censuses: Iterable[Census]) -> Census:
    """The counts of several files as one."""
    tally = Tally()
    for census in censuses:
        tally.add(Tally(*(Counter(counts) for counts in census.as_dict().values())))
    return tally.census()


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
