"""Groups with their targets side by side, neither of which needs to be in memory as objects."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from assent.core.group import Group, answer_starts
from assent.core.lazy import Lazy, Mapped, Places, pick, places_where
from assent.training.targets import Target

Member = tuple[Group, Target]


class Members(Lazy[Member]):
    """Each group with its target: a lazy `zip`."""

    def __init__(self, groups: Sequence[Group], targets: Sequence[Target]) -> None:
        """Raises ValueError for sequences of different lengths."""
        if len(groups) != len(targets):
            raise ValueError(f"each group wants one target, and there are {len(groups)} groups, {len(targets)} targets")
        self.groups, self.targets = groups, targets

    @classmethod
    def of(cls, members: Sequence[Member]) -> Members:
        """Of pairs, or itself."""
        return members if isinstance(members, Members) else cls([g for g, _ in members], [t for _, t in members])

    def __len__(self) -> int:
        """How many there are."""
        return len(self.groups)

    def at(self, place: int) -> Member:
        """The pair at this place."""
        return self.groups[place], self.targets[place]

    def changed(self, change: Callable[[Target], Target]) -> Members:
        """The same groups with what a function makes of their targets, whenever one is asked for."""
        return Members(self.groups, Mapped(change, self.targets))

    def where(self, is_kept: Callable[[Target], bool]) -> Members:
        """Those whose targets are kept."""
        places = places_where(self.targets, is_kept)
        return Members(pick(self.groups, places), pick(self.targets, places))

    @property
    def starts(self) -> Places:
        """[n + 1] where the answers of each group begin among all answers."""
        return answer_starts(self.groups)
