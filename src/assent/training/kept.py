"""Models that are kept from the way of a training: whole plain folders, beside the result."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from assent.core import files
from assent.training.evaluation_config import KeepConfig

_STEP = re.compile(r"step-(\d+)")


@dataclass(frozen=True)
class Kept:
    """Writes the model after the steps that the settings name; it stays through a kill."""

    config: KeepConfig
    folder: Path
    save: Callable[[Path], None]
    """Writes the model as it is into a folder that is there and empty."""

    def after(self, taken: int) -> None:
        """Keep the model after so many steps, where it is wanted. The same step again replaces what it left."""
        by_cadence = self.config.every is not None and taken % self.config.every == 0
        if not by_cadence and taken not in self.config.at:
            return
        files.remove_partials(self.folder)
        with files.new_directory(self.folder / f"step-{taken}") as partial:
            self.save(partial)
        if self.config.last is not None:
            spare = [n for n in self.steps() if n not in self.config.at and n <= taken]
            for n in spare[: -self.config.last]:
                shutil.rmtree(self.folder / f"step-{n}")

    def steps(self) -> list[int]:
        """Steps of which the model lies in the folder."""
        found = (_STEP.fullmatch(path.name) for path in self.folder.glob("step-*"))
        return sorted(int(match[1]) for match in found if match)

    def hand_over(self, output: Path) -> list[int]:
        """Move what was kept into `output`; the steps."""
        steps = self.steps()
        for n in steps:
            (self.folder / f"step-{n}").rename(output / f"step-{n}")
        return steps
