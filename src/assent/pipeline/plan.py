"""`assent run --plan`: what would run and what is done already. Nothing is run, and no model is loaded."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from assent.artifacts.reasons import NEVER
from assent.artifacts.stage import Runner
from assent.artifacts.versions import version_for
from assent.pipeline.beforehand import refuse_settings
from assent.pipeline.clock import date_identity, with_date
from assent.pipeline.config import FileData, RunConfig
from assent.pipeline.memory_plan import MemoryPlan
from assent.pipeline.places import open_project, with_sources
from assent.pipeline.record import rounds_of
from assent.pipeline.rounds import run_all


def plan_project(
    path: Path, overlays: tuple[Path, ...] = (), settings: tuple[str, ...] = (), *, skip_bad: bool = False
) -> list[str]:
    """A line per stage: done, would resume, or would run; below it, why it would. Nothing is run.

    Large files are taken to be what they were, by size and times (artifacts/digests.py).
    """
    project = open_project(path, overlays, settings)
    refuse_settings(project.config)
    config = with_date(with_skip_bad(project.config) if skip_bad else project.config, project.run_folder)
    with planning(project.run_folder, config) as run:
        run_all(run, config)
        steps = list(run.steps)
    width = max(len(step.title) for step in steps)
    lines = []
    for step in steps:
        lines.append(f"{step.title:{width}}  {step.state:12}  {step.artifact.name}")
        if step.why and step.why != (NEVER,):
            lines.append(f"{'':{width}}  {'; '.join(step.why)}")
    left = sum(step.state != "done" for step in steps)
    version = version_for(project.run_folder, rounds_of(steps))
    kept = "" if version is None else f"; what it names now and this would replace is kept as {version}"
    return [*lines, f"{len(steps) - left} of {len(steps)} stages are done; results go to {project.run_folder}{kept}"]


def memory_lines(path: Path, overlays: tuple[Path, ...] = (), settings: tuple[str, ...] = ()) -> list[str]:
    """What each stage takes of the memory that there is, and what is chosen so that it fits."""
    return MemoryPlan.of(open_project(path, overlays, settings).config).lines()


def planning(folder: Path, config: RunConfig) -> Runner:
    """What looks through the stages of a run without running any."""
    also = partial(date_identity, config)
    return Runner(folder, seed=config.seed, planning=True, also=also, home=folder.parent)


def with_skip_bad(config: RunConfig) -> RunConfig:
    """The settings as if every source of data said `skip_bad: true`."""
    if not isinstance(config.data, FileData):
        return config
    data = with_sources(config.data, lambda source: source.model_copy(update={"skip_bad": True}))
    return config.model_copy(update={"data": data})
