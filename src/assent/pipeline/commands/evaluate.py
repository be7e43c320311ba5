"""`assent evaluate`: suites asked of any policy or reward model, alone or beside another, outside a run."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import Field

from assent.artifacts.find import model_folder, passed_over
from assent.artifacts.identity import hash_whole
from assent.core.config import Config, overlay, parse_sets, read_yaml
from assent.core.errors import ConfigError
from assent.core.files import new_directory
from assent.core.progress import Screen
from assent.evaluation.catalog import SUITES, suite_of
from assent.evaluation.outcomes import Found, report
from assent.evaluation.subject import Subject
from assent.evaluation.suite import Measure, SuiteReport
from assent.evaluation.suites.config import SuiteConfig
from assent.models.config import ModelConfig
from assent.pipeline.backends import Backends, machine
from assent.pipeline.config import ComputeConfig
from assent.pipeline.places import moved
from assent.pipeline.stages.measure import examined, judge_of, policy_subject, reward_subject
from assent.pipeline.stages.settings import MeasureStage
from assent.pipeline.subjects import Watch
from assent.raters.config import RatersConfig

EVALUATIONS = Path("evaluations")


class SuitesFile(Config):
    """What `assent evaluate` reads: suites, and how models are loaded."""

    suites: tuple[SuiteConfig, ...] = Field(min_length=1)
    """Each with its kind and where its questions lie; relative paths are taken from the file's own folder."""
    seed: int = 0
    """Draws items, where a suite has a limit, and answers."""
    judge: RatersConfig | None = None
    """Who judges the answers in suites that want a judge; null: nobody."""
    model: ModelConfig = ModelConfig()
    """How models are loaded."""
    compute: ComputeConfig = ComputeConfig()
    """Threads and device."""

    def stages(self) -> dict[str, MeasureStage]:
        """The suites by their titles."""
        return {one.title: MeasureStage.of(one, self.seed, self.judge, self.model, self.compute) for one in self.suites}


def evaluate(
    names: list[str],
    *,
    file: Path | None,
    suites: tuple[str, ...],
    settings: tuple[str, ...] = (),
    to: Path = EVALUATIONS,
) -> Iterator[str]:
    """Examine each model, write what was found below `to`, and yield tables, a line at a time.

    Of several models the first is what the others are compared with, item by item. `suites` are "kind=path".
    """
    config = suites_file(file, suites, settings)
    yield from (line for name in names if (line := passed_over(name)) is not None)
    stages = config.stages()
    for stage in stages.values():
        # Questions that cannot be read are known before a model is loaded.
        suite_of(stage.suite).load(stage.suite)
    backends = Backends(config.model, config.compute)
    watch = Screen(sys.stderr).bar
    with machine(config.compute):
        subjects = [named_subject(backends, name, watch=watch) for name in names]
        weights = {name: weights_of(name) for name in names}
        for title, stage in stages.items():
            first: Found | None = None
            judge = judge_of(stage, backends)
            for subject in subjects:
                if not suite_of(stage.suite).abilities & subject.abilities:
                    yield f"{title}: {subject.name} cannot be asked that; it is left out"
                    continue
                found = examined(stage, subject, judge=judge, log=lambda text: None)
                found = found.model_copy(update={"weights": weights[subject.name]})
                measured = report(found, suite_of(stage.suite).measures(stage.suite), before=first)
                folder = folder_of(to, subject.name) / title
                with new_directory(folder) as partial:
                    found.write(partial)
                yield from table(measured, found)
                yield f"  every item: {folder}"
                first = first or found


def suites_file(file: Path | None, suites: tuple[str, ...], settings: tuple[str, ...]) -> SuitesFile:
    """The settings of a file with those of the command line. Raises ConfigError naming what is wrong."""
    values: dict[str, Any] = {} if file is None else read_yaml(file)
    for one in suites:
        kind, equals, path = one.partition("=")
        known = sorted(suite.kind for suite in SUITES)
        alone = sorted(suite.kind for suite in SUITES if not suite.config.model_fields["path"].is_required())
        if kind not in known or (not equals and kind not in alone):
            raise ConfigError(
                f"--suite wants kind=path, got {one!r}; kinds are {', '.join(known)}; without a path {', '.join(alone)}"
            )
        said = {"kind": kind} | ({"path": str(Path(path).absolute())} if equals else {})
        values = overlay(values, {"suites": [*values.get("suites", ()), said]})
    if "suites" not in values:
        raise ConfigError("no suites: give a file with suites, or --suite kind=path")
    config = SuitesFile.parse(overlay(values, parse_sets(settings)), where=str(file or "assent evaluate"))
    titles = [one.title for one in config.suites]
    if twice := sorted({one for one in titles if titles.count(one) > 1}):
        raise ConfigError(f"two suites are called {twice[0]!r}; give one of them another name")
    return config if file is None else moved(config, old=file.parent, new=Path())


def named_subject(backends: Backends, name: str, *, watch: Watch) -> Subject:
    """The policy or the reward model that a name means."""
    folder = model_folder(name)
    if is_reward(folder):
        return reward_subject(backends, folder, name=name, watch=watch)
    return policy_subject(backends, folder, name=name, watch=watch)


def folder_of(evaluations: Path, name: str) -> Path:
    """Where what was found of a model of this name is written."""
    return evaluations / re.sub(r"[^\w.-]+", "-", name).strip("-.")


def weights_of(name: str) -> str:
    """Hash of the model that a name means; empty for a hub id."""
    folder = model_folder(name)
    return hash_whole(folder) if isinstance(folder, Path) else ""


def is_reward(folder: Path | str) -> bool:
    """Whether a model folder holds a sequence-classification model; a hub id is taken for a policy."""
    from transformers import AutoConfig

    if not Path(folder).is_dir():
        return False
    shape = AutoConfig.from_pretrained(folder)
    return any("SequenceClassification" in one for one in getattr(shape, "architectures", None) or ())


def table(found: SuiteReport, of: Found) -> Iterator[str]:
    """A suite's measures in words, with intervals, and the null baselines beside them."""
    yield f"{of.suite}: {of.subject}, {of.notes.get('items', len(of.outcomes))} items"
    for name, one in found.measures.items():
        nulls = [
            f"{null} {value:.3g}" for null, values in found.nulls.items() if (value := values.get(name)) is not None
        ]
        beside = f"; without any thought: {', '.join(nulls)}" if nulls else ""
        yield f"  {name.replace('_', ' ')}: {_numbers(one)}{beside}"
    yield from (f"  {name}: {value}" for name, value in of.notes.items() if name != "items" and value)


def _numbers(one: Measure) -> str:
    arrow = "" if one.lower_is_better is None else " (lower is better)" if one.lower_is_better else ""
    alone = "does not apply" if one.after is None else f"{one.after}{arrow}, n = {one.n}"
    moved = one.difference
    if moved is None:
        return alone
    return f"{alone}; {moved.estimate:+.3f} [{moved.low:+.3f}, {moved.high:+.3f}] against the first"
