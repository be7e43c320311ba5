"""A tiny model of the same class as a large one, with random weights: cheap to ask how the architecture mixes tokens.

Its windows and original contexts are so short that rows of a few dozen tokens lie beyond them, its weights are float32,
and they are drawn wide, so that a wrong mask or a forgotten cap shows in its numbers.
"""

from __future__ import annotations

import json
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from assent.core import seeds
from assent.models.attention import attention_of
from assent.models.quiet import quiet
from assent.models.shrink import shrunk

_SPREAD = 0.15
_MOST_PARAMETERS = 60_000_000
_VOLATILE = ("_name_or_path", "transformers_version", "dtype", "torch_dtype", "id2label", "label2id", "architectures")


def twin_of(hf: PreTrainedModel) -> PreTrainedModel | None:
    """A twin of `hf` on the CPU, equal at each call; None where its config cannot be made small."""
    try:
        config = shrunk(hf.config)
        for part in (config, config.get_text_config()):
            for name in ("initializer_range", "init_std"):
                if isinstance(getattr(part, name, None), float):
                    setattr(part, name, _SPREAD)
        with quiet(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seeds.derive(0, "twin"))
            if _size(hf, config) > _MOST_PARAMETERS:
                return None
            twin = type(hf)._from_config(config, dtype=torch.float32, attn_implementation=_of_the_whole(hf))
            score = getattr(hf, "score", None)
            if isinstance(score, nn.Linear) and not hasattr(twin, "score"):
                twin.score = nn.Linear(twin.get_output_embeddings().weight.shape[1], 1, bias=False)
            _spread(twin)
    # What an unknown architecture says about an unusual config is its own affair; the weights themselves are checked.
    except Exception:
        return None
    return twin.eval()


def twin_key(hf: PreTrainedModel) -> str:
    """Equal for models whose twins are equal."""
    settings = {k: v for k, v in shrunk(hf.config).to_dict().items() if k not in _VOLATILE and "assent" not in k}
    kind = f"{type(hf).__module__}.{type(hf).__qualname__}/{plain_attention(hf)}"
    return f"{kind}:{json.dumps(settings, sort_keys=True, default=str)}"


def plain_attention(hf: PreTrainedModel) -> str:
    """An attention of transformers' own that runs anywhere: as loaded, where that is one.

    "eager" where scores are soft-capped, which SDPA skips.
    """
    if getattr(hf.config.get_text_config(), "attn_logit_softcapping", None) is not None:
        return "eager"
    loaded = attention_of(hf)
    return loaded if loaded in ("eager", "sdpa") else "sdpa" if getattr(hf, "_supports_sdpa", False) else "eager"


def _of_the_whole(hf: PreTrainedModel) -> str | None:
    """What a model of several parts is made with; None: what transformers takes by itself."""
    loaded = hf.config._attn_implementation
    return loaded if loaded in ("eager", "sdpa") else None


def _size(hf: PreTrainedModel, config: Any) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in type(hf)(config).parameters())


@torch.no_grad()
def _spread(twin: PreTrainedModel) -> None:
    """Move biases and norms from 0 and 1, where forgetting them would not show."""
    for parameter in twin.parameters():
        if parameter.ndim == 1:
            parameter += 0.1 * torch.randn_like(parameter)
