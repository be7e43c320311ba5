"""`assent judge`: hold a judge against what people said, write its record, and ask its anchors again."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, model_validator

from assent.artifacts.outside import identity_of
from assent.core import progress
from assent.core.config import Config
from assent.core.errors import ConfigError, UserError
from assent.core.layers import layers, parse
from assent.core.types import Comparison, Judgment, Purpose, Rater, Task
from assent.data.config import Source
from assent.data.load import load_comparisons
from assent.evaluation.validation.probes import PROBED
from assent.evaluation.validation.record import FEWEST_ANCHORS, Bar, in_words
from assent.evaluation.validation.validate import validate
from assent.feedback.config import StoreConfig
from assent.feedback.records.queue import Queue
from assent.feedback.store import Store
from assent.feedback.terminal import note
from assent.models.config import ModelConfig
from assent.pipeline.backends import Backends, machine
from assent.pipeline.config import ComputeConfig
from assent.pipeline.judging import panel_of, worth_knowing
from assent.pipeline.places import moved
from assent.raters.config import (
    AutoraterConfig,
    ConstitutionConfig,
    FunctionConfig,
    RatersConfig,
    RewardModelConfig,
)
from assent.raters.rater import SingleRater

AT_ONCE = 32
"""Tasks between two looks at the bar."""
JUDGES = (AutoraterConfig, ConstitutionConfig, RewardModelConfig, FunctionConfig)
"""Raters that can be held against people."""


@dataclass(frozen=True)
class Watched:
    """A judge at work, with a bar: its tasks are handed to it in parts."""

    judge_of: SingleRater
    watch: Callable[[str, int], AbstractContextManager[progress.Bar]]

    @property
    def record(self) -> Rater:
        """That of the judge."""
        return self.judge_of.record

    def judge(self, tasks: Sequence[Task]) -> list[Judgment]:
        """What the judge says."""
        said: list[Judgment] = []
        with self.watch(f"judging {tasks[0].id.rpartition('-')[0]}" if tasks else "judging", len(tasks)) as bar:
            for start in range(0, len(tasks), AT_ONCE):
                said += self.judge_of.judge(tasks[start : start + AT_ONCE])
                bar.advance(len(tasks[start : start + AT_ONCE]))
        return said


class StoreLabels(Config):
    """Judgments of people in a feedback store."""

    store: StoreConfig = StoreConfig()
    """The store."""
    project: str
    """The project whose judgments are labels."""


class JudgeFile(Config):
    """What `assent judge` reads."""

    judge: RatersConfig
    """An autorater, a constitution with `ask: all`, a reward model or a function, as under `collect.raters`."""
    labels: tuple[Source, ...] = ()
    """Files of comparisons that people made."""
    from_store: StoreLabels | None = None
    """Judgments of people in a feedback store, besides."""
    bar: Bar = Bar()
    """What it has to reach before a gate takes its word."""
    epsilon: float = Field(default=0.15, ge=0, lt=1)
    """What the judge may be worse than a person in the alternative-annotator test: 0.2 beside experts, 0.15 beside
    skilled people, 0.1 beside a crowd."""
    own_source: str | None = None
    """The source, or the model, of answers that the judge's own model wrote, to see whether it prefers them."""
    anchors: int = Field(default=FEWEST_ANCHORS, ge=2)
    """Pairs that are kept to be judged again on every run."""
    probes: int = Field(default=PROBED, ge=2)
    """Pairs on which each edit and each null answer is tried at most, about 18 questions for each of them: fewer for a
    slow judge, whose biases are then known less surely."""
    seed: int = 0
    """Draws the anchors."""
    model: ModelConfig = ModelConfig()
    """How models are loaded."""
    compute: ComputeConfig = ComputeConfig()
    """Threads and device."""

    @model_validator(mode="after")
    def _check(self) -> JudgeFile:
        if not isinstance(self.judge, JUDGES):
            raise ValueError(
                f"judge.kind is {self.judge.kind}; a judge is an autorater, a constitution,"
                " a reward_model or a function"
            )
        if not self.labels and self.from_store is None:
            raise ValueError("no labels: give files of comparisons under labels, or a project under from_store")
        return self


def judge_file(path: Path, settings: tuple[str, ...] = ()) -> JudgeFile:
    """The settings, with relative paths as seen from here. Raises ConfigError."""
    config = parse(JudgeFile, layers(path, settings=settings))
    return moved(config, old=path.parent, new=Path())


def run_validation(path: Path, *, to: Path, settings: tuple[str, ...] = ()) -> Iterator[str]:
    """Hold the judge of a file against its labels; write judge.json and anchors.jsonl into `to`, and say what is known.

    Raises UserError where there are no labels.
    """
    config = judge_file(path, settings)
    comparisons, said = labels_of(config)
    yield from said
    with machine(config.compute):
        judge = open_judge(config.judge, Backends(config.model, config.compute))
        record, anchors = validate(
            Watched(judge, progress.Screen(sys.stderr).bar),
            comparisons,
            identity=identity_of(config.judge),
            bar=config.bar,
            own_source=config.own_source,
            epsilon=config.epsilon,
            anchors=config.anchors,
            probes=config.probes,
            seed=config.seed,
        )
    record.write(to, anchors)
    yield from in_words(record)
    yield from (f"  {line}" for line in worth_knowing([judge]))
    if len(anchors) < FEWEST_ANCHORS:
        yield f"  only {len(anchors)} anchors: with fewer than {FEWEST_ANCHORS} a small drift goes unseen"
    yield f"its record is in {to}"


def labels_of(config: JudgeFile) -> tuple[list[Comparison], list[str]]:
    """The comparisons that people made, and how many, in words."""
    found: list[Comparison] = []
    said: list[str] = []
    if config.labels:
        found, report = load_comparisons(config.labels)
        said += report.lines()
    if (asked := config.from_store) is not None:
        if not asked.store.exists:
            raise UserError(f"there is no store at {asked.store.shown}; correct from_store.store.url")
        with Store.open(asked.store.url) as store:
            note(store.events, "judge", project=asked.project)
            machines = {rater.id for rater in store.raters() if rater.kind != "person"}
            purposes: tuple[Purpose, ...] = ("reward", "evaluation")
            there = [one for purpose in purposes for one in store.comparisons(Queue(asked.project, purpose))]
        kept = [one for one in (_by_people(one, machines) for one in there) if one is not None]
        said.append(f"project {asked.project}: {len(kept)} of {len(there)} tasks have judgments of people")
        found += kept
    if not found:
        raise UserError("there are no labels of people to hold the judge against")
    return found, said


def _by_people(comparison: Comparison, machines: set[str]) -> Comparison | None:
    kept = tuple(one for one in comparison.judgments if one.rater_id not in machines)
    return comparison.model_copy(update={"judgments": kept}) if kept else None


def open_judge(config: RatersConfig, backends: Backends) -> SingleRater:
    """The judge of the settings. Raises ConfigError for raters that are none."""
    panel = panel_of(config, lab=None, role="evaluation", seed=0, backends=backends)
    if panel is None or len(panel.members) != 1:
        raise ConfigError(
            f"{config.kind} raters are no single judge; give an autorater, a constitution with ask: all, a reward_model"
            " or a function"
        )
    return panel.members[0]
