"""The shape of a decoder as its config.json states it: enough to count weights, bytes and products without any of them.

Nothing here loads torch or transformers, so that a plan of a run is quick. Names of settings are those of the families
in transformers; where a folder has safetensors files, their headers say how many weights there really are.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from assent.models.config import ScratchConfig
from assent.models.gguf import GGUF
from assent.models.gguf_header import Header

_CONFIG, _ADAPTER = "config.json", "adapter_config.json"
_LONGEST_CHAIN = 16


@dataclass(frozen=True)
class DecoderShape:
    """What decides how large a decoder is and what it costs to run."""

    vocabulary: int
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_width: int
    ffn: int
    is_gated: bool
    """Three matrices in a feed-forward layer (SwiGLU) or two (GPT)."""
    is_tied: bool
    """The head is the embedding."""
    context: int
    parameters: int
    """All weights, tied ones once: counted in the files where there are any, else worked out."""

    @property
    def query_width(self) -> int:
        """Numbers of all queries of a token."""
        return self.heads * self.head_width

    @property
    def kv_width(self) -> int:
        """Numbers of all keys of a token, and again of all values."""
        return self.kv_heads * self.head_width

    @property
    def head(self) -> int:
        """Weights of the matrix that turns states into logits."""
        return self.vocabulary * self.hidden

    @property
    def body(self) -> int:
        """Weights of the decoder layers: all but embedding and head."""
        return max(self.parameters - self.head * (1 if self.is_tied else 2), 0)

    @property
    def scored(self) -> int:
        """Weights of the same body under one number per state: no head of its own."""
        return self.body + self.head

    def adapter(self, rank: int) -> int:
        """Weights of LoRA adapters on all matrices of the layers: rank times inputs and outputs of each."""
        d, q, kv, f = self.hidden, self.query_width, self.kv_width, self.ffn
        attention = (d + q) + 2 * (d + kv) + (q + d)
        return self.layers * rank * (attention + (3 if self.is_gated else 2) * (d + f))


def worked_out(**sizes: Any) -> DecoderShape:
    """A shape whose weights are counted by the usual formula: four matrices of attention, those of feed-forward, two
    norms a layer, one at the end."""
    bare = DecoderShape(**sizes, parameters=0)
    d, q, kv = bare.hidden, bare.query_width, bare.kv_width
    layer = 2 * d * q + 2 * d * kv + (3 if bare.is_gated else 2) * d * bare.ffn + 2 * d
    total = bare.layers * layer + d + bare.head * (1 if bare.is_tied else 2)
    return DecoderShape(**sizes, parameters=total)


def of_scratch(shape: ScratchConfig, vocabulary: int) -> DecoderShape:
    """A model that is to be made."""
    return worked_out(
        vocabulary=vocabulary,
        hidden=shape.hidden,
        layers=shape.layers,
        heads=shape.heads,
        kv_heads=shape.kv_heads or shape.heads,
        head_width=shape.hidden // shape.heads,
        ffn=shape.ffn_width,
        is_gated=True,
        is_tied=shape.tie_embeddings,
        context=shape.context,
    )


def of_config(settings: Mapping[str, Any], parameters: int | None = None) -> DecoderShape | None:
    """The shape that a config.json states; None where it does not say enough."""
    text = settings.get("text_config")
    said = {**settings, **text} if isinstance(text, Mapping) else settings

    def first(*names: str) -> int | None:
        return next((int(said[n]) for n in names if isinstance(said.get(n), int | float)), None)

    hidden, layers = first("hidden_size", "n_embd", "d_model"), first("num_hidden_layers", "n_layer", "num_layers")
    heads, vocabulary = first("num_attention_heads", "n_head"), first("vocab_size")
    if not (hidden and layers and heads and vocabulary):
        return None
    found = worked_out(
        vocabulary=vocabulary,
        hidden=hidden,
        layers=layers,
        heads=heads,
        kv_heads=first("num_key_value_heads") or heads,
        head_width=first("head_dim") or hidden // heads,
        ffn=first("intermediate_size", "n_inner", "ffn_dim") or 4 * hidden,
        is_gated=str(said.get("model_type")) not in _TWO_MATRICES,
        is_tied=bool(said.get("tie_word_embeddings", str(said.get("model_type")) not in _UNTIED)),
        context=first("max_position_embeddings", "n_positions", "n_ctx") or 2**31 - 1,
    )
    return found if parameters is None else replace(found, parameters=parameters)


def of_gguf(header: Header) -> DecoderShape | None:
    """The shape that a GGUF file states; None where it does not say enough. Blocks count as plain weights."""
    said, tensors = header.metadata, header.tensors
    kind = said.get("general.architecture")

    def first(*names: str) -> int | None:
        return next((int(v) for n in names if isinstance(v := said.get(f"{kind}.{n}"), int)), None)

    hidden, layers, heads = first("embedding_length"), first("block_count"), first("attention.head_count")
    if not (hidden and layers and heads and "token_embd.weight" in tensors):
        return None
    found = worked_out(
        vocabulary=tensors["token_embd.weight"].shape[-1],
        hidden=hidden,
        layers=layers,
        heads=heads,
        kv_heads=first("attention.head_count_kv") or heads,
        head_width=first("attention.key_length") or hidden // heads,
        ffn=first("feed_forward_length") or 4 * hidden,
        is_gated="blk.0.ffn_gate.weight" in tensors,
        is_tied="output.weight" not in tensors,
        context=first("context_length") or 2**31 - 1,
    )
    return replace(found, parameters=header.numbers.total())


_TWO_MATRICES = frozenset({"gpt2", "gpt_neo", "gpt_neox", "gptj", "opt", "bloom", "falcon", "phi", "starcoder2"})
_UNTIED = frozenset({"llama", "mistral", "qwen2", "qwen3", "gpt_neox", "phi", "phi3", "olmo", "olmo2"})
"""Types whose head is a matrix of its own where their config.json does not speak of it."""


def read_shape(path: str | Path, revision: str | None = None) -> DecoderShape | None:
    """The shape of a model folder, of what an adapter lies on, or of a hub model that is cached here; None if unknown.

    Nothing is fetched.
    """
    if (blocks := GGUF.at(path)) is not None:
        return of_gguf(blocks.header)
    folder = _folder(path, revision)
    for _ in range(_LONGEST_CHAIN):
        if folder is None:
            return None
        adapter = folder / _ADAPTER
        if not adapter.is_file():
            break
        base = str((_json(adapter) or {}).get("base_model_name_or_path") or "")
        beside = [folder / base, Path(base)] if base else []
        folder = next((one for one in beside if one.is_dir()), None) or (_folder(base, None) if base else None)
    settings = _json(folder / _CONFIG) if folder is not None else None
    return None if settings is None or folder is None else of_config(settings, _weights_in(folder))


def _folder(path: str | Path, revision: str | None) -> Path | None:
    if Path(path).is_dir():
        return Path(path)
    if Path(path).is_absolute() or str(path).count("/") != 1:
        return None
    from huggingface_hub import try_to_load_from_cache  # rarely needed, and it takes a while

    found = try_to_load_from_cache(str(path), _CONFIG, revision=revision)
    return Path(found).parent if isinstance(found, str) else None


def _json(file: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _weights_in(folder: Path) -> int | None:
    """Numbers in the safetensors files of a folder, from their headers; None where there are none that can be read."""
    files = sorted(folder.glob("*.safetensors"))
    try:
        return sum(count for file in files for count in _tensors_in(file)) if files else None
    except (OSError, ValueError, AttributeError, TypeError):
        return None


def _tensors_in(file: Path) -> Iterator[int]:
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > 100_000_000:
            raise ValueError(f"{file}: no header of safetensors")
        header = json.loads(stream.read(length))
    for name, tensor in header.items():
        if name != "__metadata__":
            yield math.prod(tensor["shape"])
