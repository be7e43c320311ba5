"""Who is who among rows: prompts whose ids clash, and votes of raters whom a file does not name."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from assent.core.hashing import hash_json, short
from assent.core.lazy import Mapped, pick
from assent.core.types import Comparison, Judgment, Prompt, said_in
from assent.data.formats import Said
from assent.data.shingling import normalized

UNNAMED = frozenset({"unknown", "trl", "hh", "ultrafeedback", "oasst", "kto", "helpsteer", "saferlhf", "arena"})
"""Names that readers give to a rater whom the file does not name."""

_Said = TypeVar("_Said", bound=Said)


@dataclass(frozen=True)
class Distinct:
    """Prompts that differ, each with an id of its own."""

    prompts: Sequence[Prompt]
    repeated: int
    """Rows that asked what an earlier one had asked."""
    renamed: int
    """Prompts whose id stood for other prompts too, and that are now named by their content."""

    def lines(self) -> list[str]:
        """What was done, in words."""
        said = [f"{self.repeated} prompts are asked again and count once"] if self.repeated else []
        if self.renamed:
            said.append(f"{self.renamed} prompts share an id with others and are named by their content")
        return said

    def facts(self) -> dict[str, int]:
        """The counts, for a manifest."""
        return {"repeated": self.repeated, "renamed": self.renamed}


def distinct(prompts: Sequence[Prompt]) -> Distinct:
    """Each prompt once, in order. An id that stands for several prompts (files that count from 0) names none of them.

    Two rows ask the same where their turns are equal, letter by letter; the first of them is kept.
    """
    first: dict[bytes, int] = {}
    ids: Counter[str] = Counter()
    for place, prompt in enumerate(prompts):
        said = bytes.fromhex(hash_json(said_in(prompt)))
        if said not in first:
            first[said] = place
            ids[prompt.id] += 1
    shared = {name: count for name, count in ids.items() if count > 1}

    def named(prompt: Prompt) -> Prompt:
        if prompt.id not in shared:
            return prompt
        return prompt.model_copy(update={"id": f"p-{short(hash_json(said_in(prompt)))}"})

    kept = pick(prompts, np.fromiter(first.values(), dtype=np.int64, count=len(first)))
    renamed = list(map(named, kept)) if isinstance(kept, list) else Mapped(named, kept)
    return Distinct(renamed, len(prompts) - len(kept), sum(shared.values()))


@dataclass(frozen=True)
class Apart(Generic[_Said]):
    """Comparisons, and what else a store takes in, where votes of unnamed raters are votes of different people."""

    comparisons: Sequence[_Said]
    again: int
    """Votes on answers on which an unnamed rater had voted before."""

    def lines(self) -> list[str]:
        """What was done, in words."""
        if not self.again:
            return []
        return [f"{self.again} votes of unnamed raters on answers that have one already count as other people's"]

    def facts(self) -> dict[str, int]:
        """The count, for a manifest."""
        return {"unnamed_again": self.again}


class Numbering:
    """Numbers the votes of unnamed raters on the same answers to the same prompt: "trl", "trl 2", "trl 3".

    It is called with comparison by comparison, in the order of the rows: the number depends on that order alone, so the
    same file read again gives the same names.
    """

    def __init__(self) -> None:
        self.again = 0
        """Votes so far on answers on which an unnamed rater had voted before."""
        self._votes: Counter[bytes] = Counter()

    def __call__(self, comparison: _Said) -> _Said:
        """The next one, with its votes numbered."""
        if not isinstance(comparison, Comparison) or not any(
            judgment.rater_id in UNNAMED for judgment in comparison.judgments
        ):
            return comparison
        about = _about(comparison)
        judgments: list[Judgment] = []
        for judgment in comparison.judgments:
            if judgment.rater_id in UNNAMED:
                place = hashlib.sha256(f"{about} {judgment.rater_id}".encode()).digest()[:16]
                self._votes[place] += 1
                if (number := self._votes[place]) > 1:
                    self.again += 1
                    judgment = judgment.model_copy(update={"rater_id": f"{judgment.rater_id} {number}"})
            judgments.append(judgment)
        return comparison.model_copy(update={"judgments": tuple(judgments)})


def _about(comparison: Comparison) -> str:
    """What is judged: the prompt and the set of answers."""
    return hash_json([said_in(comparison.prompt), sorted(normalized(c.text) or c.text for c in comparison.completions)])
