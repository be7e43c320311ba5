"""`train` and `run`: a run described by Python objects instead of a YAML, and otherwise the very same run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assent.api.finished import FinishedRun
from assent.api.given import PARTS, data_of, write_model
from assent.artifacts.layout import RUNS
from assent.core.config import Config
from assent.core.errors import AwaitingJudgments, ConfigError
from assent.pipeline.config import PretrainedBase, RunConfig

_OF_DATA = (*PARTS, "eval_share")
"""Keys of `data` that `train` takes directly."""


def train(base: Any, *, to: Path | str, quiet: bool = False, **settings: Any) -> FinishedRun:
    """Train on a model and rows of one's own, and give back the run once it has ended.

    `base` is a model folder, a hub id, a loaded model with its tokenizer as a pair, or a config of a base. `to` is the
    run's folder; its last part is the run's name. Rows are given as `demonstrations`, `prompts`, `comparisons`,
    `eval_prompts` or `corpus`: lists of dicts, datasets, a file, or a `Source`, in any format that Assent reads. All
    other keywords are the keys of a YAML (docs/reference/config.md), as configs or as plain dicts.

    The same call again finds what is done and goes on from where it was stopped. Raises ConfigError, DataError or
    ModelError naming what cannot be used, and AwaitingJudgments where people have to rate first.
    """
    folder = Path(to)
    rows = {part: data_of(part, settings.pop(part), folder.parent) for part in PARTS if settings.get(part) is not None}
    data = {part: one.sources for part, one in rows.items()}
    data |= {key: settings.pop(key) for key in _OF_DATA if key in settings}
    if data and "data" in settings:
        raise ConfigError(f"data is given beside {', '.join(data)}; put them into data, or leave it out")
    values = {"data": {"kind": "files", **data}, **settings}
    config = RunConfig.parse({**values, "name": folder.name, "base": _base(base)}, where="assent.train")
    for one in rows.values():
        one.write()
    if isinstance(base, tuple):
        model, tokenizer = base
        path = write_model(model, tokenizer, folder.parent)
        config = config.model_copy(update={"base": PretrainedBase(path=str(path))})
    return run(config, to=folder, quiet=quiet)


def run(config: RunConfig | Path | str, *, to: Path | str | None = None, quiet: bool = False) -> FinishedRun:
    """Do what is not done yet of a run, write its report, and give it back.

    `config` is the path of a YAML or a `RunConfig`, whose paths are taken from the current folder. `to` is the run's
    folder; None: runs/NAME below the current folder. Raises as `train` does.
    """
    from assent.pipeline.beforehand import refuse_settings
    from assent.pipeline.places import open_project
    from assent.pipeline.run import rate_command, run_once
    from assent.report.run import report_of

    if not isinstance(config, RunConfig):
        config = open_project(Path(config)).config
    refuse_settings(config)
    folder = RUNS / config.name if to is None else Path(to)
    try:
        run_once(folder, config, quiet=quiet)
    except AwaitingJudgments as waiting:
        raise waiting.with_command(rate_command(folder, config, is_as_written=False)) from None
    report_of(folder)
    return FinishedRun(folder)


def _base(given: Any) -> Any:
    """The settings of a base; of a loaded one they are filled in once the rest is known to be right."""
    if isinstance(given, str | Path):
        return {"kind": "pretrained", "path": str(given)}
    if isinstance(given, Config | Mapping):
        return given
    if isinstance(given, tuple) and len(given) == 2 and hasattr(given[1], "save_pretrained"):
        return {"kind": "pretrained", "path": "as loaded"}
    raise ConfigError(
        f"base is {type(given).__name__}; give a model folder, a hub id, or a loaded model with its tokenizer as"
        " (model, tokenizer)"
    )
