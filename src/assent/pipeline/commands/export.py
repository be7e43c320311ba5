"""`assent export`: a model as a plain Hugging Face folder, with its lineage and a card that says what it is."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2

from assent.artifacts.find import find_artifact, model_of, store_at
from assent.artifacts.lineage import as_dict, lineage, origins
from assent.artifacts.store import Artifact
from assent.core import files
from assent.core.errors import UserError
from assent.evaluation.report import EvaluationReport
from assent.models import score_head
from assent.models.config import ModelConfig
from assent.pipeline.backends import Backends
from assent.pipeline.config import ComputeConfig
from assent.stats.estimate import Estimate

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER = "adapter"
"""Folder of a LoRA policy's artifact that holds its adapter alone."""


def export_model(name: str, to: Path, *, adapter: bool = False) -> Iterator[str]:
    """Copy the model that `name` means to the folder `to`: merged weights, or with `adapter` the PEFT adapter alone.

    `to` appears only when whole. Raises UserError where it holds anything already, or where there is no adapter.
    """
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise UserError(f"{to} is not empty; choose another folder")
    artifact = find_artifact(name)
    with files.new_directory(to.absolute()) as partial:
        if adapter:
            _copy(_adapter_of(artifact), partial)
        else:
            _write_merged(artifact, partial)
        history = as_dict(lineage(artifact, store_at(artifact.folder.parent)))
        files.write_json(partial / "lineage.json", history)
        files.write_text(partial / "MODEL_CARD.md", card(artifact, adapter=adapter))
    what = "adapter" if adapter else artifact.kind
    yield f"exported the {what} of {artifact.name} to {to}, with lineage.json and MODEL_CARD.md"


def card(artifact: Artifact, *, adapter: bool = False) -> str:
    """What a model is, what it was made from and how it did, as Markdown; nothing that its manifests do not say."""
    template = resources.files("assent.pipeline").joinpath("model_card.md.jinja").read_text(encoding="utf-8")
    root = lineage(artifact, store_at(artifact.folder.parent))
    evaluation = _evaluation_of(artifact)
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, autoescape=False)
    return environment.from_string(template).render(
        artifact=artifact,
        manifest=artifact.manifest,
        adapter=adapter,
        scored=artifact.kind == "reward" and score_head.is_in(model_of(artifact)),
        facts={name: value for name, value in artifact.notes.items() if _is_plain(value)},
        estimates={name: found for name, value in artifact.notes.items() if (found := Estimate.of(value)) is not None},
        judge=None if evaluation is None else evaluation.judge,
        compared={} if evaluation is None else _compared(evaluation),
        origins=origins(root),
    )


def _write_merged(artifact: Artifact, partial: Path) -> None:
    """The model itself; an adapter is added to its base first."""
    source = model_of(artifact)
    if not (source / ADAPTER_CONFIG).is_file():
        _copy(source, partial)
        return
    settings = ModelConfig.parse(artifact.manifest.config["model"]).model_copy(update={"lora": None, "template": None})
    backends = Backends(settings, ComputeConfig(device="cpu"))
    if artifact.kind == "reward":
        backends.reward_model(source, trainable=False).save(partial, merged=True)
    else:
        backends.policy(source, trainable=False).save(partial, merged=True)


def _adapter_of(artifact: Artifact) -> Path:
    for folder in (artifact.folder / ADAPTER, model_of(artifact)):
        if (folder / ADAPTER_CONFIG).is_file():
            return folder
    raise UserError(f"{artifact.name} has no adapter, only whole weights; leave out --adapter")


def _copy(source: Path, target: Path) -> None:
    # File by file, because shutil.copytree gathers errors and hides that the disk is full.
    for path in sorted(p for p in source.rglob("*") if p.is_file()):
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)


def _evaluation_of(artifact: Artifact) -> EvaluationReport | None:
    """What the blind comparison of this policy with its start found, newest first; None where there was none."""
    for other in reversed(store_at(artifact.folder.parent).all()):
        if other.kind == "evaluation" and other.manifest.parents.get("policy") == artifact.key:
            return EvaluationReport.read(other.folder)
    return None


def _compared(report: EvaluationReport) -> dict[str, Estimate | None]:
    wins = report.win_rate
    return {
        "win rate": None if wins is None else wins.headline,
        "length controlled": None if wins is None else wins.length_controlled,
        "kl per response": report.kl_per_response,
    }


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)
