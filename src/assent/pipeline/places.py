"""Where things lie: relative paths of a YAML are taken from its own folder; runs go below the project's folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from assent.artifacts.layout import PROJECT, RUN_SETTINGS, RUNS
from assent.artifacts.outside import Outside, changed, missing, outside
from assent.artifacts.packaged import is_packaged_name
from assent.core import hub
from assent.core.config import Config
from assent.core.errors import ConfigError
from assent.core.layers import Layer, Values, layers, left_out, parse
from assent.data.config import Source
from assent.evaluation.gate.config import read_gate
from assent.feedback.config import SQLITE
from assent.pipeline.config import FileData, RunConfig


@dataclass(frozen=True)
class OpenProject:
    """A run's settings, with every path as seen from the current folder."""

    config: RunConfig
    source: Path
    """The YAML."""

    @property
    def run_folder(self) -> Path:
        """Folder that everything of the run is written into, except the feedback store."""
        return RUNS / self.config.name


def open_project(path: Path, overlays: tuple[Path, ...] = (), settings: tuple[str, ...] = ()) -> OpenProject:
    """Read a YAML with its overlays and `--set`s; their relative paths are taken from the YAML's folder.

    Raises ConfigError naming file and key.
    """
    config = load_config(path, overlays=overlays, settings=settings)
    return OpenProject(moved(config, old=path.parent, new=Path()), path)


def go_to_project(
    path: Path, overlays: tuple[Path, ...] = (), settings: tuple[str, ...] = ()
) -> tuple[Path, tuple[Path, ...]]:
    """Make the folder of an assent.yaml the current one; the same YAML and overlays as seen from there.

    A project's runs, keys and places in the store are then the same wherever one stands. A YAML of another name is a
    part of the folder one stands in, and a run that was begun there goes on there.
    """
    folder = path.parent
    if path.name != PROJECT.name or not path.is_file() or folder.resolve() == Path.cwd():
        return path, overlays
    begun = open_project(path, overlays, settings).run_folder / RUN_SETTINGS
    if begun.is_file() and not (folder / begun).is_file():
        return path, overlays
    overlays = tuple(one.absolute() for one in overlays)
    os.chdir(folder)
    return Path(path.name), overlays


def _no_yaml(path: Path) -> str:
    if path.is_dir():
        return f"{path} is a folder without an {PROJECT}"
    return f"there is no {path} here" if path == PROJECT else f"there is no file {path}"


def left_out_of(path: Path, overlays: tuple[Path, ...] = (), settings: tuple[str, ...] = ()) -> list[str]:
    """Settings that hold no more since another `kind` was named above them, in words. Raises ConfigError."""
    return left_out(_layers(path, overlays, settings), RunConfig)


def load_config(path: Path, *, overlays: tuple[Path, ...] = (), settings: tuple[str, ...] = ()) -> RunConfig:
    """Read a YAML, lay overlays over it, then `--set key=value`. Raises ConfigError naming file or `--set`, and key."""

    def with_gate(values: Values) -> Values:
        named = values.get("gate")
        if not isinstance(named, str):
            return values
        return {**values, "gate": read_gate(named, base=path.parent).model_dump(exclude_unset=True)}

    return parse(RunConfig, _layers(path, overlays, settings), change=with_gate)


def _layers(path: Path, overlays: tuple[Path, ...], settings: tuple[str, ...]) -> list[Layer]:
    """The layers of a run. Raises ConfigError where the YAML is not there, or one of them cannot be read."""
    if not path.is_file():
        raise ConfigError(f"{_no_yaml(path)}; `assent init FOLDER` makes a project with one")
    return layers(path, overlays, settings)


_Settings = TypeVar("_Settings", bound=Config)


def moved(config: _Settings, *, old: Path, new: Path) -> _Settings:
    """The same settings with paths that were relative to `old` written relative to `new`; absolute ones stay.

    Relative paths stay relative, so that a project folder may be moved without anything being made again.
    """

    def place(path: str) -> str:
        return path if Path(path).is_absolute() else os.path.relpath(old / path, new)

    def moved_value(one: Outside) -> str:
        if one.value.startswith(SQLITE):
            return SQLITE + place(one.value.removeprefix(SQLITE))
        if one.kind in ("rubric", "constitution", "prompts") and one.is_path:
            placed = place(one.value)
            return f"./{placed}" if is_packaged_name(placed) else placed  # ./own is no name of the package
        if one.kind not in ("model", "dataset"):
            return place(one.value) if one.is_path else one.value
        if (old / one.value).is_dir():
            return place(one.value)
        # Hub ids look like relative paths; a path that leads nowhere must go on looking like one, so that it is missed.
        placed = place(one.value) if one.is_path else one.value
        return placed if not one.is_path or placed.startswith((".", "/")) else f"./{placed}"

    return changed(config, moved_value)


def refuse_missing(config: RunConfig) -> None:
    """Raise ConfigError naming every file, folder and function that is not there, before anything is run for nothing.

    Data is left to the stage that reads it first: it says which file is meant.
    """
    wrong = [f"{one.key}: {said}" for one in outside(config) if one.kind != "data" and (said := missing(one))]
    if wrong:
        raise ConfigError("\n".join(wrong) + "; correct the name, or put it there")


def out_of_reach(config: RunConfig) -> Iterator[str]:
    """Models beside the base, such as judges, that the hub cannot give now: a run that needs them yet will fail."""
    for one in outside(config):
        is_named = one.kind == "model" and one.key != "base.path" and not one.path.exists()
        if is_named and (away := hub.problem_of(one.value)):
            yield f"warning: {one.key}: {away}"


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
