"""`assent run --plan`: what would run and what is done already. Nothing is run, and no model is loaded."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from assent.artifacts.stage import Runner, Step
from assent.pipeline.clock import date_identity, with_date
from assent.pipeline.config import FileData, RunConfig
from assent.pipeline.places import open_project, with_sources
from assent.pipeline.rounds import run_all


def plan_project(
    path: Path, overlays: tuple[Path, ...] = (), settings: tuple[str, ...] = (), *, skip_bad: bool = False
) -> list[str]:
    """One line per stage: done, would resume, or would run. Nothing is run.

    Large files are taken to be what they were, by size and times (artifacts/digests.py).
    """
    project = open_project(path, overlays, settings)
    config = with_date(with_skip_bad(project.config) if skip_bad else project.config, project.run_folder)
    folder, also = project.run_folder, partial(date_identity, config)
    with Runner(folder, seed=config.seed, planning=True, also=also, home=folder.parent) as run:
        run_all(run, config)
        steps = list(run.steps)
    width = max(len(_where(step)) for step in steps)
    lines = [f"{_where(step):{width}}  {step.state:12}  {step.artifact.name}" for step in steps]
    left = sum(step.state != "done" for step in steps)
    return [*lines, f"{len(steps) - left} of {len(steps)} stages are done; results go to {project.run_folder}"]


def with_skip_bad(config: RunConfig) -> RunConfig:
    """The settings as if every source of data said `skip_bad: true`."""
    if not isinstance(config.data, FileData):
        return config
    data = with_sources(config.data, lambda source: source.model_copy(update={"skip_bad": True}))
    return config.model_copy(update={"data": data})


def _where(step: Step) -> str:
    return " ".join(str(part) for part in (*step.scope, step.stage))
