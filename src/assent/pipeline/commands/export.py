"""`assent export`: a model as a plain Hugging Face folder, with its lineage and a card that says what it is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from assent.artifacts.digests import reading_everything
from assent.artifacts.find import find_artifact, kept_model, model_of, store_at
from assent.artifacts.lineage import LINEAGE, as_dict, lineage
from assent.artifacts.store import Artifact
from assent.core import files
from assent.core.errors import UserError
from assent.data.render import Renderer
from assent.models import adapter_start
from assent.models.cast import TYPES, Cast, cast_weights
from assent.models.config import ModelConfig
from assent.models.join import join_adapters
from assent.models.lora import CONFIG, WEIGHTS
from assent.models.tokenizer import load_tokenizer
from assent.pipeline.backends import Backends, adapter_folder, adapter_of
from assent.pipeline.commands.card import CARD, Exported, card
from assent.pipeline.commands.origin import Origin, origin_of
from assent.pipeline.config import ComputeConfig

BASE = "base"
"""The type that is the base's own; in the folder of an adapter, the base where it has no name elsewhere."""
_GENERATION = "generation_config.json"


def export_model(
    name: str,
    to: Path,
    *,
    adapter: bool = False,
    dtype: str = BASE,
    origin: Origin | None = None,
    base: str | None = None,
    called: str | None = None,
) -> Iterator[str]:
    """Write the model that `name` means into the folder `to`: merged weights, or with `adapter` the PEFT adapter alone.

    `origin` is what an adapter lies on; None: what the run began with. `base` is the name under which others find
    that; None: as the settings name it. `called` is what the card calls it; None: the
    folder's name.
    `dtype` is float32, bfloat16, float16, or base: the type of the run's base where it came from. `to` appears only
    when whole. Raises UserError where it holds anything already, or where there is no adapter.
    """
    if dtype not in (BASE, *TYPES):
        raise UserError(f"--dtype {dtype} is not known; take {BASE}, {', '.join(TYPES)}")
    if base is not None and not adapter:
        raise UserError(f"--base {base} is the name of what an adapter lies on; add --adapter, or leave it out")
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise UserError(f"{to} is not empty; choose another folder")
    with reading_everything():  # what leaves the project is whole
        kept = kept_model(name)
        artifact, source = kept or (find_artifact(name), None)
    origin = origin or origin_of(artifact)
    if base is not None:
        origin = origin.under(base)
    with files.new_directory(to.absolute()) as partial:
        if adapter:
            _write_adapter(artifact, source, origin, partial)
            wanted = None if dtype == BASE else dtype
        else:
            _write_merged(artifact, partial, source or model_of(artifact))
            wanted = origin.own_type if dtype == BASE else dtype
        if artifact.kind == "policy":
            _write_stop_tokens(artifact, partial)
        rounding = cast_weights(partial, wanted, start=origin.weights) if wanted in TYPES else None
        history = as_dict(lineage(artifact, store_at(artifact.folder.parent)))
        about = Exported(artifact, origin, called or to.name, adapter, rounding, kept=source)
        files.write_json(partial / LINEAGE, history)
        files.write_text(partial / CARD, card(about))
        files.readable(partial)
    what = ("adapter" if adapter else artifact.kind) + ("" if source is None else f" after {source.name}")
    yield f"exported the {what} of {artifact.name} to {to}, with lineage.json and {CARD}{_size_of(rounding)}"
    if adapter and origin.is_here_only:
        yield (
            f"warning: the adapter names its base {origin.name}, a folder of this machine that nobody finds elsewhere;"
            " --base NAME names another: its hub id, or the folder that others have it in"
        )
    if rounding is not None and rounding.drowns_training:
        yield (
            f"rounding to {rounding.after} moved the weights as far as training had ({rounding.rounded:.2g} and"
            f" {rounding.trained:.2g}): much of it is lost; --dtype float32 keeps it"
        )


def _write_merged(artifact: Artifact, partial: Path, source: Path) -> None:
    """The model itself; an adapter is added to its base first."""
    if not (source / CONFIG).is_file():
        _copy(source, partial)
        return
    backends = Backends(_loading(artifact), ComputeConfig(device="cpu"))
    if artifact.kind == "reward":
        backends.reward_model(source, trainable=False).save(partial, merged=True)
    else:
        backends.policy(source, trainable=False).save(partial, merged=True)


def _write_adapter(artifact: Artifact, kept: Path | None, origin: Origin, partial: Path) -> None:
    """All adapters between the base and the model as one. It names the base; one without a name is laid beside it.

    The last of them is that of `kept`, where a model on the way of the training is meant.
    """
    folder = adapter_folder(artifact) if kept is None else adapter_of(kept)
    if folder is None:
        raise UserError(f"{artifact.name} has no adapter, only whole weights; leave out --adapter")
    if not origin.adapters:
        raise UserError(f"{artifact.name}: its start was trained whole, which an adapter lacks; leave out --adapter")
    # With a config.json plain transformers would take a policy's adapter for a whole model.
    own = ("config.json",) if artifact.kind == "policy" else ()
    _copy(folder, partial, leave=(WEIGHTS, CONFIG, CARD, adapter_start.FILE, *own))
    if artifact.kind == "policy" and not (partial / _GENERATION).is_file():
        shutil.copyfile(model_of(artifact) / _GENERATION, partial / _GENERATION)
    if not origin.has_name:
        _copy(origin.weights, partial / BASE)
    base, revision = (str(origin.name), origin.revision) if origin.has_name else (BASE, None)
    join_adapters((*origin.adapters[:-1], folder), partial, base=base, revision=revision)


def _write_stop_tokens(artifact: Artifact, partial: Path) -> None:
    """List in generation_config.json all tokens that end an answer, also for runs made before that was saved."""
    file = partial / _GENERATION
    values = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    listed = values.get("eos_token_id")
    known = [] if listed is None else [listed] if isinstance(listed, int) else listed
    tokenizer = load_tokenizer(partial, trust_remote_code=_loading(artifact).trust_remote_code)
    ends = Renderer(tokenizer, ends=known).stop_ids
    values |= {"eos_token_id": list(ends) if len(ends) > 1 else ends[0], "pad_token_id": tokenizer.pad_token_id}
    files.write_json(file, values)


def _loading(artifact: Artifact) -> ModelConfig:
    """How the model was loaded in its run, without what was trained on top and without a template that may be gone."""
    config = artifact.manifest.config
    values = config.get("model", {}) if isinstance(config, Mapping) else {}
    return ModelConfig.parse(values).model_copy(update={"lora": None, "template": None})


def _size_of(rounding: Cast | None) -> str:
    return "" if rounding is None else f" ({rounding.after}, {rounding.num_bytes / 1e6:.1f} MB)"


def _copy(source: Path, target: Path, *, leave: tuple[str, ...] = ()) -> None:
    # File by file, because shutil.copytree gathers errors and hides that the disk is full.
    for path in sorted(p for p in source.rglob("*") if p.is_file() and p.name not in leave):
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
