"""The rows of a cell, in the order in which both sides see them, and what is held out. Needs only Python.

A job is a cell, the folder that `bench_prepare` filled, and a number of updates (fewer for a trial).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HELD_OUT, HELD_OUT_PROMPTS = 64, 32
Pair = dict[str, Any]
"""`prompt`: ids; `answers`: lists of ids, the better first."""


@dataclass(frozen=True)
class Work:
    """What one command is to do."""

    cell: dict[str, Any]
    folder: Path
    updates: int
    data: dict[str, Any]
    is_trial: bool = False
    """Whether it is only timed: what was learned is not looked at."""

    @classmethod
    def of(cls, job: dict[str, Any]) -> Work:
        folder = Path(job["folder"])
        data = json.loads((folder / "data.json").read_text())
        return cls(job["cell"], folder, job["updates"], data, job.get("is_trial", False))

    @property
    def batch(self) -> int:
        return int(self.cell["batch"])

    @property
    def start(self) -> Path:
        """SFT starts from the base, everything else from the fine-tuned model."""
        return self.folder / ("model" if self.cell["stage"] == "sft" else "start")

    def pairs(self) -> list[Pair]:
        """The pairs of the updates, in order; each update takes the next `batch` of them."""
        count = self.updates * self.batch
        rows = self._rows()
        if len(rows) < HELD_OUT // 4 + 1:
            raise SystemExit(f"there are only {len(rows)} rows for {self.cell['name']}")
        return [rows[n % len(rows)] for n in range(count)]

    def held_out(self) -> list[Pair]:
        """Pairs that no cell trains on."""
        return list(self.data["pairs"][:HELD_OUT] if len(self.data["pairs"]) > 4 * HELD_OUT else self.data["pairs"][:8])

    def _rows(self) -> list[Pair]:
        every = list(self.data["pairs"])
        rows = every[HELD_OUT:] if len(every) > 4 * HELD_OUT else every[8:]
        match self.cell["lengths"]:
            case "equal":
                return [row for row in self.data["equal"] if row not in self.data["pairs"][:HELD_OUT]] or rows
            case "prompts":
                longer = [[*rows[(n + 1) % len(rows)]["prompt"]] for n in range(len(rows))]
                return [
                    {
                        **row,
                        "prompt": longer[n] + longer[(n + 1) % len(rows)] + longer[(n + 2) % len(rows)] + row["prompt"],
                    }
                    for n, row in enumerate(rows)
                ]
        more = self.cell["answers"] - 2
        if more <= 0:
            return rows
        others = [answer for row in rows for answer in row["answers"]]
        return [
            {**row, "answers": row["answers"] + [others[(7 * n + i) % len(others)] for i in range(more)]}
            for n, row in enumerate(rows)
        ]

    def prompts(self) -> list[dict[str, Any]]:
        """Of the batches of rollouts, in order: `batch` rows are `batch / samples` prompts."""
        count = self.updates * self.batch // self.cell["samples"]
        rows = self.data["prompts"][HELD_OUT_PROMPTS:]
        return [rows[n % len(rows)] for n in range(count)]

    def held_out_prompts(self) -> list[dict[str, Any]]:
        return list(self.data["prompts"][:HELD_OUT_PROMPTS])


def reward(text: str) -> float:
    """What GRPO and RLOO are rewarded for on both sides: the share of the letter e among the letters, 0 to 1."""
    letters = [letter for letter in text.lower() if letter.isalpha()]
    return letters.count("e") / len(letters) if letters else 0.0
