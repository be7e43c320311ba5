"""The day of a run: chat templates that ask for the date are told the same one in every stage, whenever it runs."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from pathlib import Path

import yaml
from pydantic import BaseModel

from assent.artifacts.find import MODELS
from assent.artifacts.layout import RUN_SETTINGS
from assent.artifacts.outside import outside
from assent.artifacts.stage import StageInput
from assent.artifacts.store import Artifact
from assent.core.errors import ModelError
from assent.core.hashing import hash_json
from assent.data.template_clock import reads_clock, template_text
from assent.models.config import ModelConfig
from assent.pipeline.config import PretrainedBase, RunConfig

_TEMPLATE_FILES = ("chat_template.jinja", "tokenizer_config.json", "chat_template.json")


def with_date(config: RunConfig, folder: Path) -> RunConfig:
    """The settings with the date of the run: theirs, else that of the first start, kept in run.yaml, else today's."""
    if config.model.date is not None:
        return config
    date = _kept(folder / RUN_SETTINGS) or _today()
    return config.model_copy(update={"model": config.model.model_copy(update={"date": date})})


def date_identity(config: RunConfig, stage: BaseModel, inputs: Mapping[str, StageInput]) -> dict[str, str]:
    """The hash of the date for the key of a stage that renders with a template which reads the clock; else nothing."""
    model = getattr(stage, "model", None)
    given = [one for value in inputs.values() for one in _as_list(value)]
    if not isinstance(model, ModelConfig) or not given or not _reads_clock(config, stage, given):
        return {}
    return {"date": hash_json(str(config.model.date))}


def _reads_clock(config: RunConfig, stage: BaseModel, given: list[Artifact]) -> bool:
    if config.model.template is not None:
        try:
            return reads_clock(template_text(config.model.template))
        except ModelError:
            return False  # a file that is not there: said where missing files are said
    folders = [one.folder / MODELS[one.kind] for one in given if one.is_made and one.kind in MODELS]
    if isinstance(config.base, PretrainedBase):
        folders.append(Path(config.base.path))
    named = [one for one in outside(stage) if one.kind == "model"]
    # The template of a judge on the hub is not known before it is loaded, so the date counts.
    return any(not one.path.is_dir() for one in named) or any(
        _folder_reads_clock(folder) for folder in (*folders, *(one.path for one in named))
    )


def _folder_reads_clock(folder: Path) -> bool:
    files = [folder / name for name in _TEMPLATE_FILES] + sorted((folder / "chat_templates").glob("*.jinja"))
    return any(file.is_file() and reads_clock(file.read_text(encoding="utf-8", errors="replace")) for file in files)


def _kept(settings: Path) -> datetime.date | None:
    try:
        values = yaml.safe_load(settings.read_text(encoding="utf-8"))
        return datetime.date.fromisoformat(str(values["model"]["date"]))
    except (OSError, ValueError, LookupError, TypeError, yaml.YAMLError):
        return None  # a first start, or a run from before dates were kept


def _as_list(value: StageInput) -> list[Artifact]:
    return [] if value is None else [value] if isinstance(value, Artifact) else list(value)


def _today() -> datetime.date:
    return datetime.date.today()
