"""Low-rank adapters: attach, merge, and tell an adapter folder from a model folder."""

from __future__ import annotations

import contextlib
import copy
import json
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import peft
import torch
from peft.tuners.lora.layer import Linear as PeftLinear
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils.other import ModulesToSaveWrapper
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerFast
from transformers.utils import cached_file, find_adapter_config_file

from assent.core import files, hub, seeds
from assent.core.errors import ModelError
from assent.models import adapter_start, quantized
from assent.models.config import LoraConfig
from assent.models.linear import FusedLoraLinear
from assent.models.quiet import quiet

_log = logging.getLogger(__name__)

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
"""Files of an adapter folder."""
NAME_BASE = f"set base_model_name_or_path in {CONFIG}"
"""What to do where the base of an adapter cannot be found."""
SCORES, WORDS = "SEQ_CLS", "CAUSAL_LM"
"""What peft calls an adapter of a reward or value model, and of a policy."""
_OWN = "default"
"""What PEFT calls the adapter of a model that has one."""
_HEAD = ".score.weight"
_MISFITS = (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError, SafetensorError)
"""What PEFT raises where an adapter and a base do not fit."""
_HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")


@dataclass(frozen=True)
class AdapterBase:
    """The base that an adapter was trained on: a folder that is there, or a hub id with its revision."""

    path: str
    revision: str | None = None


def adapter_base(path: str | Path, *, revision: str | None = None) -> AdapterBase | None:
    """The base model that an adapter belongs to; None where the folder holds a whole model.

    A relative folder is looked for below the current folder, as peft does, then beside the adapter's files; that of an
    adapter of a run as `adapter_start.place_of` says. Raises ModelError where the base is no hub id and not there.
    """
    if Path(path).is_file():
        return None  # a GGUF file, which is a whole model
    hub.prepare(path)
    try:
        with quiet():
            found = find_adapter_config_file(str(path), revision=revision)
    except hub.faults():
        return None  # neither a folder nor on the hub: opening the model says so
    if found is None:
        return None
    try:
        settings = peft.PeftConfig.from_pretrained(str(path), revision=revision)
    except hub.faults(ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path}: {CONFIG} cannot be read ({_first_line(error)}); save the adapter again") from error
    base = str(settings.base_model_name_or_path or "")
    if not base:
        raise ModelError(f"{path}: the adapter does not name its base model; {NAME_BASE}")
    is_of_run = (Path(path) / adapter_start.FILE).is_file()
    if is_of_run:
        there = adapter_start.place_of(base, Path(path))
    else:
        there = next((place for place in (Path(base).expanduser(), Path(path) / base) if place.is_dir()), None)
    if there is None and is_of_run:
        gone = ", ".join(Path(base).parts[-2:-1]) or base
        raise ModelError(f"{path}: the adapter lies on {gone}, which is gone; `assent run` makes it again")
    if there is not None:
        if there.resolve() == Path(path).resolve():
            raise ModelError(f"{path}: the adapter names itself as its base; {NAME_BASE}")
        return AdapterBase(str(there))
    if not _HUB_ID.fullmatch(base):
        raise ModelError(f"{path}: the adapter's base {base} is not there; {NAME_BASE}")
    return AdapterBase(base, settings.revision)


def task_of(path: str | Path, *, revision: str | None = None) -> str | None:
    """What an adapter was trained for, as peft calls it: `SCORES`, or CAUSAL_LM; None where it does not say."""
    task = peft.PeftConfig.from_pretrained(str(path), revision=revision).task_type
    return None if task is None else str(getattr(task, "value", task))


def file_of(path: str | Path, name: str, *, revision: str | None = None) -> Path | None:
    """A file of a model or adapter, in its folder or on the hub; None where it has none."""
    if Path(path).is_file():
        return None
    if Path(path).is_dir():
        return Path(path) / name if (Path(path) / name).is_file() else None
    hub.prepare(path)
    try:
        with quiet():
            found = cached_file(
                str(path),
                name,
                revision=revision,
                _raise_exceptions_for_missing_entries=False,
                _raise_exceptions_for_connection_errors=False,
            )
    except OSError:
        return None
    return None if found is None else Path(found)


def grow_for_adapter(
    hf: PreTrainedModel, adapter: str | Path, tokenizer: PreTrainedTokenizerFast | None, *, revision: str | None = None
) -> None:
    """Give a base the embedding rows that an adapter was trained with: those it saved, or one a token of its tokenizer.

    Rows that the adapter does not bring are the mean of the others. A base that has enough rows stays as it is.
    """
    shapes = _shapes(adapter, revision)
    num_rows = hf.get_input_embeddings().num_embeddings
    saved = max((rows for name, shape in shapes.items() if (rows := _embedding_rows(name, shape, hf))), default=0)
    known = 0 if tokenizer is None else max(tokenizer.get_vocab().values(), default=-1) + 1
    # A row that the adapter saved counts even where its tokenizer names fewer: it may have been rounded up to 64.
    wanted = max(saved, known if known > num_rows else 0)
    if wanted <= num_rows:
        return
    if not saved and tokenizer is not None:
        new = [token for token, number in tokenizer.get_vocab().items() if number >= num_rows]
        new = [token for token in new if token != tokenizer.pad_token]
        if new:
            _log.warning("%s: the adapter brings no embedding of its new tokens %s", adapter, ", ".join(sorted(new)))
    grow_embeddings(hf, wanted)


def grow_embeddings(hf: PreTrainedModel, wanted: int) -> None:
    """Add embedding rows, each the mean of those there are."""
    num_rows = hf.get_input_embeddings().num_embeddings
    with quiet():
        hf.resize_token_embeddings(wanted, mean_resizing=False)
    layers = [hf.get_input_embeddings(), hf.get_output_embeddings()]
    unique: dict[int, Any] = {id(layer.weight): layer for layer in layers if layer is not None}
    for layer in unique.values():
        # Under the mean of all rows the new logit is the mean logit, so no text gets likelier than 1/V by it.
        with torch.no_grad():
            layer.weight[num_rows:] = layer.weight[:num_rows].mean(dim=0)
            if getattr(layer, "bias", None) is not None:
                layer.bias[num_rows:] = layer.bias[:num_rows].mean()


def merge_adapter(hf: PreTrainedModel, adapter: str | Path, *, revision: str | None = None) -> PreTrainedModel:
    """Load an adapter onto its base and add it to the weights."""
    _shapes(adapter, revision)
    try:
        with quiet():
            return peft.PeftModel.from_pretrained(hf, str(adapter), revision=revision).merge_and_unload()
    except _MISFITS as error:
        raise ModelError(f"{adapter}: the adapter does not fit its base model: {_first_line(error)}") from error


def attach(
    hf: PreTrainedModel, config: LoraConfig, *, whole_modules: Sequence[str] = (), task: str, seed: int = 0
) -> peft.PeftModel:
    """Wrap a model with fresh float32 adapters, whose product is zero; those that it has already stay, fixed.

    `whole_modules` (a reward head) are trained in full.
    """
    fixed = _adapters_of(hf)
    quantized.mark(hf)
    target: Any = config.target if isinstance(config.target, str) else list(config.target)
    settings = peft.LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=target,
        exclude_modules=list(config.exclude) or None,
        use_rslora=config.use_rslora,
        use_dora=config.use_dora,
        init_lora_weights=True if config.init == "kaiming" else config.init,
        rank_pattern=dict(config.rank_pattern),
        alpha_pattern=dict(config.alpha_pattern),
        modules_to_save=list(whole_modules) or None,
        task_type=task,
    )
    words = [hf.get_input_embeddings(), hf.get_output_embeddings()]
    # peft draws the first factor from torch's global generator; the fork keeps that inside and from a named seed.
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.derive(seed, "lora"))
        try:
            wrapped = peft.get_peft_model(hf, settings)
        except ValueError as error:
            raise ModelError(f"LoRA fits no module named {config.target!r}: {error}") from error
    for name, module in wrapped.named_modules():
        if isinstance(module, BaseTunerLayer) and any(module.get_base_layer() is one for one in words):
            raise ModelError(
                f"model.lora.target means {name.rpartition('.')[2]}, an embedding or a head: these are read by their"
                " weights, and an adapter beside them would do nothing; leave it out"
            )
    if fixed:
        _activate(wrapped, [*fixed, _OWN], trained=_OWN)
    fuse(wrapped)
    return wrapped


def fuse(hf: nn.Module) -> None:
    """Let plain linear layers with adapters compute in few operations; see `models.linear`."""
    for module in hf.modules():
        if type(module) is PeftLinear:
            module.__class__ = FusedLoraLinear


@contextlib.contextmanager
def dropping(hf: nn.Module, seed: int) -> Iterator[None]:
    """Leave out part of the adapters' inputs inside this block, by a seed; what torch draws outside stays the same."""
    layers = [module for module in hf.modules() if isinstance(module, BaseTunerLayer)]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for layer in layers:
            layer.train()
        try:
            yield
        finally:
            for layer in layers:
                layer.eval()


def lay_fixed(hf: PreTrainedModel, adapter: str | Path, *, name: str) -> PreTrainedModel:
    """Lay a saved adapter into the layers of its base: it is computed beside their weights, and nothing is trained.

    Modules that the adapter holds whole take the place of the base's; it may hold no other than a reward head, since
    its base may be that of other models too. Raises ModelError where it does not fit.
    """
    own = sorted(name for name in _shapes(adapter, None) if ".lora_" not in name and not name.endswith(_HEAD))
    if own:
        raise ModelError(f"{adapter}: the adapter brings weights of its own beside its factors ({own[0]})")
    quantized.mark(hf)
    try:
        with quiet():
            wrapped = peft.PeftModel.from_pretrained(hf, str(adapter), adapter_name=name)
    except _MISFITS as error:
        raise ModelError(f"{adapter}: the adapter does not fit its base model: {_first_line(error)}") from error
    for path, module in list(hf.named_modules()):
        if isinstance(module, ModulesToSaveWrapper):
            hf.set_submodule(path, module.modules_to_save[name])
    del hf.peft_config  # what PEFT left: to it this is a plain model from here on
    fuse(hf)
    return wrapped.get_base_model().requires_grad_(False)


def on_same_weights(hf: nn.Module) -> Any:
    """A second tree of modules over the very tensors of `hf`: what is put into its layers does not show in `hf`."""
    return copy.deepcopy(hf, {id(tensor): tensor for tensor in (*hf.parameters(), *hf.buffers())})


def base_of(hf: peft.PeftModel) -> PreTrainedModel:
    """The model below the adapters of `hf`, on the same weights; `hf` keeps its adapters."""
    return on_same_weights(hf).unload()


def merged_copy(hf: peft.PeftModel) -> PreTrainedModel:
    """A plain model with the adapter added to its weights; `hf` itself stays as it is, to the bit."""
    quantized.refuse_merging(hf)
    # Merging in place and unmerging would leave rounding errors in the weights that go on being trained.
    return copy.deepcopy(hf).merge_and_unload()


def save_adapter(hf: peft.PeftModel, folder: Path, *, base: str, name: str | None = None) -> None:
    """Write the adapter alone. `base` is where its base lies, `name` what it calls it (default: the same)."""
    # peft compares vocabularies with the base that is named, so it is first named as it can be found.
    hf.peft_config[_OWN].base_model_name_or_path = base
    # Of an adapter there is no configuration; rows that were added to it are made again on opening.
    compares = not Path(base).is_dir() or (Path(base) / "config.json").is_file()
    with quiet():
        hf.save_pretrained(str(folder), save_embedding_layers="auto" if compares else False)
    if name is not None:
        values = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        files.write_json(folder / CONFIG, values | {"base_model_name_or_path": name})
    (folder / "README.md").unlink(missing_ok=True)  # peft's form of a card, with nothing filled in


def replace_head(folder: Path, weight: torch.Tensor) -> None:
    """Write another head [heads, d] into a saved adapter of a reward model."""
    held = load_file(folder / WEIGHTS)
    [name] = [name for name in held if name.endswith(_HEAD)]
    held[name] = weight.detach().to(held[name].dtype).cpu().contiguous()
    save_file(held, folder / WEIGHTS, metadata={"format": "pt"})


def _adapters_of(hf: nn.Module) -> list[str]:
    """Names of the adapters in a model's layers that are computed."""
    return list(dict.fromkeys(n for m in hf.modules() if isinstance(m, BaseTunerLayer) for n in m.active_adapters))


def _activate(hf: nn.Module, names: Sequence[str], *, trained: str) -> None:
    """Compute several adapters of each layer, and train one of them."""
    for module in hf.modules():
        if isinstance(module, BaseTunerLayer):
            module.set_adapter(list(names))
    for path, parameter in hf.named_parameters():
        if any(f".{name}." in path or path.endswith(f".{name}") for name in names if name != trained):
            parameter.requires_grad_(False)


def _shapes(adapter: str | Path, revision: str | None) -> dict[str, tuple[int, ...]]:
    """Shapes of an adapter's tensors by name. Raises ModelError where it has no safetensors file that can be read."""
    file = file_of(adapter, WEIGHTS, revision=revision)
    if file is None:
        # peft would read adapter_model.bin, which is pickled.
        raise ModelError(
            f"{adapter}: has no {WEIGHTS}; pickled .bin files can run code and are not read: save it as safetensors"
        )
    try:
        with safe_open(str(file), framework="pt") as tensors:
            return {name: tuple(tensors.get_slice(name).get_shape()) for name in tensors.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{adapter}: {WEIGHTS} cannot be read ({_first_line(error)}); save it again") from error


def _embedding_rows(name: str, shape: tuple[int, ...], hf: PreTrainedModel) -> int | None:
    """How many tokens a tensor of an adapter has rows for; None where it is none of an embedding."""
    layers = (hf.get_input_embeddings(), hf.get_output_embeddings())
    names = [module for module, layer in hf.named_modules() if any(layer is one for one in layers if one is not None)]
    if not any(f".{module}." in name for module in names):
        return None
    if name.endswith("lora_embedding_A"):
        return shape[1]
    if name.endswith(("lora_B.weight", ".weight")) and "lora_A" not in name:
        return shape[0]
    return None


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n", 1)[0] or type(error).__name__
