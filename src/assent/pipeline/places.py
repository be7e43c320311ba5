"""Where things lie: relative paths of a YAML are taken from its own folder; runs go below the current folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assent.artifacts.find import RUNS
from assent.data.config import Source
from assent.feedback.config import StoreConfig
from assent.models.config import ModelConfig
from assent.pipeline.config import FileData, PretrainedBase, RunConfig, load_config
from assent.raters.config import RewardModelConfig
from assent.training.method import ModelRewardConfig

_SQLITE = "sqlite:///"


@dataclass(frozen=True)
class Project:
    """A run's settings, with every path as seen from the current folder."""

    config: RunConfig
    source: Path
    """The YAML."""

    @property
    def run_folder(self) -> Path:
        """Folder that everything of the run is written into, except the feedback store."""
        return RUNS / self.config.name


def open_project(path: Path, overlays: tuple[Path, ...] = (), settings: tuple[str, ...] = ()) -> Project:
    """Read a YAML with its overlays and `--set`s; their relative paths are taken from the YAML's folder.

    Raises ConfigError naming file and key.
    """
    config = load_config(path, overlays=overlays, settings=settings)
    return Project(moved(config, old=path.parent, new=Path()), path)


def moved(config: RunConfig, *, old: Path, new: Path) -> RunConfig:
    """The same settings with paths that were relative to `old` written relative to `new`; absolute ones stay.

    Relative paths stay relative, so that a project folder may be moved without anything being made again.
    """

    def place(path: str | Path) -> str:
        return str(path) if Path(path).is_absolute() else os.path.relpath(old / path, new)

    def place_if_folder(path: str) -> str:
        """Hub ids look like relative paths; only what is there is one."""
        return place(path) if (old / path).is_dir() or path.startswith((".", "/")) else path

    base = config.base
    if isinstance(base, PretrainedBase):
        base = base.model_copy(update={"path": place_if_folder(base.path)})
    return config.model_copy(
        update={
            "base": base,
            "model": _model(config.model, place),
            "data": _data(config.data, place, place_if_folder),
            "collect": _collect(config, place_if_folder),
            "optimize": _optimize(config, place_if_folder),
            "store": _store(config.store, place),
        }
    )


_Place = Callable[[str], str]


def _model(model: ModelConfig, place: _Place) -> ModelConfig:
    is_file = model.template is not None and "{" not in model.template
    return model.model_copy(update={"template": place(str(model.template))}) if is_file else model


def _data(data: Any, place: _Place, place_if_folder: _Place) -> Any:
    if not isinstance(data, FileData):
        return data

    def source(one: Source) -> Source:
        if one.path is not None:
            return one.model_copy(update={"path": Path(place(str(one.path)))})
        return one.model_copy(update={"hub": place_if_folder(str(one.hub))})

    return with_sources(data, source)


def with_sources(data: FileData, change: Callable[[Source], Source]) -> FileData:
    """The data with every source changed."""
    return data.model_copy(
        update={name: tuple(change(one) for one in found) for name, found in sources_of(data).items()}
    )


def sources_of(data: FileData) -> Mapping[str, tuple[Source, ...]]:
    """The sources by the part of the data they belong to."""
    return {
        name: getattr(data, name) for name in ("demonstrations", "prompts", "comparisons", "corpus", "eval_prompts")
    }


def _collect(config: RunConfig, place_if_folder: _Place) -> Any:
    collect = config.collect
    if collect is None or not isinstance(collect.raters, RewardModelConfig):
        return collect
    raters = collect.raters.model_copy(update={"path": place_if_folder(collect.raters.path)})
    return collect.model_copy(update={"raters": raters})


def _optimize(config: RunConfig, place_if_folder: _Place) -> Any:
    optimize = config.optimize
    rewards = getattr(optimize, "rewards", None)
    if rewards is None:
        return optimize
    terms = tuple(
        term.model_copy(update={"path": place_if_folder(term.path)})
        if isinstance(term, ModelRewardConfig) and term.path is not None
        else term
        for term in rewards
    )
    return optimize.model_copy(update={"rewards": terms})


def _store(store: StoreConfig, place: _Place) -> StoreConfig:
    if not store.url.startswith(_SQLITE):
        return store
    return store.model_copy(update={"url": _SQLITE + place(store.url.removeprefix(_SQLITE))})
