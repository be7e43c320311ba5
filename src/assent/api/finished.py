"""A run that has ended, as an object: its models' folders, its numbers, its verdict, and a way to export it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from assent.core.errors import UserError

Part = Literal["policy", "reward"]
"""Which of a run's models."""


class FinishedRun:
    """What lies in the folder of a run that has ended. Raises UserError where there is none."""

    def __init__(self, folder: Path | str) -> None:
        from assent.report.run_folder import RESULT

        self.folder = Path(folder)
        """The run's own folder."""
        if not (self.folder / RESULT).is_file():
            raise UserError(f"{self.folder} holds no finished run ({RESULT} is missing); finish it first")
        self.metrics: Mapping[str, Any] = json.loads((self.folder / RESULT).read_text(encoding="utf-8"))
        """All numbers, as in result.json: per round win rate, reward accuracy and KL with their intervals."""

    @property
    def policy(self) -> Path:
        """The folder of the newest policy that passed its gate: `AutoModelForCausalLM.from_pretrained` loads it."""
        return _model(str(self.folder))

    @property
    def reward(self) -> Path | None:
        """The folder of the newest reward model; None where the run fitted none."""
        name = self._name_of("reward")
        return None if name is None else _model(name)

    @property
    def verdict(self) -> list[str]:
        """What the run reached, in the words that `assent run` ends with."""
        from assent.pipeline.run import verdict

        return list(verdict(self.metrics))

    @property
    def report(self) -> Path:
        """The page with curves, examples and lineage."""
        return self.folder / "report.html"

    def export(self, to: Path | str, part: Part = "policy", *, adapter: bool = False, dtype: str = "base") -> Path:
        """Write a model as a plain Hugging Face folder with its lineage and a card, as `assent export` does.

        Raises UserError where `to` holds anything already, or there is no such model.
        """
        from assent.pipeline.commands.export import export_model

        name = self._name_of(part)
        if name is None:
            raise UserError(f"{self.folder} has fitted no reward model; export the policy")
        list(export_model(name, Path(to), adapter=adapter, dtype=dtype))
        return Path(to)

    def __repr__(self) -> str:
        return f"FinishedRun({str(self.folder)!r})"

    def _name_of(self, part: Part) -> str | None:
        """The name that commands know a model of the run by."""
        if part == "policy":
            return str(self.folder)
        fitted = [one["round"] for one in self.metrics["rounds"] if part in one["artifacts"]]
        return str(self.folder / f"round-{fitted[-1]}" / part) if fitted else None


def _model(name: str) -> Path:
    from assent.artifacts.find import find_artifact, model_of

    return model_of(find_artifact(name))
