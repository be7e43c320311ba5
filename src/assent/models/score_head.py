"""A score head on a causal language model, for architectures that transformers has no sequence classifier of.

On disk it is a folder of the language model, which plain transformers opens as one, and beside it
`score_head.safetensors` with `weight` [heads, d]; config.json names that file. A row's score is its last token's state,
the one that the language model's own head reads, times this weight.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel
from transformers.utils import cached_file

from assent.core.errors import ModelError
from assent.models.decoder import body, plainly

FILE = "score_head.safetensors"
_KEY = "assent_score_head"


def is_named(settings: PretrainedConfig) -> bool:
    """Whether a config is that of a language model with a score head beside it."""
    return getattr(settings, _KEY, None) is not None


def is_in(folder: Path) -> bool:
    """The same of a model's or adapter's folder."""
    config = folder / "config.json"
    return config.is_file() and _KEY in json.loads(config.read_bytes())


def attach(hf: PreTrainedModel, *, where: str, heads: int = 1) -> PreTrainedModel:
    """Give a causal language model heads of zeros under the name `score`; what it said of words stays frozen."""
    words = hf.get_output_embeddings()
    if words is None or getattr(hf, "score", None) is not None:
        raise ModelError(f"{where}: a score head cannot be put on a {type(hf).__name__}; choose another architecture")
    weight = words.weight
    hf.score = nn.Linear(weight.shape[1], heads, bias=False, dtype=weight.dtype, device=weight.device)
    nn.init.zeros_(hf.score.weight)
    setattr(hf.config, _KEY, FILE)
    return hf


def freeze_words(hf: PreTrainedModel) -> None:
    """What only predicts words has no gradient from scores; a matrix that is also the input embedding is trained."""
    if not is_named(hf.config):
        return
    used = {id(parameter) for part in (body(hf), hf.score) for parameter in part.parameters()}
    for parameter in hf.parameters():
        if id(parameter) not in used:
            parameter.requires_grad_(False)


def plain_scores(hf: PreTrainedModel, tokens: Tensor) -> Tensor:
    """Scores [n, heads] of rows [n, L] without padding, by what plain transformers says of them."""
    if not is_named(hf.config):
        return plainly(hf, tokens).logits
    return hf.score(plainly(body(hf), tokens).last_hidden_state[:, -1])


def save(hf: PreTrainedModel, folder: str | Path) -> None:
    """Write a model, and its head apart where transformers has no class for both."""
    if not is_named(hf.config):
        hf.save_pretrained(str(folder))
        return
    weights = {name: value for name, value in hf.state_dict().items() if name != "score.weight"}
    hf.save_pretrained(str(folder), state_dict=weights)
    save_file({"weight": hf.score.weight.detach().cpu().contiguous()}, Path(folder) / FILE)


def read(hf: Any, path: str | Path, *, revision: str | None) -> None:
    """Fill the attached head from a folder or hub id."""
    try:
        found = cached_file(str(path), FILE, revision=revision)
        weight = load_file(str(found))["weight"]
        with torch.no_grad():
            hf.score.weight.copy_(weight)
    except (OSError, KeyError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"{path}: its score head {FILE} cannot be read ({error}); copy the whole folder") from error
