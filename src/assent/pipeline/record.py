"""What a run writes down of itself as it goes: its steps, its rounds by name, and what it was before it changed."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from assent.artifacts.project import RunFolder, read_steps, write_steps
from assent.artifacts.round import Made, write_round
from assent.artifacts.stage import LogOptions, Runner, Step
from assent.artifacts.versions import lost, rounds_in, set_aside
from assent.pipeline.clock import date_identity
from assent.pipeline.config import RunConfig
from assent.pipeline.rounds import run_all


@dataclass
class Record:
    """The files in a run's folder that say what it made. Before a name in them changes hands, its version is kept."""

    run: Runner
    before: list[dict[str, Any]] = field(default_factory=list)
    """Steps of an earlier start that this one has not come to yet."""

    @classmethod
    def of(cls, run: Runner, config: RunConfig) -> Record:
        """Of a run that is about to begin: where its settings would take names away, its version is kept first."""
        found = cls(run)
        if lost(run.root, {}):
            found.keep(planned(run.root, config))
        found.before = read_steps(run.root)
        run.noted = found.note
        return found

    def note(self, steps: Sequence[Step]) -> None:
        """Write down the steps so far. What was not come to yet stays as it was."""
        write_steps(self.run.root, steps, before=self.before)
        there, found = rounds_in(self.run.root), rounds_of([step for step in steps if step.artifact.is_made])
        rounds = {number: _with_rest(made, there.get(number, ())) for number, made in found.items()}
        if self.keep({**there, **rounds}):
            there, rounds = {}, found
        for number, made in rounds.items():
            if made != there.get(number):
                write_round(self.run.root, number, made)

    def end(self) -> None:
        """The run has come to its end: its steps are all that there are."""
        write_steps(self.run.root, self.run.steps)
        write_rounds(self.run.root, self.run.steps)
        rounds = rounds_of(self.run.steps)
        for folder in RunFolder(self.run.root).rounds:
            if int(folder.name.removeprefix("round-")) not in rounds:
                shutil.rmtree(folder)

    def keep(self, now: dict[int, list[Made]]) -> bool:
        """Keep the version that was, where names of it would be lost by `now`, and say so; whether that was so."""
        version = set_aside(self.run.root, now)
        if version is None:
            return False
        self.before = []
        self.run.log.say(f"{self.run.root.name} has changed; what it made before is kept as {version}")
        return True


def planned(folder: Path, config: RunConfig) -> dict[int, list[Made]]:
    """What a run with these settings would name, by round, as far as it is known before it runs."""
    also, quiet = partial(date_identity, config), LogOptions(quiet=True, tensorboard=False)
    with Runner(folder, seed=config.seed, logs=quiet, planning=True, also=also, home=folder.parent) as run:
        run_all(run, config)
        return rounds_of(run.steps)


def rounds_of(steps: Sequence[Step]) -> dict[int, list[Made]]:
    """What the steps of a run make, by the round that names it; round 0 is what the first one starts from."""
    rounds: dict[int, list[Made]] = {}
    for step in steps:
        made = Made(step.stage, step.artifact.kind, step.artifact.name, step.artifact.key)
        match step.scope:
            case ():
                # Base, then SFT where there is one: the last policy is what round 1 starts from.
                rounds.setdefault(0, []).append(made)
            case ("round", int(number)):
                rounds.setdefault(number, []).append(made)
            case ("suite", str(title)):
                rounds.setdefault(0, []).append(dataclasses.replace(made, stage=f"suite {title}"))
            case ("round", int(number), "suite", str(title)):
                rounds.setdefault(number, []).append(dataclasses.replace(made, stage=f"suite {title}"))
    return rounds


def write_rounds(folder: Path, steps: Sequence[Step]) -> None:
    """Write round-N/round.json for every round that has made something, so that rounds can be named."""
    for number, made in rounds_of(steps).items():
        write_round(folder, number, made)


def _with_rest(made: Sequence[Made], before: Sequence[Made]) -> list[Made]:
    """What a round has made by now, then what it made before of stages that it has not come to."""
    reached = {one.stage for one in made}
    return [*made, *(one for one in before if one.stage not in reached)]
