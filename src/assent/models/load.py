"""Opening a model: from a folder or the hub, checked, with the reasons in one line where it cannot be used."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    GenerationConfig,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
)

from assent.core import hub
from assent.core.errors import ModelError
from assent.models import gguf, score_head
from assent.models.adapter_start import AdapterStart
from assent.models.config import ModelConfig
from assent.models.context import context_of
from assent.models.criterion_heads import named as criteria_named
from assent.models.dropout import said_without_dropout, without_dropout
from assent.models.lora import (
    NAME_BASE,
    SCORES,
    AdapterBase,
    adapter_base,
    file_of,
    grow_embeddings,
    grow_for_adapter,
    merge_adapter,
    task_of,
)
from assent.models.own_type import own_type_of
from assent.models.quiet import quiet
from assent.models.tokenizer import load_tokenizer

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Opened:
    """A checked model and its tokenizer."""

    hf: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    base: str
    """Where it was opened from: what an adapter that is trained on it lies on."""
    own_type: str
    """The type of the weights on disk: float32, bfloat16 or float16."""


def open_causal_lm(path: str | Path, config: ModelConfig, *, revision: str | None = None) -> Opened:
    """Open a causal language model. An adapter is opened merged, with all that it lies on. Raises ModelError."""
    return _open(path, config, _CAUSAL, revision)


def open_scalar(path: str | Path, config: ModelConfig, *, revision: str | None = None) -> Opened:
    """Open a sequence classifier of one label. Raises ModelError, also where the folder holds no such head."""
    return _open(path, config, _SCALAR, revision)


def scalar_from_causal_lm(
    path: str | Path, config: ModelConfig, *, revision: str | None = None, heads: int = 1
) -> Opened:
    """Open the body of a causal language model under so many score heads, whose weights are arbitrary."""
    lm = open_causal_lm(path, config, revision=revision)
    return Opened(under_score(lm.hf, config, where=str(path), heads=heads), lm.tokenizer, lm.base, lm.own_type)


def under_score(lm: PreTrainedModel, config: ModelConfig, *, where: str, heads: int = 1) -> PreTrainedModel:
    """The body of a causal language model under so many score heads, whose weights are arbitrary.

    The weights of the body are those of `lm` themselves, no copy: `lm` is used up.
    """
    hf = _classifier(lm, config, heads)
    if hf is None:
        _log.info("%s: transformers has no linear score head for %s, one is attached", where, type(lm).__name__)
        hf = score_head.attach(lm, where=where, heads=heads)
    return hf.eval()


def _classifier(lm: PreTrainedModel, config: ModelConfig, heads: int) -> PreTrainedModel | None:
    """The sequence-classification form of a language model; None where there is none, or none with one linear head."""
    settings = copy.deepcopy(lm.config)
    settings.num_labels = heads
    try:
        with quiet(), torch.device("meta"):  # a form without weights: the body comes from `lm`
            hf = AutoModelForSequenceClassification.from_config(
                settings, dtype=lm.dtype, trust_remote_code=config.trust_remote_code
            )
    except (ValueError, RuntimeError):  # no such class
        return None
    head = getattr(hf, "score", None)
    if not isinstance(head, nn.Linear) or lm.base_model is lm or type(hf.base_model) is not type(lm.base_model):
        return None
    setattr(hf, hf.base_model_prefix, lm.base_model)
    with torch.random.fork_rng(devices=[]):  # the head is drawn from torch's global generator and overwritten later
        hf.score = nn.Linear(
            head.in_features, head.out_features, bias=head.bias is not None, device=lm.device, dtype=lm.dtype
        )
    if any(tensor.is_meta for tensor in (*hf.parameters(), *hf.buffers())):
        return None
    lm.config.num_labels, lm.config.architectures = heads, [type(hf).__name__]
    hf.config = lm.config  # the one that the layers of the body read
    return hf


@dataclass(frozen=True)
class _Form:
    """A class of transformers that opens models, and the architectures it knows by type of model."""

    auto: Any
    architectures: Mapping[str, Any]


_CAUSAL = _Form(AutoModelForCausalLM, MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
_SCALAR = _Form(AutoModelForSequenceClassification, MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES)


def _open(path: str | Path, config: ModelConfig, form: _Form, revision: str | None) -> Opened:
    if Path(path).is_absolute() and not Path(path).exists():
        raise ModelError(f"{path}: no such folder; give a model folder or a hub id")
    base = adapter_base(path, revision=revision)
    if base is None:
        tokenizer = tokenizer_of(path, config, revision)
        settings = _read_config(path, config, revision)
        own_type = own_type_of(path, settings, config, revision)
        hf = _read_weights(path, settings, config, _checked(path, settings, form), revision, has_adapter=False)
        if score_head.is_named(settings):
            score_head.read(
                score_head.attach(hf, where=str(path), heads=1 + len(criteria_named(settings))), path, revision=revision
            )
    else:
        tokenizer, hf, own_type = _open_adapted(path, base, config, form, revision)
    fit_vocabulary(hf, tokenizer, where=str(path))
    without_dropout(hf)
    _check_generation_config(hf, where=str(path))
    return Opened(hf.eval(), tokenizer, str(path), own_type)


def _open_adapted(
    path: str | Path, base: AdapterBase, config: ModelConfig, form: _Form, revision: str | None
) -> tuple[PreTrainedTokenizerFast, PreTrainedModel, str]:
    """The tokenizer, the merged model and the base's own type of an adapter; its own files come before its base's."""
    has_own_tokenizer, has_own_config, has_own_generation = (
        file_of(path, name, revision=revision) is not None
        for name in ("tokenizer_config.json", "config.json", "generation_config.json")
    )
    start = AdapterStart.of(path)
    # In the type of its run, whatever is asked for: added up in another, weights would be rounded elsewhere.
    laid = config if start is None else config.model_copy(update={"dtype": start.merged_in})
    try:
        if start is not None:
            start.check(path, Path(base.path))
        tokenizer = tokenizer_of(path, config, revision) if has_own_tokenizer else None
        used = tokenizer or tokenizer_of(base.path, config, base.revision)
        own = _read_config(path, config, revision) if has_own_config else None
        is_on_adapter = adapter_base(base.path, revision=base.revision) is not None
        under = _on_adapter(path, base, laid, form, own) if is_on_adapter else _on_whole(path, base, laid, form, own)
    except ModelError as error:
        if not str(error).startswith(f"{base.path}:") or Path(base.path).is_dir():
            raise
        raise ModelError(f"{path}: the adapter's base cannot be opened: {error}; or {NAME_BASE}") from error
    hf = under[0]
    grow_for_adapter(hf, path, tokenizer, revision=revision)
    hf = merge_adapter(hf, path, revision=revision)
    if laid.dtype != config.dtype:
        _round(hf, getattr(torch, config.dtype))
    if has_own_generation and getattr(hf, "generation_config", None) is not None:
        hf.generation_config = GenerationConfig.from_pretrained(str(path), revision=revision)
    return used, hf, under[1]


def _on_whole(
    path: str | Path, base: AdapterBase, config: ModelConfig, form: _Form, own: PretrainedConfig | None
) -> tuple[PreTrainedModel, str]:
    """The whole model below the adapter at `path`, whose own settings come before its, and its type on disk."""
    settings = _read_config(base.path, config, base.revision)
    own_type = own_type_of(base.path, settings, config, base.revision)
    if own is not None:
        own.get_text_config().vocab_size = settings.get_text_config().vocab_size  # loaded as it is, and grown then
        settings = own
    hf = _read_weights(base.path, settings, config, _checked(path, settings, form), base.revision, has_adapter=True)
    if score_head.is_named(settings):
        score_head.attach(hf, where=str(path), heads=1 + len(criteria_named(settings)))  # the adapter fills it
    return hf, own_type


def _on_adapter(
    path: str | Path, base: AdapterBase, config: ModelConfig, form: _Form, own: PretrainedConfig | None
) -> tuple[PreTrainedModel, str]:
    """The same where that is itself an adapter: it is merged first, and then a policy gets the head of a reward."""
    if own is not None:
        _checked(path, own, form)
    needs_head = form is _SCALAR and task_of(base.path, revision=base.revision) != SCORES
    under = _open(base.path, config, _CAUSAL if needs_head else form, base.revision)
    hf = under.hf
    if needs_head:
        heads = 1 if own is None else 1 + len(criteria_named(own)) if score_head.is_named(own) else own.num_labels
        hf = under_score(hf, config, where=str(path), heads=heads)
    for name, value in vars(own or hf.config).items():
        if name.startswith("assent_"):  # what a reward model keeps of itself: its scale, its criteria
            setattr(hf.config, name, value)
    return hf, under.own_type


def _round(hf: PreTrainedModel, to: torch.dtype) -> None:
    """Give the weights a type as transformers does on loading: what is computed on the way keeps its own."""
    kept = tuple(getattr(hf, "_keep_in_fp32_modules_strict", None) or ())
    hf.config.dtype = to
    for name, parameter in hf.named_parameters():
        if parameter.is_floating_point() and not any(f".{part}." in f".{name}" for part in kept):
            parameter.data = parameter.data.to(to)


def _checked(path: str | Path, settings: PretrainedConfig, form: _Form) -> Any:
    """The class to open a model with. Raises ModelError where it is of another kind than wanted."""
    if score_head.is_named(settings):
        if form is _CAUSAL:
            raise ModelError(f"{path}: holds a reward model on a {settings.model_type}, not a causal language model")
        form = _CAUSAL
    _check_kind(path, settings, form.architectures)
    return form.auto


def tokenizer_of(path: str | Path, config: ModelConfig, revision: str | None = None) -> PreTrainedTokenizerFast:
    """The tokenizer of a folder or hub id with the settings of a run. Raises ModelError."""
    return load_tokenizer(
        path,
        pad_token=config.pad_token,
        trust_remote_code=config.trust_remote_code,
        revision=revision,
        template=config.template,
    )


def _check_generation_config(hf: PreTrainedModel, *, where: str) -> None:
    """Refuse on loading what transformers would refuse on saving, after the training."""
    settings = getattr(hf, "generation_config", None)
    if settings is None:
        return
    try:
        settings.validate(strict=True)
    except ValueError:
        settings.do_sample = True  # the usual fault: a temperature or top_p beside do_sample=False
        try:
            settings.validate(strict=True)
        except ValueError as error:
            raise ModelError(f"{where}: generation_config.json is not valid ({_first_line(error)}); mend it") from error


def _read_config(path: str | Path, config: ModelConfig, revision: str | None) -> PretrainedConfig:
    source, more = gguf.source_of(path)
    try:
        settings = AutoConfig.from_pretrained(
            source, trust_remote_code=config.trust_remote_code, revision=revision, **more
        )
    except hub.faults(ValueError, KeyError, ImportError) as error:
        hint = "give a model folder or a hub id"
        if "trust_remote_code" in str(error):
            hint = "set model.trust_remote_code=true if you trust the Python code that comes with it"
        raise ModelError(f"{path}: the model cannot be opened ({_first_line(error)}); {hint}") from error
    said_without_dropout(settings)
    return settings


def _check_kind(path: str | Path, settings: PretrainedConfig, architectures: Mapping[str, Any]) -> None:
    """Refuse what is not a decoder that predicts next tokens (or scores with one), by what the folder says it holds."""
    held = (settings.architectures or ["?"])[0]
    if settings.is_encoder_decoder:
        raise ModelError(
            f"{path}: {held} is an encoder-decoder (seq2seq) model; Assent trains decoder-only language models"
        )
    if getattr(settings, "auto_map", None):
        return  # the model brings its own code; loading the weights decides
    is_decoder = settings.model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and not _is_encoder(settings)
    names = architectures.get(settings.model_type, ())
    fits = not settings.architectures or held in ([names] if isinstance(names, str) else names)
    if not is_decoder or not names or not fits:
        wanted = (
            "causal language model" if architectures is MODEL_FOR_CAUSAL_LM_MAPPING_NAMES else "decoder with a score"
        )
        raise ModelError(f"{path}: holds a {held} ({settings.model_type}), not a {wanted}; choose another model")


def _is_encoder(settings: PretrainedConfig) -> bool:
    """True for BERT and its kin, which transformers lists as causal models only for the case is_decoder=True."""
    return hasattr(settings, "is_decoder") and not settings.is_decoder and hasattr(settings, "type_vocab_size")


def _read_weights(
    path: str | Path,
    settings: PretrainedConfig,
    config: ModelConfig,
    auto: Any,
    revision: str | None,
    *,
    has_adapter: bool,
) -> PreTrainedModel:
    source, more = gguf.dequantizing(path)
    try:
        # What the checkpoint lacks is drawn from torch's global generator; it is refused below, or replaced by us.
        with quiet(), gguf.without_bar(more), torch.random.fork_rng(devices=[]):
            hf, info = auto.from_pretrained(
                source,
                config=settings,
                dtype=getattr(torch, config.dtype),
                trust_remote_code=config.trust_remote_code,
                revision=revision,
                output_loading_info=True,
                **more,
            )
    except hub.faults(ValueError, LookupError, ImportError, RuntimeError, SafetensorError) as error:
        hint = "give a folder or hub id with safetensors weights"
        if any(Path(path).glob("*.bin")) and not any(Path(path).glob("*.safetensors")):
            hint = "its weights are pickled .bin files, which can run code; save them once as safetensors"
        raise ModelError(f"{path}: the weights cannot be loaded ({_first_line(error)}); {hint}") from error
    missing = sorted(info["missing_keys"])
    if has_adapter:
        missing = [name for name in missing if not name.startswith("score.")]  # the adapter brings it
    if missing or info.get("mismatched_keys"):
        names = ", ".join(missing[:3]) or str(info["mismatched_keys"])
        raise ModelError(
            f"{path}: the checkpoint does not fit {type(hf).__name__}: {names} missing or of another shape;"
            " is it another kind of model?"
        )
    if "gguf_file" in more:
        gguf.plain(hf)
    return hf


def fit_vocabulary(hf: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, *, where: str) -> None:
    """Give a padding token that was just added its embedding row, and tell the model which token pads.

    Raises ModelError where the tokenizer knows tokens, other than that one, without an embedding row.
    """
    num_rows = hf.get_input_embeddings().num_embeddings
    beyond = {token: number for token, number in tokenizer.get_vocab().items() if number >= num_rows}
    beyond.pop(tokenizer.pad_token, None)
    if beyond:
        token, number = max(beyond.items(), key=lambda item: item[1])
        raise ModelError(
            f"{where}: the tokenizer's token {token!r} has number {number}, but the model has embeddings for {num_rows}"
            " tokens; tokenizer and model do not belong together"
        )
    if tokenizer.pad_token_id >= num_rows:
        wanted = tokenizer.pad_token_id + 1
        _log.info("%s: embeddings grow from %d to %d rows for %r", where, num_rows, wanted, tokenizer.pad_token)
        grow_embeddings(hf, wanted)
    for part in (hf.config, hf.config.get_text_config(), getattr(hf, "generation_config", None)):
        if part is not None:
            part.pad_token_id = tokenizer.pad_token_id


def check_precision(config: ModelConfig, *, trainable: bool, where: str) -> None:
    """Refuse to train all weights in half precision: an update smaller than 1/256 of a weight would be lost."""
    if trainable and config.lora is None and config.dtype != "float32":
        raise ModelError(
            f"{where}: model.dtype is {config.dtype}, in which small updates of weights are lost;"
            " set model.dtype=float32, or model.lora to train adapters (they stay float32)"
        )


def context_window(hf: PreTrainedModel) -> int:
    """Longest row that the model's positions allow."""
    return context_of(hf.config)


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n", 1)[0] or type(error).__name__
