"""`assent evaluate`: suites asked of any policy or reward model, alone or beside another, outside a run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from assent.artifacts.find import model_folder
from assent.core.config import Config, overlay, parse_sets, read_yaml
from assent.core.errors import ConfigError
from assent.evaluation.catalog import SUITES, suite_of
from assent.evaluation.outcomes import Found, report
from assent.evaluation.subject import Subject
from assent.evaluation.suite import Measure, SuiteReport
from assent.evaluation.suites.config import SuiteConfig
from assent.models.config import ModelConfig
from assent.pipeline.backends import Backends, machine
from assent.pipeline.config import ComputeConfig
from assent.pipeline.stages.measure import MeasureStage, examined, policy_subject, reward_subject

EVALUATIONS = Path("evaluations")


class SuitesFile(Config):
    """What `assent evaluate` reads: suites, and how models are loaded."""

    suites: tuple[SuiteConfig, ...] = Field(min_length=1)
    """Each with its kind and where its questions lie; relative paths are taken from the file's own folder."""
    seed: int = 0
    """Draws items, where a suite has a limit, and answers."""
    model: ModelConfig = ModelConfig()
    """How models are loaded."""
    compute: ComputeConfig = ComputeConfig()
    """Threads and device."""

    def stages(self) -> dict[str, MeasureStage]:
        """The suites by their titles."""
        return {
            one.title: MeasureStage(suite=one, items_seed=self.seed, model=self.model, compute=self.compute)
            for one in self.suites
        }


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
    backends = Backends(config.model, config.compute)
    with machine(config.compute):
        subjects = [named_subject(backends, name) for name in names]
        for title, stage in config.stages().items():
            first: Found | None = None
            for subject in subjects:
                if not suite_of(stage.suite).abilities & subject.abilities:
                    yield f"{title}: {subject.name} cannot be asked that; it is left out"
                    continue
                found = examined(stage, subject, log=lambda text: None)
                folder = to / re.sub(r"[^\w.-]+", "-", subject.name).strip("-.") / title
                found.write(folder)
                yield from table(report(found, suite_of(stage.suite).kinds, before=first), found)
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
    base = Path() if file is None else file.parent
    placed = tuple(
        one if one.path is None else one.model_copy(update={"path": base / one.path}) for one in config.suites
    )
    titles = [one.title for one in placed]
    if twice := sorted({one for one in titles if titles.count(one) > 1}):
        raise ConfigError(f"two suites are called {twice[0]!r}; give one of them another name")
    return config.model_copy(update={"suites": placed})


def named_subject(backends: Backends, name: str) -> Subject:
    """The policy or the reward model that a name means."""
    folder = model_folder(name)
    if is_reward(folder):
        return reward_subject(backends, folder, name=name)
    return policy_subject(backends, folder, name=name)


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
    yield from (f"  {name}: {value}" for name, value in of.notes.items() if isinstance(value, str))
    missing = _missing(of)
    yield from (f"  {name}: could not be read of {count} items" for name, count in missing.items())


def _numbers(one: Measure) -> str:
    arrow = "" if one.lower_is_better is None else " (lower is better)" if one.lower_is_better else ""
    alone = "does not apply" if one.after is None else f"{one.after}{arrow}, n = {one.n}"
    moved = one.difference
    if moved is None:
        return alone
    return f"{alone}; {moved.estimate:+.3f} [{moved.low:+.3f}, {moved.high:+.3f}] against the first"


def _missing(of: Found) -> Mapping[str, int]:
    """Notes that count items."""
    return {name: value for name, value in of.notes.items() if isinstance(value, int) and name != "items" and value}
